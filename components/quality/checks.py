"""The data checks: turn image statistics and features into findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from graft.components.quality.config import DataQualityConfig
from graft.components.quality.image_statistics import ImageStatistics, near_copies
from graft.contract.split_names import TRAIN_SPLIT

_NUM_FOLDS = 5
_NUM_COMPONENTS = 64
_SEED = 0
# A smaller tolerance is slower and changes few findings
# (docs/decisions/0060-measured-choices.md).
_TOLERANCE = 1e-3
_LARGE_PROBLEM = 1e8
"""Number of all features from which several BLAS threads are faster."""
# The median of fewer distances is not reliable.
_FEWEST_NEIGHBOURS = 20
_NEIGHBOUR_CHUNK = 512

TITLES = {
    "leaks": "Near-copies in different splits",
    "label_conflicts": "Near-copies with different labels",
    "blank": "Blank images",
    "dark": "Dark images",
    "blurred": "Blurred images",
    "tiny": "Tiny images",
    "label_errors": "Doubtful labels",
}
"""Name of each check, in the order of the report."""


@dataclass(frozen=True)
class Example:
    """An image and its statistics."""

    content_hash: str
    filename: str
    class_name: str
    split: str
    statistics: ImageStatistics


@dataclass(frozen=True)
class Finding:
    """One finding of a check.

    Attributes:
        example: The image. The policy `drop` removes it from training.
        message: The reason, with the measured value.
        other: The second image of a pair; None for a single image.
    """

    example: Example
    message: str
    other: Example | None = None


def find_poor_images(
    examples: Sequence[Example], config: DataQualityConfig
) -> dict[str, list[Finding]]:
    """Return tiny, blank, dark and blurred images, each under one check only."""
    found: dict[str, list[Finding]] = {
        name: [] for name in ("blank", "dark", "blurred", "tiny")
    }
    tests: dict[str, Callable[[ImageStatistics], str | None]] = {
        "tiny": lambda image: (
            f"its shorter edge has {image.edge} pixels"
            if image.edge < config.min_edge
            else None
        ),
        "blank": lambda image: (
            f"grey levels deviate by {image.contrast:.1f}"
            if image.contrast < config.min_contrast
            else None
        ),
        "dark": lambda image: (
            f"the mean grey level is {image.brightness:.1f} of 255"
            if image.brightness < config.min_brightness
            else None
        ),
        "blurred": lambda image: (
            f"the sharpness is {image.sharpness:.1f}"
            if image.sharpness < config.min_sharpness
            else None
        ),
    }
    for example in examples:
        for name, test in tests.items():
            if config.policy_of(name) == "off":
                continue
            message = test(example.statistics)
            if message is not None:
                found[name].append(Finding(example, message))
                break
    return found


def find_pairs(
    examples: Sequence[Example], config: DataQualityConfig
) -> dict[str, list[Finding]]:
    """Return near-copies in different splits, and near-copies with different labels."""
    found: dict[str, list[Finding]] = {"leaks": [], "label_conflicts": []}
    if config.leaks == config.label_conflicts == "off":
        return found
    statistics = [example.statistics for example in examples]
    for first, second, distance in near_copies(
        statistics, config.max_distance, config.min_contrast
    ):
        pair = examples[first], examples[second]
        # `drop` removes the image in `train`. Held-out splits stay unchanged.
        example, other = sorted(pair, key=lambda each: each.split != TRAIN_SPLIT)
        apart = f"{distance:.1f} grey levels apart"
        if config.label_conflicts != "off" and example.class_name != other.class_name:
            message = f"{example.class_name} here, {other.class_name} there; {apart}"
            found["label_conflicts"].append(Finding(example, message, other))
        if config.leaks != "off" and example.split != other.split:
            message = f"in {example.split} and in {other.split}; {apart}"
            found["leaks"].append(Finding(example, message, other))
    return found


def find_feature_copies(
    examples: Sequence[Example],
    features_by_hash: dict[str, np.ndarray],
    config: DataQualityConfig,
) -> Iterator[Finding]:
    """Yield training images whose features are close to those of a held-out image.

    This also finds mirrored and cropped copies. Typical distances differ between data
    sets: nearest neighbours of digits are closer than those of photographs. So the
    distance of a pair is divided by the median distance of a held-out image to its
    nearest training image.

    Args:
        examples: All images.
        features_by_hash: Content hash to stored features, float32 (F,).
        config: `leaks` and `max_feature_distance`.
    """
    known = [each for each in examples if each.content_hash in features_by_hash]
    train = [each for each in known if each.split == TRAIN_SPLIT]
    held_out = [each for each in known if each.split != TRAIN_SPLIT]
    if config.leaks == "off" or not train or len(held_out) < _FEWEST_NEIGHBOURS:
        return
    nearest, distances = _nearest(
        _unit_features(held_out, features_by_hash),
        _unit_features(train, features_by_hash),
    )
    usual = float(np.median(distances))
    for index, distance in enumerate(distances):
        if distance >= config.max_feature_distance * usual:
            continue
        other = held_out[index]
        yield Finding(
            train[nearest[index]],
            f"in {TRAIN_SPLIT} and in {other.split}; features are {distance:.4f} apart "
            f"(cosine), usual is {usual:.4f}",
            other,
        )


def _unit_features(
    examples: Sequence[Example], features_by_hash: dict[str, np.ndarray]
) -> np.ndarray:
    values = np.stack([features_by_hash[each.content_hash] for each in examples])
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit: np.ndarray = values / np.maximum(lengths, 1e-12)
    return unit


def _nearest(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return index and cosine distance of each row's nearest neighbour."""
    places, distances = [], []
    for start in range(0, len(rows), _NEIGHBOUR_CHUNK):
        similar = rows[start : start + _NEIGHBOUR_CHUNK] @ others.T
        place = similar.argmax(axis=1)
        places.append(place)
        distances.append(1 - similar[np.arange(len(place)), place])
    return np.concatenate(places), np.concatenate(distances)


def find_label_errors(
    examples: Sequence[Example], features_by_hash: dict[str, np.ndarray]
) -> Iterator[Finding]:
    """Yield training images whose label is probably wrong.

    A logistic regression predicts each fold after a fit on the other folds. Confident
    learning then separates doubtful labels from hard images.

    Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels",
    JAIR 70 (2021).

    Args:
        examples: All images.
        features_by_hash: Content hash to stored features, float32 (F,).
    """
    from cleanlab.filter import find_label_issues
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = [
        each
        for each in examples
        if each.split == TRAIN_SPLIT and each.content_hash in features_by_hash
    ]
    names, labels = np.unique([each.class_name for each in known], return_inverse=True)
    if len(names) < 2 or np.bincount(labels).min() < _NUM_FOLDS:
        return
    values = np.stack([features_by_hash[each.content_hash] for each in known])
    # PCA reads no labels, so one fit serves all folds.
    size = min(_NUM_COMPONENTS, values.shape[1], len(known) // 2)
    axes = make_pipeline(
        StandardScaler(),
        PCA(size, svd_solver="randomized", random_state=_SEED),
        StandardScaler(),
    )
    classifier = LogisticRegression(C=0.1, max_iter=300, tol=_TOLERANCE)
    folds = StratifiedKFold(_NUM_FOLDS, shuffle=True, random_state=_SEED)
    # For a small problem, BLAS threads spend more time waiting than they save.
    with threadpool_limits(1 if values.size < _LARGE_PROBLEM else None):
        values = axes.fit_transform(values)
        probabilities = cross_val_predict(
            classifier, values, labels, cv=folds, method="predict_proba"
        )
    doubtful = find_label_issues(
        labels,
        probabilities,
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    for index in doubtful:
        likely = int(probabilities[index].argmax())
        yield Finding(
            known[index],
            f"labelled {known[index].class_name}, which has a probability of "
            f"{probabilities[index, labels[index]]:.2f}; {names[likely]} has "
            f"{probabilities[index, likely]:.2f}",
        )
