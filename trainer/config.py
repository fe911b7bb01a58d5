"""Config of model and training, one frozen pydantic model per concern.

It is longer than other modules, since each key has its description, which
docs/config.md repeats.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from graft.contract.strict_model import StrictModel
from graft.trainer import training_modes as by

Activation = Literal[
    "linear", "relu", "relu6", "elu", "selu", "gelu", "silu", "tanh", "sigmoid"
]
Strategy = Literal["feature_extraction", "linear", "frozen", "fine_tune"]
Optimizer = Literal["auto", "lbfgs", "ridge", "adam", "adamw", "sgd", "rmsprop"]
MixedPrecision = Literal["auto", "bfloat16", "float16", "off"]
SOLVERS = ("lbfgs", "ridge")
"""Optimizers that fit a linear head directly, without epochs."""


# --- The head, layer by layer ---------------------------------------------------------
class DenseLayer(StrictModel):
    """A fully connected layer with its activation."""

    type: Literal["dense"] = Field("dense", description="Kind of layer.")
    units: int = Field(gt=0, description="Number of outputs.")
    activation: Activation = Field("relu", description="Non-linearity after the layer.")
    l2: float = Field(0.0, ge=0, description="L2 penalty on the kernel.")


class Conv2DLayer(StrictModel):
    """A convolution over a spatial feature map. It needs `pooling: none`."""

    type: Literal["conv2d"] = Field("conv2d", description="Kind of layer.")
    filters: int = Field(gt=0, description="Number of output channels.")
    kernel_size: int = Field(3, gt=0, description="Edge of the kernel, in cells.")
    strides: int = Field(1, gt=0, description="Step of the kernel, in cells.")
    padding: Literal["valid", "same"] = Field("valid", description="Border handling.")
    activation: Activation = Field("relu", description="Non-linearity after the layer.")
    l2: float = Field(0.0, ge=0, description="L2 penalty on the kernel.")


class DropoutLayer(StrictModel):
    """Dropout, active only in training."""

    type: Literal["dropout"] = Field("dropout", description="Kind of layer.")
    rate: float = Field(ge=0, lt=1, description="Share of values set to zero.")


class BatchNormLayer(StrictModel):
    """Batch normalization."""

    type: Literal["batch_norm"] = Field("batch_norm", description="Kind of layer.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of the averages.")


class PoolingLayer(StrictModel):
    """Global pooling of a feature map over space."""

    type: Literal["pooling"] = Field("pooling", description="Kind of layer.")
    method: Literal["avg", "max"] = Field("avg", description="Average or maximum.")


class FlattenLayer(StrictModel):
    """Flattens a feature map into one vector."""

    type: Literal["flatten"] = Field("flatten", description="Kind of layer.")


class ActivationLayer(StrictModel):
    """A non-linearity as a separate layer."""

    type: Literal["activation"] = Field("activation", description="Kind of layer.")
    activation: Activation = Field(description="The non-linearity.")


HeadLayer = Annotated[
    DenseLayer
    | Conv2DLayer
    | DropoutLayer
    | BatchNormLayer
    | PoolingLayer
    | FlattenLayer
    | ActivationLayer,
    Field(discriminator="type"),
]


class ModelConfig(StrictModel):
    """The network: a pretrained backbone, its cut, and the head."""

    preset: str = Field(
        "efficientnet_lite0",
        description="Name of a backbone; `graft presets` lists them. Other models of "
        "keras.applications work by their own names, for instance `DenseNet121`.",
    )
    weights: str | None = Field(
        None,
        description="File or URI of pretrained weights (.h5, .weights.h5, .keras); "
        "empty: the preset's own; `none`: random weights.",
    )
    weights_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="Expected SHA-256 of the file `weights`.",
    )
    image_size: int | None = Field(
        None, gt=0, description="Edge of the square input in pixels; empty: preset's."
    )
    cut: tuple[str, ...] | None = Field(
        None,
        description="Layers whose outputs are the features. Outputs of several layers "
        "are pooled and concatenated. Empty: the preset's choice (`graft presets`), or "
        "the last layer with pooling `none`.",
    )
    pooling: Literal["avg", "max", "none"] = Field(
        "avg", description="Pooling of features over space; `none` keeps (h, w, c)."
    )
    head: tuple[HeadLayer, ...] = Field(
        (),
        description="Layers between the features and the output layer. The output "
        "layer is always added. Empty: a linear head.",
    )
    output: Literal["softmax", "sigmoid"] = Field(
        "softmax",
        description="`sigmoid` is a single logit, for two classes only.",
    )

    @field_validator("cut", mode="before")
    @classmethod
    def _wrap_single_name(cls, cut: object) -> object:
        return (cut,) if isinstance(cut, str) else cut

    @field_validator("cut")
    @classmethod
    def _check_cut(cls, cut: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if cut is not None and (not cut or len(set(cut)) != len(cut)):
            raise ValueError(
                f"`cut` must name one or more different layers. Received: {cut!r}"
            )
        return cut


# --- Training -------------------------------------------------------------------------
class AugmentationConfig(StrictModel):
    """Random changes of training images. They need the backbone in the loop."""

    horizontal_flip: bool = Field(False, description="Mirror half of the images.")
    vertical_flip: bool = Field(
        False, description="Flip half of the images upside down."
    )
    rotation_degrees: float = Field(
        0.0, ge=0, le=180, description="Rotate by up to this angle in either direction."
    )
    shift: float = Field(
        0.0, ge=0, lt=1, description="Move by up to this share of height and width."
    )
    zoom: float = Field(
        0.0, ge=0, lt=1, description="Scale height and width by 1 +/- this share."
    )
    shear: float = Field(0.0, ge=0, le=1, description="Shear by up to this share.")
    contrast: float = Field(
        0.0, ge=0, lt=1, description="Scale contrast by 1 +/- this."
    )
    brightness: float = Field(
        0.0, ge=0, lt=1, description="Brighten or darken by up to this share of 255."
    )
    fill_mode: Literal["nearest", "reflect", "wrap", "constant"] = Field(
        "nearest", description="How to fill pixels outside of the image."
    )
    rand_augment_layers: int = Field(
        0,
        ge=0,
        le=10,
        description="RandAugment's random operations per image; 0: off.",
    )
    rand_augment_strength: float = Field(
        0.5, gt=0, le=1, description="Strength of RandAugment's operations."
    )
    mixup: float = Field(
        0.0, ge=0, description="Alpha of mixup's beta distribution; 0: off."
    )
    cutmix: float = Field(
        0.0, ge=0, description="Alpha of CutMix's beta distribution; 0: off."
    )


class FineTuneConfig(StrictModel):
    """The second phase of `fine_tune`: blocks to train, and learning rates."""

    blocks: tuple[str, ...] | None = Field(
        None,
        description="Blocks to unfreeze, by the prefix of their layers' names; "
        "empty: the preset's choice.",
    )
    from_layer: str | None = Field(
        None, description="Unfreeze this layer and all later ones."
    )
    epochs: int = Field(5, gt=0, description="Epochs of the second phase.")
    learning_rate: float = Field(
        1e-5, gt=0, description="Peak learning rate of the head in the second phase."
    )
    backbone_rate_factor: float = Field(
        1.0, gt=0, le=1, description="The backbone's rate as a share of the head's."
    )
    block_rate_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Rate of each unfrozen block as a share of the next deeper "
        "block's (discriminative learning rates).",
    )
    warmup_epochs: float = Field(
        1.0, ge=0, description="Epochs over which the rate rises from zero."
    )

    @model_validator(mode="after")
    def _check_boundary(self) -> FineTuneConfig:
        if self.blocks is not None and self.from_layer is not None:
            raise ValueError(
                "give `blocks` or `from_layer`, not both. Received: "
                f"blocks={self.blocks!r}, from_layer={self.from_layer!r}"
            )
        return self


class TrainingConfig(StrictModel):
    """Training of the head and, with `fine_tune`, of the backbone."""

    strategy: Strategy = Field(
        "feature_extraction",
        description="`feature_extraction` trains a head on stored features. `linear` "
        "does the same with a linear head. `frozen` keeps the frozen backbone in the "
        "loop, which allows augmentation. `fine_tune` then unfreezes a part of it.",
    )
    optimizer: Optimizer = Field(
        "auto",
        description="`lbfgs` is logistic regression. `ridge` is least squares in "
        "closed form. `auto` is `lbfgs` for a linear head on stored features, "
        "otherwise `adamw`.",
    )
    epochs: by.Gradient[int] = Field(30, gt=0, description="Most passes over `train`.")
    batch_size: by.Gradient[int] = Field(32, gt=0, description="Examples per step.")
    learning_rate: by.Gradient[float] = Field(
        1e-3, gt=0, description="Peak learning rate."
    )
    weight_decay: by.WeightDecay[float] = Field(
        1e-4, ge=0, description="Decay of AdamW and SGD."
    )
    momentum: by.Momentum[float] = Field(
        0.9, ge=0, lt=1, description="Momentum of SGD."
    )
    gradient_clip_norm: by.Gradient[float | None] = Field(
        None, gt=0, description="Greatest global norm of gradients; empty: no limit."
    )
    schedule: by.Gradient[Literal["constant", "cosine", "plateau"]] = Field(
        "cosine", description="Schedule of the learning rate."
    )
    warmup_epochs: by.Gradient[float] = Field(
        0.0, ge=0, description="Epochs over which the rate rises from zero."
    )
    plateau_patience: by.Plateau[int] = Field(
        3, gt=0, description="Epochs without progress before the rate falls to a third."
    )
    early_stopping_patience: by.Gradient[int | None] = Field(
        None, gt=0, description="Epochs without progress before training stops."
    )
    restore_best: by.Gradient[bool] = Field(
        True, description="Keep the weights of the epoch with the least eval loss."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread over all classes."
    )
    class_weights: Literal["balanced"] | tuple[float, ...] | None = Field(
        None,
        description="Weight of each class in the loss, in the order of the label "
        "map; `balanced`: inverse to its frequency.",
    )
    balanced_sampling: by.Gradient[bool] = Field(
        False, description="Sample all classes equally often in each epoch."
    )
    ema_momentum: by.Gradient[float | None] = Field(
        None, gt=0, lt=1, description="Average the weights with this momentum."
    )
    feature_power: by.Stored[float] = Field(
        1.0,
        gt=0,
        le=1,
        description="Raise stored features to this power first, and keep their signs. "
        "The square root, 0.5, helps with few images and many features.",
    )
    standardize: by.Stored[bool | None] = Field(
        None,
        description="Standardize stored features to mean 0 and variance 1 in the head; "
        "empty: only pooled features.",
    )
    feature_reading: by.Stored[Literal["auto", "memory", "stream"]] = Field(
        "auto",
        description="`memory` collects all stored features in one array. It is mapped "
        "from a temporary file if it takes more than an eighth of the memory. `stream` "
        "reads them from their files in every epoch; its memory doesn't depend on the "
        "number of images. `auto` is `stream` for features of more than 2 GiB (150,000 "
        "images of 3,584 numbers), otherwise `memory`.",
    )
    regularization: by.Solver[tuple[float, ...]] = Field(
        (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0),
        description="L2 penalties that `lbfgs` and `ridge` try. They use the one with "
        "the least loss on `eval`.",
    )
    cross_validation_folds: by.Solver[int | None] = Field(
        None,
        ge=2,
        le=20,
        description="Choose the penalty by cross-validation with this number of folds "
        "over `train` and `eval`; empty: on `eval` only.",
    )
    warm_start: by.Solver[bool] = Field(
        True,
        description="Let `lbfgs` start from the head in production, if its features "
        "are the same. It ends at the same head, in fewer steps.",
    )
    augmentation: by.InTheLoop[AugmentationConfig] = Field(
        AugmentationConfig(), description="Random changes of training images."
    )
    fine_tune: by.FineTune[FineTuneConfig] = Field(
        FineTuneConfig(), description="The second phase of `fine_tune`."
    )
    mixed_precision: by.InTheLoop[MixedPrecision] = Field(
        "auto",
        description="16-bit arithmetic with the backbone in the loop. `auto` takes the "
        "format that the GPU is fast at, and is off without a GPU. The exported model "
        "is always float32.",
    )
    devices: by.InTheLoop[Literal["all", "one"]] = Field(
        "all",
        description="With the backbone in the loop: split each batch over all GPUs, or "
        "train on one.",
    )
    checkpoints: by.Gradient[str | None] = Field(
        None,
        min_length=1,
        description="Folder or URI for a checkpoint after each epoch, from which a "
        "killed run resumes; empty: the pipeline's own folder; `none`: no checkpoints.",
    )
    tensorboard: bool = Field(
        True, description="Write TensorBoard's event files beside the history."
    )
    unknown_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of `eval` that the exported model labels `unknown`. It sets "
        "the threshold: the model labels an image `unknown` if its greatest "
        "probability is lower. Empty: the model always names a class.",
    )
    seed: int = Field(0, ge=0, description="Seed of weights, order and augmentation.")
    deterministic: bool = Field(
        False, description="Use deterministic kernels, which are slower on a GPU."
    )

    def unused_keys(self, *, has_linear_head: bool) -> dict[str, str]:
        """Return each key that is set and not read, with what it needs."""
        is_solved = has_linear_head and self.optimizer in ("auto", *SOLVERS)
        modes = by.modes_of(self.strategy, self.optimizer, self.schedule, is_solved)
        return by.find_unread(self, modes)

    @field_validator("regularization")
    @classmethod
    def _check_penalties(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not values or min(values) <= 0:
            raise ValueError(
                f"`regularization` must hold positive numbers. Received: {values!r}"
            )
        return values

    @model_validator(mode="after")
    def _check_strategy(self) -> TrainingConfig:
        in_the_loop = self.strategy in ("frozen", "fine_tune")
        if self.augmentation != AugmentationConfig() and not in_the_loop:
            raise ValueError(
                "`augmentation` changes pixels, so it needs strategy `frozen` or "
                f"`fine_tune`. Received: strategy={self.strategy!r}"
            )
        if self.feature_power != 1 and in_the_loop:
            raise ValueError(
                "`feature_power` is for stored features: strategy `feature_extraction` "
                f"or `linear`. Received: strategy={self.strategy!r}"
            )
        if self.optimizer in SOLVERS and in_the_loop:
            raise ValueError(
                f"`{self.optimizer}` needs stored features: strategy "
                "`feature_extraction` or `linear`. "
                f"Received: strategy={self.strategy!r}"
            )
        if self.schedule == "plateau" and self.warmup_epochs:
            raise ValueError(
                "schedule `plateau` has no warm-up. "
                f"Received: warmup_epochs={self.warmup_epochs!r}"
            )
        if self.strategy == "linear" and self.optimizer not in ("auto", *SOLVERS):
            raise ValueError(
                "strategy `linear` is solved by `lbfgs` or `ridge`. "
                f"Received: optimizer={self.optimizer!r}"
            )
        if self.optimizer == "ridge" and self.label_smoothing:
            raise ValueError(
                "`ridge` has a squared loss, which allows no label smoothing: set "
                "`label_smoothing` to 0. "
                f"Received: label_smoothing={self.label_smoothing!r}"
            )
        return self
