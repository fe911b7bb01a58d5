"""A training starts from production's head only if its features are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from graft.trainer.config import DenseLayer, ModelConfig, TrainingConfig
from graft.trainer.export.linear_head import LinearHead, read_weights
from graft.trainer.warm_start import features_fingerprint, find_start, obstacle_of

KERNEL = np.arange(12, dtype=np.float32).reshape(4, 3)
BIAS = np.array([10.0, 20.0, 30.0], np.float32)
NAMES = ("ape", "bee", "cow")


class _Exported(tf.Module):
    """What `ServingModel` saves of a head."""

    def __init__(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        layer = keras.layers.Dense(kernel.shape[1])
        layer.build((None, kernel.shape[0]))
        layer.set_weights([kernel, bias])
        self.backbone = tf.Variable(np.zeros(5, np.float32))
        self.head_variables = [variable.value for variable in layer.variables]


def _save(
    folder: Path,
    names: tuple[str, ...] = NAMES,
    kernel: np.ndarray = KERNEL,
    bias: np.ndarray = BIAS,
) -> dict[str, Any]:
    """Save a head; return the `custom_config` that names it."""
    tf.saved_model.save(_Exported(kernel, bias), str(folder))
    LinearHead("features", 0.3).write(str(folder))
    text = "".join(f"{name}\n" for name in names)
    (folder / "assets.extra" / "class_names.txt").write_text(text)
    return {"production": {"version": 7, "folder": str(folder)}}


def test_columns_follow_the_names_of_classes(tmp_path: Path) -> None:
    config = _save(tmp_path)
    start, told = find_start(config, "features", ("cow", "dog", "ape"), 4)
    assert start is not None
    assert start.is_known.tolist() == [True, False, True]
    np.testing.assert_array_equal(start.kernel[:, [0, 2]], KERNEL[:, [2, 0]])
    np.testing.assert_array_equal(start.bias[[0, 2]], BIAS[[2, 0]])
    assert start.penalty == 0.3
    assert told == "started from version 7, which does not know 'dog'"


def test_the_same_classes_are_the_same_head(tmp_path: Path) -> None:
    start, told = find_start(_save(tmp_path), "features", NAMES, 4)
    assert start is not None
    np.testing.assert_array_equal(start.kernel, KERNEL)
    assert told == "started from version 7"


def test_many_new_classes_are_told_in_one_line(tmp_path: Path) -> None:
    names = (*NAMES, *"defgh")
    _, told = find_start(_save(tmp_path), "features", names, 4)
    assert told == (
        "started from version 7, which does not know 'd', 'e', 'f' and 2 more"
    )


def test_one_logit_becomes_two(tmp_path: Path) -> None:
    config = _save(tmp_path, ("no", "yes"), KERNEL[:, :1], BIAS[:1])
    start, _ = find_start(config, "features", ("no", "yes"), 4)
    assert start is not None
    np.testing.assert_array_equal(start.kernel[:, 1] - start.kernel[:, 0], KERNEL[:, 0])
    assert start.bias.tolist() == [-5.0, 5.0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"features": "others"},
            "version 7 was trained on other features (backbone, preprocessing or "
            "`training.feature_power`)",
        ),
        ({"names": ("x", "y", "ape")}, "version 7 knows other classes"),
        ({"width": 5}, "version 7 has a head that does not fit the features"),
    ],
    ids=["features", "classes", "width"],
)
def test_another_head_is_no_start(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    arguments = {"features": "features", "names": NAMES, "width": 4, **changes}
    found = find_start(_save(tmp_path), *arguments.values())
    assert found == (None, f"started from nothing: {reason}")


def test_a_head_with_infinite_weights_is_no_start(tmp_path: Path) -> None:
    config = _save(tmp_path, bias=np.array([1, np.inf, 0], np.float32))
    start, told = find_start(config, "features", NAMES, 4)
    assert start is None
    assert "does not fit the features" in told


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "assets.extra/linear_head.json").write_text("{"),
        lambda folder: (folder / "assets.extra/linear_head.json").write_text("[]"),
        lambda folder: (folder / "assets.extra/linear_head.json").unlink(),
        lambda folder: (folder / "assets.extra/class_names.txt").write_text("a\na\n"),
        lambda folder: (folder / "assets.extra/class_names.txt").write_text("a\nb\n"),
        lambda folder: (folder / "variables/variables.index").write_bytes(b"junk"),
        lambda folder: (folder / "variables/variables.index").unlink(),
    ],
    ids=["json", "list", "no file", "twice", "fewer", "index", "no index"],
)
def test_a_head_that_cannot_be_read_is_no_start(tmp_path: Path, damage: Any) -> None:
    config = _save(tmp_path)
    damage(tmp_path)
    found = find_start(config, "features", NAMES, 4)
    assert found == (None, "started from nothing: the head of version 7 can't be read")


def test_obstacles_are_told() -> None:
    config = {"production": {"obstacle": "no version is in production"}}
    assert find_start(config, "features", NAMES, 4) == (
        None,
        "started from nothing: no version is in production",
    )
    assert find_start({}, "features", NAMES, 4) == (
        None,
        "started from nothing: `training.warm_start` is false",
    )


def test_layers_before_the_logits_have_no_weights_to_read(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(ValueError, match="holds no linear head"):
        read_weights(str(tmp_path))


@pytest.mark.parametrize(
    ("model", "training", "is_pooled", "expected"),
    [
        ({}, {}, True, ""),
        ({}, {"optimizer": "lbfgs"}, True, ""),
        ({}, {"optimizer": "ridge"}, True, "without steps"),
        ({}, {"optimizer": "adamw"}, True, "gradient steps"),
        ({"head": (DenseLayer(units=3),)}, {}, True, "gradient steps"),
        ({}, {}, False, "gradient steps"),
    ],
)
def test_only_lbfgs_can_start(
    model: dict[str, Any], training: dict[str, Any], is_pooled: bool, expected: str
) -> None:
    found = obstacle_of(
        ModelConfig(**model), TrainingConfig(**training), is_pooled=is_pooled
    )
    assert bool(found) == bool(expected)
    assert expected in found


def test_whatever_changes_features_changes_their_fingerprint() -> None:
    def fingerprint(power: float = 1.0, spec: str = "{}", **model: Any) -> str:
        network = ModelConfig(**{"weights": "none", "image_size": 32, **model})
        training = TrainingConfig(feature_power=power)
        return features_fingerprint(network, training, {"preprocessing": spec})

    others = [
        fingerprint(0.5),
        fingerprint(spec=json.dumps({"height": 1})),
        fingerprint(image_size=64),
        fingerprint(cut=("top_activation",)),
        fingerprint(preset="efficientnet_lite1"),
    ]
    assert len({fingerprint(), *others}) == len(others) + 1
    assert fingerprint() == fingerprint(output="sigmoid")
