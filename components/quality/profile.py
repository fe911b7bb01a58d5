"""Profiles: distributions of image properties, and the shift between two.

A profile is small enough for a model's manifest. So a run can compare its data with the
data of the model in production.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Profile = dict[str, dict[str, int]]
"""Property, such as `class`, to value or range, to the number of images."""

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
    """The properties of one image that a profile counts.

    Attributes:
        class_name: Its class.
        format: Such as `jpeg`.
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
    """The shift of one property between two profiles.

    Attributes:
        name: The property.
        divergence: Jensen-Shannon divergence of the two distributions, in bits: 0 if
            they are equal, 1 if they share no value.
        chance: 99th percentile of the divergence of two random draws from one
            distribution, of as many images.
        value: The value or range whose share has changed most.
        before: Its share in the earlier profile, in [0, 1].
        after: Its share in the later profile, in [0, 1].
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
    """Return the values of a property in display order."""
    if name not in _EDGES:
        return sorted(found)
    ranges = [_range_of(edge, _EDGES[name]) for edge in _EDGES[name]]
    known = set(found)
    return [each for each in ranges if each in known]


def shifts(before: Mapping[str, Mapping[str, int]], after: Profile) -> list[Shift]:
    """Return the shift of each property, the greatest first.

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
        before: Profile of the earlier data; None if there is none.
        after: Profile of the later data; None if there is none.
        max_drift: A property has drifted if its divergence is above this and above
            `chance`.
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
    """Return the 99th percentile of chi-square, by an approximation.

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
