"""Draw charts as SVG whose colours come from the CSS of the page.

Matplotlib was considered: it writes fixed colours into its SVG, so a chart could not
follow the reader's light or dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from graft.components.evaluation.calibration import ReliabilityBin
from graft.components.report.feature_map import FeatureMap
from graft.contract.counts import counted

_WIDTH, _HEIGHT = 480, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 42
_CELL = 34
_MOST_TICKS = 6
_PICTURE = 56


@dataclass(frozen=True)
class Series:
    """A line of a chart; values that are None leave a gap.

    Attributes:
        name: Its name in the legend.
        values: One value per point of the x axis.
    """

    name: str
    values: Sequence[float | None]


def line_chart(
    x: Sequence[float],
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    is_log_x: bool = False,
    chosen: float | None = None,
) -> str:
    """Draw a line chart.

    Args:
        x: Points of the x axis, in order.
        series: Lines, at most four.
        x_label: Name of the x axis.
        y_label: Name of the y axis.
        is_log_x: Use a logarithmic x axis.
        chosen: Point of the x axis to mark, or None.
    """
    places = [math.log10(each) for each in x] if is_log_x else list(x)
    known = [
        v for line in series for v in line.values if v is not None and math.isfinite(v)
    ]
    if not known or not places:
        return ""
    low, high = min(known), max(known)
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    first, last = min(places), max(places)

    def to_x(place: float) -> float:
        share = (place - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def to_y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_grid_line(to_y(tick), f"{tick:g}") for tick in ticks]
    parts += [
        _mark(to_x(place), f"chosen: {value:g}")
        for place, value in zip(places, x, strict=True)
        if chosen is not None and math.isclose(value, chosen, rel_tol=1e-6)
    ]
    step = max(1, math.ceil(len(x) / _MOST_TICKS))
    parts += [
        _text(to_x(place), _HEIGHT - _BOTTOM + 16, f"{value:g}", "middle")
        for place, value in list(zip(places, x, strict=True))[::step]
    ]
    for index, line in enumerate(series):
        points = [
            (to_x(place), to_y(value))
            for place, value in zip(places, line.values, strict=True)
            if value is not None and math.isfinite(value)
        ]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline class="line s{index}" points="{path}"/>')
        parts += [
            f'<circle class="dot s{index}" cx="{px:.1f}" cy="{py:.1f}" r="2.5"/>'
            for px, py in points
        ]
    parts.append(_axis_labels(x_label, y_label))
    names = "".join(
        f'<span class="key s{index}">{escape(line.name)}</span>'
        for index, line in enumerate(series)
    )
    return f'{_svg(parts, f"{y_label} over {x_label}")}<p class="legend">{names}</p>'


def _mark(x: float, text: str) -> str:
    """Draw a vertical line with its name, which stays within the chart."""
    is_right = x > _WIDTH / 2
    return (
        f'<line class="ideal" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" '
        f'y2="{_HEIGHT - _BOTTOM}"/>'
        + _text(
            x + (-5 if is_right else 5), _TOP + 12, text, "end" if is_right else "start"
        )
    )


def scatter(feature_map: FeatureMap, pictures: Mapping[str, str]) -> str:
    """Draw the map of the test images.

    Args:
        feature_map: The places of the images.
        pictures: Content hash to the picture to show in place of a dot.
    """
    width, height, edge = 960, 620, _PICTURE // 2 + 4
    dots, images = [], []
    for point in feature_map.points:
        x = edge + point.x * (width - 2 * edge)
        y = height - edge - point.y * (height - 2 * edge)
        kind = "other" if point.colour is None else f"s{point.colour}"
        wrong = "" if point.is_right else " wrong"
        title = escape(f"{point.class_name}: {point.filename}")
        picture = pictures.get(point.content_hash) if point.has_picture else None
        if picture is None:
            dots.append(
                f'<circle class="dot {kind}{wrong}" cx="{x:.1f}" cy="{y:.1f}" r="5">'
                f"<title>{title}</title></circle>"
            )
            continue
        place = f'x="{x - _PICTURE / 2:.1f}" y="{y - _PICTURE / 2:.1f}"'
        size = f'width="{_PICTURE}" height="{_PICTURE}"'
        images.append(
            f'<image {place} {size} href="{picture}" '
            'preserveAspectRatio="xMidYMid slice"/>'
            f'<rect class="frame {kind}{wrong}" {place} {size}>'
            f"<title>{title}</title></rect>"
        )
    names = "".join(
        f'<span class="key s{index}">{escape(name)}</span>'
        for index, name in enumerate(feature_map.class_names)
    )
    return (
        '<svg class="map" role="img" aria-label="map of the test images" '
        f'viewBox="0 0 {width} {height}">{"".join(dots + images)}</svg>'
        f'<p class="legend">{names}</p>'
    )


def reliability_diagram(bins: Sequence[ReliabilityBin]) -> str:
    """Draw accuracy over confidence. A calibrated model follows the diagonal."""
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    bottom = _HEIGHT - _BOTTOM
    parts = [
        _grid_line(bottom - share * height, f"{share:g}")
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts += [
        _text(_LEFT + share * width, bottom + 16, f"{share:g}", "middle")
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    most = max((each.num_images for each in bins), default=0)
    for each in bins:
        if not each.num_images:
            continue
        x = _LEFT + each.low * width
        tall = each.accuracy * height
        strength = 0.25 + 0.75 * each.num_images / most
        title = (
            f"{counted(each.num_images, 'image')}, confidence {each.confidence:.3f}, "
            f"accuracy {each.accuracy:.3f}"
        )
        parts.append(
            f'<rect class="bar" x="{x + 1:.1f}" y="{bottom - tall:.1f}" '
            f'width="{(each.high - each.low) * width - 2:.1f}" height="{tall:.1f}" '
            f'fill-opacity="{strength:.2f}"><title>{title}</title></rect>'
        )
    parts.append(
        f'<line class="ideal" x1="{_LEFT}" y1="{bottom}" x2="{_LEFT + width}" '
        f'y2="{_TOP}"/>'
    )
    parts.append(_axis_labels("confidence", "accuracy"))
    return _svg(parts, "accuracy over confidence")


def confusion_matrix(names: Sequence[str], counts: np.ndarray) -> str:
    """Draw a confusion matrix: true classes in rows, predicted ones in columns.

    Args:
        names: Names of the K classes.
        counts: int (K, K).
    """
    longest = max((len(name) for name in names), default=0)
    left = 16 + min(150, 7 * longest)
    size = left + _CELL * len(names) + 4
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = counts / totals
    parts = []
    for row, name in enumerate(names):
        y = left + row * _CELL
        parts.append(_text(left - 6, y + _CELL / 2 + 4, _short(name), "end"))
        x = left + row * _CELL + _CELL / 2
        parts.append(
            f'<text transform="translate({x + 4:.0f},{left - 6}) rotate(-90)">'
            f"{escape(_short(name))}</text>"
        )
        for column, other in enumerate(names):
            count = int(counts[row, column])
            kind = "right" if row == column else "wrong"
            share = float(shares[row, column])
            # With more colour, the number could not be read in one of the schemes.
            opacity = 0.0 if not count else 0.1 + 0.35 * share
            cell_x = left + column * _CELL
            title = f"{name} called {other}: {count}"
            parts.append(
                f'<rect class="cell {kind}" x="{cell_x}" y="{y}" width="{_CELL - 2}" '
                f'height="{_CELL - 2}" fill-opacity="{opacity:.2f}">'
                f"<title>{escape(title)}</title></rect>"
            )
            if count:
                parts.append(
                    f'<text class="in-cell" text-anchor="middle" '
                    f'x="{cell_x + _CELL / 2 - 1:.0f}" y="{y + _CELL / 2 + 3:.0f}">'
                    f"{count}</text>"
                )
    return (
        f'<svg class="matrix" role="img" aria-label="confusion matrix" '
        f'viewBox="0 0 {size} {size}" width="{size}" height="{size}" '
        # It shrinks to fit the page while its numbers stay readable.
        f'style="min-width:{round(0.55 * size)}px">'
        f"{''.join(parts)}</svg>"
    )


def share_bar(share: float) -> str:
    """Draw a share in [0, 1] as a small bar."""
    return (
        '<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" '
        'aria-hidden="true"><rect class="track" width="100" height="8"/>'
        f'<rect class="bar" width="{100 * share:.1f}" height="8"/></svg>'
    )


def share_pair(now: float, before: float | None) -> str:
    """Draw a share in [0, 1], and its earlier value as a fainter bar below."""
    earlier = (
        ""
        if before is None
        else f'<rect class="earlier" y="6" width="{100 * before:.1f}" height="4"/>'
    )
    return (
        '<svg class="share pair" viewBox="0 0 100 10" preserveAspectRatio="none" '
        f'aria-hidden="true"><rect class="bar" width="{100 * now:.1f}" height="5"/>'
        f"{earlier}</svg>"
    )


def _svg(parts: Sequence[str], label: str) -> str:
    return (
        f'<svg class="chart" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _grid_line(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" '
        f'y2="{y:.1f}"/>{_text(_LEFT - 6, y + 4, text, "end")}'
    )


def _axis_labels(x_label: str, y_label: str) -> str:
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    return (
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, x_label, "middle")
        + f'<text text-anchor="middle" transform="translate(13,{middle:.0f}) '
        f'rotate(-90)">{escape(y_label)}</text>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return four to seven round numbers that span the values."""
    if high <= low:
        return [low]
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    start, end = math.floor(low / step), math.ceil(high / step)
    return [round(index * step, 12) for index in range(start, end + 1)]


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"
