"""Decide whether a training starts from the head in production.

A solver of a convex problem ends at the same head from any start. So nothing but the
number of steps depends on this decision. The start must fit all the same: the same
features, and columns that follow the names of the classes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.contract.label_map import NO_LABEL, LabelMap
from graft.contract.signature_names import CLASS_NAMES_ASSET
from graft.storage import files, hashing
from graft.storage.paths import join
from graft.trainer.backbones.backbone import backbone_fingerprint
from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.custom_config import (
    OBSTACLE_KEY,
    PREPROCESSING_KEY,
    PRODUCTION_KEY,
    SERVED_FOLDER_KEY,
    SERVED_VERSION_KEY,
)
from graft.trainer.export.linear_head import LinearHead, read_weights
from graft.trainer.heads.warm_start import Start
from graft.trainer.loops.early_checks import has_solver

logger = logging.getLogger(__name__)

_FEWEST_CLASSES = 2
"""Known classes from which a head tells something."""
_MOST_NAMES = 3
OF_A_STREAM = "a fit in mini-batches ends at another head for another start"
"""Why a stream starts from nothing."""


def obstacle_of(
    model: ModelConfig, training: TrainingConfig, *, is_pooled: bool
) -> str:
    """Return why a training can start from no earlier head; "" if it can.

    Only `lbfgs` ends at the same head from any start. docs/decisions/0079-warm-start.md
    has the reasons.
    """
    if not has_solver(model, training, is_pooled=is_pooled):
        return "gradient steps end at another head for another start"
    if training.optimizer == "ridge":
        return "`ridge` is solved at once, without steps"
    return ""


def features_fingerprint(
    model: ModelConfig, training: TrainingConfig, config: Mapping[str, Any]
) -> str:
    """Return a hash of all that decides the features that a linear head sees.

    Args:
        model: The backbone.
        training: `feature_power` is read.
        config: The `custom_config` with the preprocessing.
    """
    return hashing.hash_json(
        {
            "backbone": backbone_fingerprint(model),
            "preset": model.preset,
            "preprocessing": config.get(PREPROCESSING_KEY),
            "power": training.feature_power,
        }
    )


def find_start(
    config: Mapping[str, Any],
    features: str,
    class_names: Sequence[str],
    num_features: int,
) -> tuple[Start | None, str]:
    """Return the head to start from, and a sentence on it without a full stop.

    Args:
        config: The `custom_config`; `PRODUCTION_KEY` tells of the version in
            production.
        features: Fingerprint of the features of this training.
        class_names: Class names in the order of their labels.
        num_features: Number of features of an image.
    """
    served = config.get(PRODUCTION_KEY)
    if served is None:
        return None, nothing("`training.warm_start` is false")
    if OBSTACLE_KEY in served:
        return None, nothing(str(served[OBSTACLE_KEY]))
    version = int(served[SERVED_VERSION_KEY])
    try:
        start = _start_of(str(served[SERVED_FOLDER_KEY]), features, class_names)
    except (OSError, ValueError) as error:
        logger.warning("The head of version %d can't be read: %s", version, error)
        return None, nothing(f"the head of version {version} can't be read")
    misfit = _misfit_of(start, num_features)
    if start is None or misfit:
        return None, nothing(f"version {version} {misfit}")
    names = zip(class_names, start.is_known, strict=True)
    new = [name for name, is_known in names if not is_known]
    told = f"started from version {version}"
    return start, f"{told}, which does not know {_listed(new)}" if new else told


def _start_of(folder: str, features: str, class_names: Sequence[str]) -> Start | None:
    """Read a head, with a column for each class name; None if its features differ."""
    head = LinearHead.read(folder)
    if head.features != features:
        return None
    names_path = join(folder, "assets.extra", CLASS_NAMES_ASSET)
    known = LabelMap.from_text(files.read_text(names_path))
    kernel, bias = read_weights(folder)
    if bias.shape != (len(known),) or kernel.shape[1:] != bias.shape:
        raise ValueError(f"{len(known)} names, but a head of shape {kernel.shape}")
    labels = np.array(known.labels_of(class_names))
    return Start(kernel[:, labels], bias[labels], labels != NO_LABEL, head.penalty)


def _misfit_of(start: Start | None, num_features: int) -> str:
    """Return why a head is no start, in words that follow its version; else ""."""
    if start is None:
        return (
            "was trained on other features (backbone, preprocessing or "
            "`training.feature_power`)"
        )
    if start.is_known.sum() < _FEWEST_CLASSES:
        return "knows other classes"
    is_sound = np.isfinite(start.kernel).all() and np.isfinite(start.bias).all()
    if len(start.kernel) != num_features or not is_sound:
        return "has a head that does not fit the features"
    return ""


def nothing(reason: str) -> str:
    """Return the sentence of a training without a start."""
    return f"started from nothing: {reason}"


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(map(repr, names[:_MOST_NAMES]))
    rest = len(names) - _MOST_NAMES
    return f"{listed} and {rest} more" if rest > 0 else listed
