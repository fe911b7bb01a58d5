"""The stored features that a search for a head trains on.

They are read as the Trainer reads them. Large ones are streamed, anew in each epoch of
each trial.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.heads.prepared import Prepared
from graft.trainer.loops.early_checks import check_reading
from graft.trainer.loops.feature_source import Arrays, FeatureSource
from graft.trainer.loops.input_fn import files_digest
from graft.trainer.loops.linear_heads import prepare_linear
from graft.trainer.loops.streamed_heads import fit_streamed_head, load_unless_large
from graft.trainer.loops.training import Fitted, fit_head

_JUDGED_AT_ONCE = 1024


class Features(Protocol):
    """The stored features of both splits."""

    def fit(
        self, model: ModelConfig, training: TrainingConfig, **others: Any
    ) -> Fitted:
        """Train a head; `others` are further arguments of `fit_head`."""

    def evaluation_batches(self) -> Iterator[Arrays]:
        """Yield the features and labels of `eval`."""

    def width(self) -> int:
        """Return the number of features of an image."""

    def digest(self) -> bytes:
        """Return a hash of all features and labels."""


@dataclass(frozen=True)
class LoadedFeatures:
    """Features in memory."""

    train: Arrays
    evaluation: Arrays
    training: TrainingConfig
    """`feature_power` and `standardize` are those of all trials."""

    @functools.cached_property
    def _prepared(self) -> Prepared:
        """Prepared features that all fits by L-BFGS share, since preparing is slow."""
        return prepare_linear(self.train, self.evaluation, self.training)

    def fit(
        self, model: ModelConfig, training: TrainingConfig, **others: Any
    ) -> Fitted:
        """Train a head; see `fit_head`."""
        return fit_head(
            self.train,
            self.evaluation,
            model=model,
            training=training,
            prepared=self._prepared if training.optimizer == "lbfgs" else None,
            **others,
        )

    def evaluation_batches(self) -> Iterator[Arrays]:
        """Yield the features and labels of `eval`."""
        features, labels = self.evaluation
        for start in range(0, len(labels), _JUDGED_AT_ONCE):
            rows = slice(start, start + _JUDGED_AT_ONCE)
            yield features[rows], labels[rows]

    def width(self) -> int:
        """Return the number of features of an image."""
        return int(self.train[0].shape[1])

    def digest(self) -> bytes:
        """Return a hash of all features and labels."""
        digest = hashlib.sha256()
        for array in (*self.train, *self.evaluation):
            digest.update(np.ascontiguousarray(array).data)
        return digest.digest()


@dataclass(frozen=True)
class StreamedFeatures:
    """Features that are read from their files in every epoch."""

    train: FeatureSource
    evaluation: FeatureSource

    def fit(
        self, model: ModelConfig, training: TrainingConfig, **others: Any
    ) -> Fitted:
        """Train a head; see `fit_streamed_head`."""
        return fit_streamed_head(
            self.train, self.evaluation, model=model, training=training, **others
        )

    def evaluation_batches(self) -> Iterator[Arrays]:
        """Yield the features and labels of `eval`."""
        return self.evaluation.batches(_JUDGED_AT_ONCE)

    def width(self) -> int:
        """Return the number of features of an image."""
        features, _ = next(self.train.batches(1))
        return int(features.shape[1])

    def digest(self) -> bytes:
        """Return a hash of the records of all features and labels."""
        patterns = (*self.train.patterns, *self.evaluation.patterns)
        return files_digest(patterns).encode()


def stored_features(
    train: FeatureSource,
    evaluation: FeatureSource,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    is_pooled: bool,
) -> Features:
    """Load stored features, or prepare to stream them, as the Trainer would.

    Raises:
        UserError: `feature_reading` is `stream`, and the training can't be streamed.
        DataError: A split has no records.
    """
    check_reading(model, training, is_pooled=is_pooled)
    loaded = load_unless_large(
        train, evaluation, model=model, training=training, is_pooled=is_pooled
    )
    if loaded is None:
        return StreamedFeatures(train, evaluation)
    return LoadedFeatures(*loaded, training)
