"""The checks: from what images look like to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graft.components.quality.config import DataQualityConfig
from graft.components.quality.image_statistics import Look, near_copies
from graft.contract.split_names import TRAIN_SPLIT

_NUM_FOLDS = 5
_NUM_COMPONENTS = 64
_SEED = 0
# Doubt needs no more digits of a probability (docs/decisions/0060-measured-choices.md).
_TOLERANCE = 1e-3
# Fewer distances do not tell what is usual.
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
    """An image among the data."""

    content_hash: str
    filename: str
    class_name: str
    split: str
    look: Look


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        example: The image; it is the one that `drop` leaves out.
        message: What is the matter.
        other: The other image of a pair.
    """

    example: Example
    message: str
    other: Example | None = None


def find_poor_images(
    examples: Sequence[Example], config: DataQualityConfig
) -> dict[str, list[Finding]]:
    """Return blank, dark, blurred and tiny images, each under the first that holds."""
    found: dict[str, list[Finding]] = {
        name: [] for name in ("blank", "dark", "blurred", "tiny")
    }
    tests: dict[str, Callable[[Look], str | None]] = {
        "tiny": lambda look: (
            f"its shorter edge has {look.edge} pixels"
            if look.edge < config.min_edge
            else None
        ),
        "blank": lambda look: (
            f"grey levels deviate by {look.contrast:.1f}"
            if look.contrast < config.min_contrast
            else None
        ),
        "dark": lambda look: (
            f"the mean grey level is {look.brightness:.1f} of 255"
            if look.brightness < config.min_brightness
            else None
        ),
        "blurred": lambda look: (
            f"the sharpness is {look.sharpness:.1f}"
            if look.sharpness < config.min_sharpness
            else None
        ),
    }
    for example in examples:
        for name, test in tests.items():
            if config.policy_of(name) == "off":
                continue
            message = test(example.look)
            if message is not None:
                found[name].append(Finding(example, message))
                break
    return found


def find_pairs(
    examples: Sequence[Example], config: DataQualityConfig
) -> dict[str, list[Finding]]:
    """Return near-copies in different splits, and those with different labels."""
    found: dict[str, list[Finding]] = {"leaks": [], "label_conflicts": []}
    if config.leaks == config.label_conflicts == "off":
        return found
    looks = [example.look for example in examples]
    for first, second, distance in near_copies(
        looks, config.max_distance, config.min_contrast
    ):
        pair = examples[first], examples[second]
        # The one in `train` is the one to leave out: held-out splits stay what they
        # are.
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
    """Yield training images that are copies of held-out ones to the backbone's eye.

    So a mirrored or cropped copy is found, too, whose pixels are elsewhere. How far
    images are apart depends on what they show: the nearest neighbours of digits are
    much closer than those of photographs. So a pair counts as copies by its distance
    as a share of the usual distance of a held-out image to its nearest training image.

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
    """Yield training images whose label an unprejudiced classifier finds unlikely.

    Each fold is judged by a logistic regression that was fitted on the others;
    confident learning tells doubtful labels from hard images.

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
    # The axes know no labels, so that all folds may share them.
    size = min(_NUM_COMPONENTS, values.shape[1], len(known) // 2)
    axes = make_pipeline(
        StandardScaler(),
        PCA(size, svd_solver="randomized", random_state=_SEED),
        StandardScaler(),
    )
    values = axes.fit_transform(values)
    classifier = LogisticRegression(C=0.1, max_iter=300, tol=_TOLERANCE)
    folds = StratifiedKFold(_NUM_FOLDS, shuffle=True, random_state=_SEED)
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
