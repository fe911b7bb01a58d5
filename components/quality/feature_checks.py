"""The checks on stored features: copies of held-out images, and doubtful labels."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from graft.components.quality.config import DataQualityConfig
from graft.components.quality.feature_table import FeatureTable
from graft.components.quality.findings import Findings
from graft.components.quality.image_table import ImageTable
from graft.contract.split_names import TRAIN_SPLIT

if TYPE_CHECKING:
    from sklearn.model_selection import StratifiedKFold

MOST_COMPARED = 2_000_000_000
"""Pairs of a held-out and a training image whose features are compared."""

MOST_PROBABILITIES = 20_000_000
"""Images times classes whose labels are checked."""

MOST_NUMBERS = 250_000_000
"""Images times numbers of a feature whose labels are checked."""

_NUM_FOLDS = 5
_NUM_COMPONENTS = 64
_SEED = 0
# A smaller tolerance is slower and changes few findings
# (docs/decisions/0060-measured-choices.md).
_TOLERANCE = 1e-3
_STRENGTH = 0.1
"""Inverse of the L2 penalty on the sum of the losses: `C` of scikit-learn."""
_MANY_PROBABILITIES = 5_000_000
"""Images times classes from which the solver for many classes is faster."""
_LARGE_PROBLEM = 1e8
"""Number of all features from which several BLAS threads are faster."""
# The median of fewer distances is not reliable.
_FEWEST_NEIGHBOURS = 20
_NEIGHBOUR_CHUNK = 512
_OTHERS_AT_ONCE = 1 << 15


def find_feature_copies(
    images: ImageTable, features: FeatureTable, config: DataQualityConfig
) -> Findings:
    """Return training images whose features are close to those of a held-out image.

    This also finds mirrored and cropped copies. Typical distances differ between data
    sets: nearest neighbours of digits are closer than those of photographs. So the
    distance of a pair is divided by the median distance of a held-out image to its
    nearest training image.

    Args:
        images: All images.
        features: Their features; some images may have none.
        config: `leaks` and `max_feature_distance`.
    """
    rows = images.rows_of(features.content_hashes)
    is_train = images.is_in(TRAIN_SPLIT)[rows] & (rows >= 0)
    train = np.flatnonzero(is_train)
    held_out = np.flatnonzero(~is_train & (rows >= 0))
    is_off = config.leaks == "off" or not config.max_feature_distance
    if is_off or not len(train) or len(held_out) < _FEWEST_NEIGHBOURS:
        return Findings(images)
    count = max(_FEWEST_NEIGHBOURS, MOST_COMPARED // len(train))
    asked = _sample(features, held_out, count)
    nearest, distances = _nearest(features.values, asked, train)
    usual = float(np.median(distances))
    keep = np.flatnonzero(distances < config.max_feature_distance * usual)
    first, second = rows[nearest[keep]], rows[asked[keep]]
    apart = distances[keep]

    def tell(index: int) -> str:
        return (
            f"in {TRAIN_SPLIT} and in {images.split(second[index])}; features are "
            f"{apart[index]:.4f} apart (cosine), usual is {usual:.4f}"
        )

    left_out = _counted("held-out images, by features", len(held_out) - len(asked))
    return Findings(images, first, second, tell, left_out)


def find_label_errors(
    images: ImageTable, features: FeatureTable, confirmed: Collection[str] = ()
) -> Findings:
    """Return training images whose label is probably wrong.

    A logistic regression predicts each fold after a fit on the other folds. Confident
    learning then separates doubtful labels from hard images.

    Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels",
    JAIR 70 (2021).

    Args:
        images: All images.
        features: Their features; some images may have none.
        confirmed: Content hashes of images whose label a person gave or confirmed.
            They are learned from, and never found.
    """
    from cleanlab.filter import find_label_issues

    rows = images.rows_of(features.content_hashes)
    train = np.flatnonzero(images.is_in(TRAIN_SPLIT)[rows] & (rows >= 0))
    num_classes = len(np.unique(images.numbers["class_id"][rows[train]]))
    if num_classes < 2:
        return Findings(images)
    most = MOST_PROBABILITIES // num_classes, MOST_NUMBERS // features.values.shape[1]
    known = _sample(features, train, min(most))
    left_out = _counted("images, for doubtful labels", len(train) - len(known))
    given = images.numbers["class_id"][rows[known]]
    # Classes in the order of their names.
    ids, labels = np.unique(given, return_inverse=True)
    order = np.argsort([images.class_names[each] for each in ids])
    ids, labels = ids[order], np.argsort(order)[labels]
    if np.bincount(labels).min() < _NUM_FOLDS:
        return Findings(images, not_searched=left_out)
    probabilities = _out_of_fold(features.values[known], labels)
    doubtful = find_label_issues(
        labels,
        probabilities,
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    sure = pa.array(sorted(confirmed), pa.string())
    hashes = features.content_hashes.take(pa.array(known[doubtful]))
    is_sure = pc.is_in(hashes, value_set=sure).to_numpy(zero_copy_only=False)
    doubtful = doubtful[~is_sure]
    found = rows[known[doubtful]]
    likely = probabilities[doubtful].argmax(axis=1)
    own = probabilities[doubtful, labels[doubtful]]
    best = probabilities[doubtful, likely]

    def tell(index: int) -> str:
        other = images.class_names[ids[likely[index]]]
        return (
            f"labelled {images.class_name(found[index])}, which has a probability of "
            f"{own[index]:.2f}; {other} has {best[index]:.2f}"
        )

    def facts(index: int) -> dict[str, Any]:
        return {
            "suggestion": images.class_names[ids[likely[index]]],
            "confidence": float(best[index]),
        }

    return Findings(images, found, tell=tell, not_searched=left_out, facts=facts)


def _out_of_fold(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probabilities of each image, by a fit without its fold."""
    from sklearn.decomposition import PCA
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # PCA reads no labels, so one fit serves all folds.
    size = min(_NUM_COMPONENTS, values.shape[1], len(values) // 2)
    axes = make_pipeline(
        StandardScaler(),
        PCA(size, svd_solver="randomized", random_state=_SEED),
        StandardScaler(),
    )
    # For a small problem, BLAS threads spend more time waiting than they save.
    with threadpool_limits(1 if values.size < _LARGE_PROBLEM else None):
        features = axes.fit_transform(values)
        folds = StratifiedKFold(_NUM_FOLDS, shuffle=True, random_state=_SEED)
        if len(labels) * (labels.max() + 1) >= _MANY_PROBABILITIES:
            return _predict_many_classes(features, labels, folds)
        return _predict_few_classes(features, labels, folds)


def _predict_few_classes(
    features: np.ndarray, labels: np.ndarray, folds: StratifiedKFold
) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    probabilities: np.ndarray = cross_val_predict(
        LogisticRegression(C=_STRENGTH, max_iter=300, tol=_TOLERANCE),
        features,
        labels,
        cv=folds,
        method="predict_proba",
    )
    return probabilities


def _predict_many_classes(
    features: np.ndarray, labels: np.ndarray, folds: StratifiedKFold
) -> np.ndarray:
    """Do the same by graft's solver, whose steps are faster with many classes."""
    from graft.trainer.heads.many_classes import fit_penalty

    probabilities = np.empty((len(labels), int(labels.max()) + 1), np.float32)
    for rest, held_out in folds.split(features, labels):
        penalty = 1 / (_STRENGTH * len(rest))
        predict = fit_penalty(features[rest], labels[rest], penalty)
        probabilities[held_out] = predict(features[held_out])
    return probabilities


def _sample(features: FeatureTable, places: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the places, chosen by content, in their order."""
    if len(places) <= count:
        return places
    order = pc.array_sort_indices(features.content_hashes.take(pa.array(places)))
    chosen: np.ndarray = np.sort(places[order.to_numpy()[:count]])
    return chosen


def _counted(what: str, number: int) -> dict[str, int]:
    return {what: number} if number else {}


def _nearest(
    values: np.ndarray, rows: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's nearest neighbour among others, and its cosine distance."""
    places = np.zeros(len(rows), np.int64)
    best = np.full(len(rows), -np.inf, np.float32)
    # A copy of all others would take as much memory as the features.
    for begin in range(0, len(others), _OTHERS_AT_ONCE):
        some = others[begin : begin + _OTHERS_AT_ONCE]
        of_others = _unit(values[some])
        for start in range(0, len(rows), _NEIGHBOUR_CHUNK):
            part = slice(start, start + _NEIGHBOUR_CHUNK)
            similar = _unit(values[rows[part]]) @ of_others.T
            place = similar.argmax(axis=1)
            found = similar[np.arange(len(place)), place]
            is_nearer = found > best[part]
            places[part] = np.where(is_nearer, some[place], places[part])
            best[part] = np.where(is_nearer, found, best[part])
    return places, 1 - best


def _unit(values: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit: np.ndarray = values / np.maximum(lengths, 1e-12)
    return unit
