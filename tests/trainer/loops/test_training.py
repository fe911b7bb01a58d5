"""Training learns, resumes exactly, stops on NaN, and keeps frozen layers."""

from __future__ import annotations

import logging
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from graft.contract.errors import DataError, TrainingError, UserError
from graft.trainer.config import (
    AugmentationConfig,
    DenseLayer,
    DropoutLayer,
    FineTuneConfig,
    ModelConfig,
    TrainingConfig,
)
from graft.trainer.heads.head import build_head
from graft.trainer.heads.objective import build_objective, probabilities
from graft.trainer.heads.warm_start import Start
from graft.trainer.loops.array_epochs import Arrays
from graft.trainer.loops.devices import dtype_policy
from graft.trainer.loops.image_epochs import ImageStream
from graft.trainer.loops.training import Fitted, fit_end_to_end, fit_head
from graft.trainer.loops.training_loop import History, OnEpoch

_MLP = (DenseLayer(units=16), DropoutLayer(rate=0.3))


def _blobs(num_examples: int, num_classes: int, seed: int) -> Arrays:
    centres = np.random.default_rng(9).normal(size=(num_classes, 12))
    rng = np.random.default_rng(seed)
    labels = np.arange(num_examples) % num_classes
    noise = rng.normal(size=(num_examples, 12)) * 0.5
    return (centres[labels] + noise).astype(np.float32), labels


@pytest.mark.parametrize("optimizer", ["ridge", "lbfgs"])
@pytest.mark.parametrize(("output", "num_classes"), [("softmax", 3), ("sigmoid", 2)])
def test_linear_head_by_cross_validation(
    optimizer: str, output: str, num_classes: int
) -> None:
    test = _blobs(200, num_classes, 3)
    fitted = fit_head(
        _blobs(60, num_classes, 1),
        _blobs(30, num_classes, 2),
        model=ModelConfig(output=output),
        training=TrainingConfig(optimizer=optimizer, cross_validation_folds=3),
        num_classes=num_classes,
    )
    scores = np.asarray(probabilities(fitted.head(test[0])))
    assert np.mean(scores.argmax(1) == test[1]) > 0.95
    assert len(fitted.history["penalty"]) > 1


@pytest.mark.parametrize("folds", [None, 3])
def test_a_start_shortens_the_path_but_no_fold_sees_it(folds: int | None) -> None:
    train, evaluation = _blobs(60, 3, 1), _blobs(30, 3, 2)
    penalties = (1e-3, 1e-2, 1e-1, 1.0, 10.0)

    def fit(start: Start | None) -> Fitted:
        return fit_head(
            train,
            evaluation,
            model=ModelConfig(),
            training=TrainingConfig(
                regularization=penalties, cross_validation_folds=folds
            ),
            num_classes=3,
            start=start,
        )

    cold = fit(None)
    weights = cold.head.get_layer("logits").get_weights()
    warm = fit(Start(*weights, np.ones(3, bool), cold.facts.penalty or 0.0))
    assert warm.facts.penalty == cold.facts.penalty
    one, other = (
        np.asarray(probabilities(each.head(evaluation[0]))) for each in (warm, cold)
    )
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
    tried, all_of_them = (each.history["penalty"] for each in (warm, cold))
    if folds:
        assert warm.history == cold.history
    else:
        assert len(tried) < len(all_of_them)


@pytest.mark.parametrize("optimizer", ["ridge", "lbfgs"])
@pytest.mark.parametrize(
    ("penalties", "note"),
    [
        ((100.0, 300.0), "100, is the weakest of `training.regularization`"),
        ((1e-6, 3.0), "3, is the strongest of `training.regularization`"),
        ((0.01,), None),
        ((1e-6, 3.0, 1e6), None),
    ],
    ids=["weakest", "strongest", "one", "inside"],
)
def test_best_penalty_at_the_edge_is_told(
    caplog: pytest.LogCaptureFixture,
    optimizer: str,
    penalties: tuple[float, ...],
    note: str | None,
) -> None:
    # Noisy labels, so that a weak penalty fits the noise.
    rng = np.random.default_rng(5)
    x = rng.normal(size=(150, 40)).astype(np.float32)
    y = (x[:, :8].sum(1) + rng.normal(size=150) > 0).astype(np.int64)
    with caplog.at_level(logging.INFO):
        fitted = fit_head(
            (x[:20], y[:20]),
            (x[20:], y[20:]),
            model=ModelConfig(),
            training=TrainingConfig(optimizer=optimizer, regularization=penalties),
            num_classes=2,
        )
    assert fitted.facts.solver == optimizer
    assert fitted.facts.penalty in penalties
    if note is None:
        assert fitted.facts.notes == ()
        return
    (text,) = fitted.facts.notes
    assert note in text
    assert note in caplog.text


@pytest.mark.parametrize("head", [(), _MLP], ids=["linear", "mlp"])
@pytest.mark.parametrize(("output", "num_classes"), [("softmax", 3), ("sigmoid", 2)])
def test_head_learns(head: tuple[object, ...], output: str, num_classes: int) -> None:
    test = _blobs(200, num_classes, 3)
    fitted = fit_head(
        _blobs(120, num_classes, 1),
        _blobs(60, num_classes, 2),
        model=ModelConfig(head=head, output=output),
        training=TrainingConfig(epochs=25, learning_rate=0.01),
        num_classes=num_classes,
    )
    scores = np.asarray(probabilities(fitted.head(test[0])))
    assert scores.shape == (200, num_classes)
    assert np.mean(scores.argmax(1) == test[1]) > 0.95


def _kill_after(epoch: int, phase: str = "head") -> OnEpoch:
    """End the run after an epoch is trained, before it is saved."""

    def on_epoch(name: str, history: dict[str, list[float]]) -> None:
        if name == phase and len(history["loss"]) == epoch:
            raise KeyboardInterrupt

    return on_epoch


_RESUMED = {
    "cosine, warm-up, EMA, balanced": {
        "ema_momentum": 0.8,
        "warmup_epochs": 1,
        "balanced_sampling": True,
    },
    "plateau, clipped SGD": {
        "schedule": "plateau",
        "plateau_patience": 1,
        "optimizer": "sgd",
        "gradient_clip_norm": 1.0,
        "restore_best": False,
    },
}


@pytest.mark.parametrize("values", _RESUMED.values(), ids=_RESUMED)
def test_killed_run_ends_like_an_unbroken_one(
    values: dict[str, object], tmp_path: Path
) -> None:
    training = TrainingConfig.model_validate({"epochs": 5, "batch_size": 16, **values})

    def fit(folder: str | None, on_epoch: OnEpoch | None = None) -> Fitted:
        return fit_head(
            _blobs(80, 3, 1),
            _blobs(40, 3, 2),
            model=ModelConfig(head=_MLP),
            training=training,
            num_classes=3,
            checkpoint_dir=folder,
            on_epoch=on_epoch,
        )

    unbroken = fit(None)
    folder = str(tmp_path / "checkpoints")
    with pytest.raises(KeyboardInterrupt):
        fit(folder, _kill_after(3))
    resumed = fit(folder)
    for one, two in zip(
        unbroken.head.get_weights(), resumed.head.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    assert resumed.history["eval_loss"] == unbroken.history["eval_loss"]


def test_checkpoint_of_another_run_is_ignored(tmp_path: Path) -> None:
    def fit(seed: int) -> Fitted:
        return fit_head(
            _blobs(40, 2, 1),
            _blobs(40, 2, 2),
            model=ModelConfig(head=_MLP),
            training=TrainingConfig(epochs=2, seed=seed),
            num_classes=2,
            checkpoint_dir=str(tmp_path),
        )

    assert fit(0).history["loss"] != fit(1).history["loss"]


def test_best_epoch_is_returned() -> None:
    """With a rate that is too high, the weights of the least eval loss are restored."""
    evaluation = _blobs(60, 3, 2)
    fitted = fit_head(
        _blobs(60, 3, 1),
        evaluation,
        model=ModelConfig(head=_MLP),
        training=TrainingConfig(
            epochs=6, optimizer="sgd", learning_rate=3.0, schedule="constant"
        ),
        num_classes=3,
    )
    scores = np.asarray(probabilities(fitted.head(evaluation[0])))
    loss = -np.log(scores[np.arange(60), evaluation[1]]).mean()
    assert loss == pytest.approx(min(fitted.history["eval_loss"]), rel=1e-3)


def test_early_stopping() -> None:
    fitted = fit_head(
        _blobs(60, 3, 1),
        _blobs(60, 3, 2),
        model=ModelConfig(head=_MLP),
        training=TrainingConfig(
            epochs=50,
            optimizer="sgd",
            learning_rate=3.0,
            schedule="constant",
            early_stopping_patience=2,
        ),
        num_classes=3,
    )
    losses = fitted.history["eval_loss"]
    assert len(losses) == np.argmin(losses) + 1 + 2 < 50


def test_nan_stops_and_names_the_step(tmp_path: Path) -> None:
    images = ImageStream(
        _stripes(64, 1).records, lambda pixels: tf.where(pixels > 2.6, np.nan, pixels)
    )
    with pytest.raises(TrainingError, match=r"nan at step \d.*no epoch of frozen was"):
        fit_end_to_end(
            images,
            _stripes(32, 2),
            backbone=_tiny_backbone(),
            model=ModelConfig(),
            training=TrainingConfig(strategy="frozen", epochs=2, batch_size=8),
            num_classes=2,
            checkpoint_dir=str(tmp_path),
        )


def test_nan_in_stored_features() -> None:
    features, labels = _blobs(64, 2, 1)
    features[40] = np.nan
    with pytest.raises(TrainingError, match=r"not finite.*example 40"):
        fit_head(
            (features, labels),
            _blobs(40, 2, 2),
            model=ModelConfig(),
            training=TrainingConfig(),
            num_classes=2,
        )


def test_loss_that_diverges_on_stored_features(tmp_path: Path) -> None:
    features, labels = _blobs(64, 2, 1)

    def fit(epochs: int, learning_rate: float) -> Fitted:
        return fit_head(
            (features * 1e3, labels),
            _blobs(40, 2, 2),
            model=ModelConfig(head=_MLP),
            training=TrainingConfig(
                epochs=epochs,
                optimizer="sgd",
                schedule="constant",
                learning_rate=learning_rate,
                batch_size=16,
                standardize=False,
            ),
            num_classes=2,
            checkpoint_dir=str(tmp_path),
        )

    with pytest.raises(TrainingError, match=r"(nan|inf) at step [2-9] \(epoch [12]\)"):
        fit(3, 1e30)


def test_the_last_good_weights_lie_where_the_message_says(tmp_path: Path) -> None:
    features, labels = _blobs(64, 2, 1)
    evaluation = _blobs(40, 2, 2)
    model = ModelConfig(head=_MLP)
    seen: list[float] = []

    def fit(scale: float, on_epoch: OnEpoch | None = None) -> Fitted:
        return fit_head(
            (features * np.float32(scale), labels),
            evaluation,
            model=model,
            training=TrainingConfig(
                optimizer="sgd", learning_rate=0.01, batch_size=16, standardize=False
            ),
            num_classes=2,
            checkpoint_dir=str(tmp_path),
            on_epoch=on_epoch,
        )

    def stop_in_the_fourth(_: str, history: History) -> None:
        seen[:] = history["eval_loss"]
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(1.0, stop_in_the_fourth)
    # It goes on with the fourth epoch, and the images are broken now.
    with pytest.raises(TrainingError, match=r"\(epoch 4\) of head") as caught:
        fit(1e30)
    path = Path(str(caught.value).rpartition("checkpoint is ")[2])
    assert path.parent == tmp_path
    head = build_head(model, features.shape[1:], 2)
    head.compile(keras.optimizers.SGD(momentum=0.9))
    head.load_weights(path)
    objective = build_objective(TrainingConfig())
    loss = objective.eval_loss(np.eye(2)[evaluation[1]], head(evaluation[0]))
    assert float(loss) == pytest.approx(seen[2], rel=1e-5)


def test_class_of_eval_that_train_lacks() -> None:
    """Transform gives such an image the label -1."""
    features, labels = _blobs(60, 3, 2)
    labels[7] = -1
    with pytest.raises(DataError, match="1 image of `eval` in classes that"):
        fit_head(
            _blobs(60, 3, 1),
            (features, labels),
            model=ModelConfig(),
            training=TrainingConfig(),
            num_classes=3,
        )


def test_empty_split() -> None:
    with pytest.raises(DataError, match="60 in `train`, 0 in `eval`"):
        fit_head(
            _blobs(60, 3, 1),
            _blobs(0, 3, 1),
            model=ModelConfig(),
            training=TrainingConfig(),
            num_classes=3,
        )


def test_class_missing_from_train() -> None:
    with pytest.raises(DataError, match=r"\[3\]"):
        fit_head(
            _blobs(60, 3, 1),
            _blobs(60, 3, 2),
            model=ModelConfig(),
            training=TrainingConfig(),
            num_classes=4,
        )


def test_lbfgs_refuses_a_deep_head() -> None:
    with pytest.raises(UserError, match="leave `head` empty"):
        fit_head(
            _blobs(60, 3, 1),
            _blobs(60, 3, 2),
            model=ModelConfig(head=_MLP),
            training=TrainingConfig(strategy="linear"),
            num_classes=3,
        )


# --- The backbone in the loop ---------------------------------------------------------
def _tiny_backbone() -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3))
    x = image
    for block in ("block1", "block2"):
        x = keras.layers.Conv2D(8, 3, strides=2, name=f"{block}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{block}_bn")(x)
        x = keras.layers.ReLU(name=f"{block}_relu")(x)
    backbone = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    backbone.trainable = False
    return backbone


def _stripes(num_images: int, seed: int) -> ImageStream:
    """Make images of horizontal (0) and vertical (1) stripes, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_images) % 2
    wave = np.sign(np.sin(np.arange(16) * np.pi / 2 + 0.1))
    pixels = np.where(labels[:, None, None] == 0, wave[:, None], wave[None, :])
    noise = rng.normal(size=(num_images, 16, 16, 3)) * 0.5
    images = (pixels[..., None] + noise).astype(np.float32)
    return ImageStream(tf.data.Dataset.from_tensor_slices((images, labels)))


def _fit_stripes(
    training: TrainingConfig,
    folder: str | None = None,
    on_epoch: OnEpoch | None = None,
) -> tuple[Fitted, keras.Model]:
    backbone = _tiny_backbone()
    fitted = fit_end_to_end(
        _stripes(64, 1),
        _stripes(32, 2),
        backbone=backbone,
        model=ModelConfig(),
        training=training,
        num_classes=2,
        checkpoint_dir=folder,
        on_epoch=on_epoch,
    )
    return fitted, backbone


def _changed(before: keras.Model, after: keras.Model) -> set[str]:
    pairs = zip(before.weights, after.weights, strict=True)
    return {one.path for one, two in pairs if not np.array_equal(one, two)}


_FINE_TUNE = TrainingConfig(
    strategy="fine_tune",
    epochs=2,
    batch_size=16,
    learning_rate=0.01,
    fine_tune=FineTuneConfig(
        blocks=("block2",), epochs=4, learning_rate=0.01, warmup_epochs=1
    ),
)


def test_frozen_backbone_stays_and_named_blocks_alone_move() -> None:
    """BatchNormalization's statistics don't change, even in an unfrozen block."""
    frozen = TrainingConfig(strategy="frozen", epochs=2, batch_size=16)
    assert not _changed(_tiny_backbone(), _fit_stripes(frozen)[1])
    fitted, backbone = _fit_stripes(_FINE_TUNE)
    assert _changed(_tiny_backbone(), backbone) == {
        "block2_conv/kernel",
        "block2_conv/bias",
        "block2_bn/gamma",
        "block2_bn/beta",
    }
    assert len(fitted.history["loss"]) == 6
    assert fitted.history["eval_accuracy"][-1] > 0.95


def test_killed_fine_tuning_with_augmentation_resumes_exactly(tmp_path: Path) -> None:
    training = _FINE_TUNE.model_copy(
        update={
            "augmentation": AugmentationConfig(
                horizontal_flip=True, rotation_degrees=20, contrast=0.2, mixup=0.3
            )
        }
    )
    unbroken, backbone = _fit_stripes(training)
    with pytest.raises(KeyboardInterrupt):
        _fit_stripes(training, str(tmp_path), _kill_after(3, "fine_tune"))
    resumed, again = _fit_stripes(training, str(tmp_path))
    assert not _changed(backbone, again)
    assert not _changed(unbroken.head, resumed.head)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_in_float32_weights(policy: str) -> None:
    """EMA and rates per block work with float16's loss scaling."""
    training = _FINE_TUNE.model_copy(update={"ema_momentum": 0.5})
    with dtype_policy(policy):
        fitted, backbone = _fit_stripes(training)
        assert backbone.get_layer("block2_conv").compute_dtype == policy[6:]
    assert {w.dtype.name for w in map(np.asarray, fitted.head.get_weights())} == {
        "float32"
    }
    assert fitted.history["eval_accuracy"][-1] > 0.95


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        (FineTuneConfig(blocks=("blok2",)), "block2"),
        (FineTuneConfig(from_layer="block2_con"), "block2_conv"),
    ],
)
def test_unfreezing_what_is_not_there(spec: FineTuneConfig, hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        _fit_stripes(_FINE_TUNE.model_copy(update={"fine_tune": spec}))


def test_a_lower_rate_moves_the_backbone_less() -> None:
    def moved(factor: float) -> float:
        spec = FineTuneConfig(
            blocks=("block2",),
            epochs=1,
            learning_rate=0.01,
            backbone_rate_factor=factor,
            warmup_epochs=0,
        )
        training = _FINE_TUNE.model_copy(update={"fine_tune": spec})
        after = _fit_stripes(training)[1].get_layer("block2_conv").kernel
        before = _tiny_backbone().get_layer("block2_conv").kernel
        return float(np.abs(np.asarray(after) - np.asarray(before)).mean())

    assert moved(0.01) < 0.05 * moved(1.0)
