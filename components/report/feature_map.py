"""A map of the test images: their stored features, brought to two axes by PCA.

Images that the backbone finds alike lie close together. PCA is exact and repeatable;
UMAP was considered: it separates classes better, but depends on chance and on settings,
and distances in it mean little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graft.components.evaluation.predictions import Predictions

MOST_POINTS = 1_000
MOST_COLOURS = 4
PICTURE_CELLS = (7, 5)
"""Columns and rows of the grid, of which each cell shows one picture at most."""

_FEWEST_POINTS = 3


@dataclass(frozen=True)
class Point:
    """An image on the map.

    Attributes:
        x: From left to right, in [0, 1].
        y: From bottom to top, in [0, 1].
        colour: Index of its class in `FeatureMap.class_names`; None for another class.
        is_right: Whether the candidate's answer is right.
        class_name: The class.
        filename: Relative to the data set's root.
        content_hash: SHA-256 of the image.
        has_picture: Whether its picture is shown.
    """

    x: float
    y: float
    colour: int | None
    is_right: bool
    class_name: str
    filename: str
    content_hash: str
    has_picture: bool


@dataclass(frozen=True)
class FeatureMap:
    """The map.

    Attributes:
        points: The images.
        class_names: The most frequent classes, each of which has a colour.
        explained: Share of the features' variance that both axes show.
        num_images: Number of all test images.
    """

    points: tuple[Point, ...]
    class_names: tuple[str, ...]
    explained: float
    num_images: int


def read_features(files: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return content hashes and features, float32 (N, F), of the first images.

    Shards hold images in random order.
    """
    # `graft report` shows a page at once, and needs no TensorFlow for it.
    from graft.components.features import stored_features

    hashes: list[str] = []
    parts: list[np.ndarray] = []
    for names, values in stored_features.read_features(files, MOST_POINTS):
        hashes += names
        parts.append(values)
    return hashes, np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def map_features(
    hashes: Sequence[str], values: np.ndarray, predictions: Predictions
) -> FeatureMap | None:
    """Place images on two axes.

    Args:
        hashes: Content hash of each image.
        values: float32 (N, F), their features.
        predictions: The predictions on `test`.

    Returns:
        The map; None for too few images, or without any difference between them.
    """
    from sklearn.decomposition import PCA

    images = predictions.images
    row_of = {str(key): row for row, key in enumerate(images.content_hashes)}
    known = [index for index, key in enumerate(hashes) if key in row_of]
    if len(known) < _FEWEST_POINTS or values.shape[1] < 2:
        return None
    values = values[known]
    if not np.isfinite(values).all() or np.ptp(values, axis=0).max() == 0:
        return None
    pca = PCA(2, svd_solver="randomized", random_state=0)
    places = _to_unit(pca.fit_transform(values))
    rows = np.array([row_of[hashes[index]] for index in known])
    names = [str(name) for name in images.class_names[rows]]
    frequent = [name for name, _ in Counter(sorted(names)).most_common(MOST_COLOURS)]
    is_right = predictions.candidate.is_right(images.class_names)[rows]
    shown = _pictured(places, is_right)
    points = tuple(
        Point(
            x=float(place[0]),
            y=float(place[1]),
            colour=frequent.index(name) if name in frequent else None,
            is_right=bool(is_right[index]),
            class_name=name,
            filename=str(images.filenames[row]),
            content_hash=str(images.content_hashes[row]),
            has_picture=index in shown,
        )
        for index, (place, name, row) in enumerate(
            zip(places, names, rows, strict=True)
        )
    )
    explained = float(pca.explained_variance_ratio_.sum())
    return FeatureMap(points, tuple(frequent), explained, len(images))


def _to_unit(values: np.ndarray) -> np.ndarray:
    low = values.min(axis=0)
    unit: np.ndarray = (values - low) / np.maximum(np.ptp(values, axis=0), 1e-12)
    return unit


def _pictured(places: np.ndarray, is_right: np.ndarray) -> set[int]:
    """Return one image of each cell of the grid; mistakes go first."""
    columns, rows = PICTURE_CELLS
    cells = np.minimum(places * (columns, rows), (columns - 1, rows - 1)).astype(int)
    chosen: dict[tuple[int, ...], int] = {}
    for index in np.argsort(is_right, kind="stable"):
        chosen.setdefault(tuple(cells[index]), int(index))
    return set(chosen.values())
