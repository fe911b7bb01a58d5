"""Choose the pictures of the page: images of each class, and of confused classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from graft.components.evaluation.predictions import Predictions

MOST_CLASSES = 20
"""Classes with pictures: of more, those of the least recall."""
SAMPLES_PER_CLASS = 4
CONFUSED_IMAGES = 4
"""Pictures of each pair of confused classes."""
MOST_PAIRS = 6


@dataclass(frozen=True)
class Sample:
    """An image that stands for its class, or for a confusion.

    Attributes:
        content_hash: SHA-256 of the image.
        filename: Relative to the data set's root.
    """

    content_hash: str
    filename: str


@dataclass(frozen=True)
class Group:
    """Images with a common title; `answer` is None for images of a class.

    Attributes:
        true_name: The class.
        answer: The class that they are taken for.
        samples: The images.
        num_images: Number of all such images.
    """

    true_name: str
    answer: str | None
    samples: tuple[Sample, ...]
    num_images: int


def class_samples(
    predictions: Predictions, recalls: Mapping[str, float | None]
) -> tuple[Group, ...]:
    """Return some test images of each class.

    Args:
        predictions: The predictions on `test`.
        recalls: The classes in the order of the page, with their recall.
    """
    names = list(recalls)
    if len(names) > MOST_CLASSES:
        known = [name for name in names if recalls[name] is not None]
        names = sorted(known, key=lambda name: recalls[name] or 0.0)[:MOST_CLASSES]
    truth = predictions.images.class_names
    groups = (
        _group(
            predictions, np.flatnonzero(truth == name), name, None, SAMPLES_PER_CLASS
        )
        for name in names
    )
    return tuple(group for group in groups if group.samples)


def confused_samples(
    predictions: Predictions, pairs: Iterable[tuple[str, str]]
) -> tuple[Group, ...]:
    """Return some test images of each pair of a class and a wrong answer."""
    truth = predictions.images.class_names
    answers = predictions.candidate.predicted_names()
    return tuple(
        _group(
            predictions,
            np.flatnonzero((truth == name) & (answers == answer)),
            name,
            answer,
            CONFUSED_IMAGES,
        )
        for name, answer in list(pairs)[:MOST_PAIRS]
    )


def _group(
    predictions: Predictions,
    places: np.ndarray,
    true_name: str,
    answer: str | None,
    most: int,
) -> Group:
    """Choose images by their content, so that each run shows the same ones."""
    images = predictions.images
    hashes = images.content_hashes[places]
    chosen = places[np.argsort(hashes, kind="stable")[:most]]
    samples = tuple(
        Sample(str(images.content_hashes[index]), str(images.filenames[index]))
        for index in chosen
    )
    return Group(true_name, answer, samples, len(places))
