"""Bad configs and their messages."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from graft.trainer.config import FineTuneConfig, ModelConfig, TrainingConfig

_BAD_MODELS = {
    "unknown key": ({"presset": "vgg16"}, "presset"),
    "no such layer": ({"head": [{"type": "lstm"}]}, "dense"),
    "dropout of 1": ({"head": [{"type": "dropout", "rate": 1.0}]}, "less than 1"),
    "the same cut twice": ({"cut": ["a", "a"]}, "different layers"),
    "an empty cut": ({"cut": []}, "one or more"),
    "an output that is none": ({"output": "multi_label"}, "softmax"),
    "half a hash": ({"weights_sha256": "abc"}, "pattern"),
}
_BAD_TRAININGS = {
    "augmented features": ({"augmentation": {"zoom": 0.2}}, "needs strategy `frozen`"),
    "lbfgs in the loop": ({"strategy": "frozen", "optimizer": "lbfgs"}, "stored"),
    "linear by adam": ({"strategy": "linear", "optimizer": "adam"}, "solved by"),
    "ridge in the loop": ({"strategy": "frozen", "optimizer": "ridge"}, "stored"),
    "smoothed squares": (
        {"optimizer": "ridge", "label_smoothing": 0.1},
        "squared loss",
    ),
    "one fold": ({"cross_validation_folds": 1}, "greater than or equal to 2"),
    "a format that is none": ({"mixed_precision": "int8"}, "'bfloat16'"),
    "a penalty of 0": ({"regularization": [0.0]}, "positive"),
    "no epochs": ({"epochs": 0}, "greater than 0"),
    "warm-up before a plateau": (
        {"schedule": "plateau", "warmup_epochs": 1},
        "`plateau`",
    ),
}


@pytest.mark.parametrize(("values", "message"), _BAD_MODELS.values(), ids=_BAD_MODELS)
def test_bad_model(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelConfig.model_validate(values)


@pytest.mark.parametrize(
    ("values", "message"), _BAD_TRAININGS.values(), ids=_BAD_TRAININGS
)
def test_bad_training(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingConfig.model_validate(values)


def test_blocks_and_layer_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="not both"):
        FineTuneConfig(blocks=("block5",), from_layer="block5_conv1")


def test_every_field_is_described() -> None:
    for config in (ModelConfig, TrainingConfig, FineTuneConfig):
        for name, field in config.model_fields.items():
            assert field.description, f"{config.__name__}.{name}"


def test_one_cut_layer_needs_no_list() -> None:
    assert ModelConfig.model_validate({"cut": "mixed7"}).cut == ("mixed7",)
