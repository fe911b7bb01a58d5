"""What data look like as a whole, in counts, and how far two such profiles differ.

A profile is small enough for a model's manifest, so that a run can compare its data
with those of the model in production wherever that manifest can be read.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Profile = dict[str, dict[str, int]]
"""Property, as `class`, to each of its values or ranges and its count."""

_EDGES: dict[str, tuple[float, ...]] = {
    "longer edge, px": (0, 64, 128, 256, 512, 1024, 2048),
    "width / height": (0, 0.5, 0.67, 0.8, 0.95, 1.05, 1.25, 1.5, 2),
    "brightness": (0, 32, 64, 96, 128, 160, 192, 224),
    "contrast": (0, 16, 32, 48, 64, 80, 96),
    "sharpness": (0, 10, 30, 100, 300, 1000, 3000, 10000),
}
_NORMAL_99 = 2.3263
_CATEGORIES = ("class", "format")


@dataclass(frozen=True)
class Traits:
    """What a profile counts of one image.

    Attributes:
        class_name: Its label.
        format: As `jpeg`.
        width: In pixels.
        height: In pixels.
        brightness: Mean grey level, 0 to 255.
        contrast: Standard deviation of the grey levels.
        sharpness: Variance of the Laplacian.
    """

    class_name: str
    format: str
    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float


@dataclass(frozen=True)
class Shift:
    """How far one property has moved.

    Attributes:
        name: Of the property.
        divergence: Jensen-Shannon divergence of the two distributions, in bits: 0 for
            equal ones, 1 for those that have nothing in common.
        chance: What it would exceed in 1 of 100 cases, were both a draw of so many
            images from the same source.
        value: The value or range whose share has changed most.
        before: Its share then, in [0, 1].
        after: Its share now; the difference is the L-infinity distance.
    """

    name: str
    divergence: float
    chance: float
    value: str
    before: float
    after: float


def profile_of(images: Iterable[Traits]) -> Profile:
    """Count the properties of images."""
    counters: dict[str, Counter[str]] = {
        name: Counter() for name in (*_CATEGORIES, *_EDGES)
    }
    for image in images:
        counters["class"][image.class_name] += 1
        counters["format"][image.format] += 1
        for name, number in (
            ("longer edge, px", max(image.width, image.height)),
            ("width / height", image.width / max(image.height, 1)),
            ("brightness", image.brightness),
            ("contrast", image.contrast),
            ("sharpness", image.sharpness),
        ):
            counters[name][_range_of(number, _EDGES[name])] += 1
    return {
        name: {value: counter[value] for value in values_of(name, counter)}
        for name, counter in counters.items()
    }


def values_of(name: str, found: Iterable[str]) -> list[str]:
    """Return values of a property in the order to show them in."""
    if name not in _EDGES:
        return sorted(found)
    ranges = [_range_of(edge, _EDGES[name]) for edge in _EDGES[name]]
    known = set(found)
    return [each for each in ranges if each in known]


def shifts(before: Mapping[str, Mapping[str, int]], after: Profile) -> list[Shift]:
    """Compare two profiles, property by property; the greatest shift comes first.

    Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on
    Information Theory 37 (1991).
    """
    found = []
    for name in sorted(before.keys() & after.keys()):
        values = sorted({*before[name], *after[name]})
        old = [before[name].get(value, 0) for value in values]
        new = [after[name].get(value, 0) for value in values]
        if not sum(old) or not sum(new):
            continue
        old_shares = [count / sum(old) for count in old]
        new_shares = [count / sum(new) for count in new]
        place = max(
            range(len(values)), key=lambda i: abs(new_shares[i] - old_shares[i])
        )
        found.append(
            Shift(
                name=name,
                divergence=_divergence(old_shares, new_shares),
                chance=_chi_square_bound(len(values) - 1)
                * (1 / sum(old) + 1 / sum(new))
                / (8 * math.log(2)),
                value=values[place],
                before=old_shares[place],
                after=new_shares[place],
            )
        )
    return sorted(found, key=lambda shift: -shift.divergence)


def drift(
    before: Profile | None, after: Profile | None, max_drift: float
) -> list[dict[str, Any]]:
    """Return the shifts between two profiles, each with `is_drifted`.

    Args:
        before: The earlier data; None where nobody looked at them, then nothing is
            compared.
        after: The later data, or None.
        max_drift: Divergence which, if it is also beyond chance, makes a drift.
    """
    if before is None or after is None:
        return []
    return [
        asdict(shift) | {"is_drifted": shift.divergence > max(max_drift, shift.chance)}
        for shift in shifts(before, after)
    ]


def _divergence(first: Sequence[float], second: Sequence[float]) -> float:
    total = 0.0
    for p, q in zip(first, second, strict=True):
        middle = (p + q) / 2
        total += sum(x * math.log2(x / middle) / 2 for x in (p, q) if x > 0)
    return max(0.0, total)


def _chi_square_bound(degrees: int) -> float:
    """Return the 99th percentile of chi-square, near enough.

    Wilson and Hilferty, "The Distribution of Chi-Square", PNAS 17 (1931).
    """
    if not degrees:
        return 0.0
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + _NORMAL_99 * math.sqrt(spread)) ** 3


def _range_of(number: float, edges: tuple[float, ...]) -> str:
    place = bisect.bisect_right(edges, number) - 1
    if place == len(edges) - 1:
        return f"{edges[-1]:g} and more"
    return f"{edges[max(place, 0)]:g} to {edges[max(place, 0) + 1]:g}"
