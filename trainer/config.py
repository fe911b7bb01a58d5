"""What a user may choose about model and training, one frozen model per concern."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from graft.contract.strict_model import StrictModel

Activation = Literal[
    "linear", "relu", "relu6", "elu", "selu", "gelu", "silu", "tanh", "sigmoid"
]
Strategy = Literal["feature_extraction", "linear", "frozen", "fine_tune"]
Optimizer = Literal["auto", "lbfgs", "ridge", "adam", "adamw", "sgd", "rmsprop"]
SOLVERS = ("lbfgs", "ridge")
"""Optimizers that solve a linear head as a whole instead of by gradient steps."""


# --- The head, layer by layer ---------------------------------------------------------
class DenseLayer(StrictModel):
    """A fully connected layer with its activation."""

    type: Literal["dense"] = Field("dense", description="Kind of layer.")
    units: int = Field(gt=0, description="Number of outputs.")
    activation: Activation = Field("relu", description="Non-linearity after the layer.")
    l2: float = Field(0.0, ge=0, description="L2 penalty on the kernel.")


class Conv2DLayer(StrictModel):
    """A convolution over a spatial feature map (needs `pooling: none`)."""

    type: Literal["conv2d"] = Field("conv2d", description="Kind of layer.")
    filters: int = Field(gt=0, description="Number of output channels.")
    kernel_size: int = Field(3, gt=0, description="Edge of the kernel, in cells.")
    strides: int = Field(1, gt=0, description="Step of the kernel, in cells.")
    padding: Literal["valid", "same"] = Field("valid", description="Border handling.")
    activation: Activation = Field("relu", description="Non-linearity after the layer.")
    l2: float = Field(0.0, ge=0, description="L2 penalty on the kernel.")


class DropoutLayer(StrictModel):
    """Dropout, active in training alone."""

    type: Literal["dropout"] = Field("dropout", description="Kind of layer.")
    rate: float = Field(ge=0, lt=1, description="Share of values set to zero.")


class BatchNormLayer(StrictModel):
    """Batch normalization."""

    type: Literal["batch_norm"] = Field("batch_norm", description="Kind of layer.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of the moving averages.")


class PoolingLayer(StrictModel):
    """Pooling of a feature map over all of its space."""

    type: Literal["pooling"] = Field("pooling", description="Kind of layer.")
    method: Literal["avg", "max"] = Field("avg", description="Average or maximum.")


class FlattenLayer(StrictModel):
    """A feature map, laid out as one vector."""

    type: Literal["flatten"] = Field("flatten", description="Kind of layer.")


class ActivationLayer(StrictModel):
    """A non-linearity of its own."""

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
    """The network: a pretrained backbone, where it is cut, and the head upon it."""

    preset: str = Field(
        "efficientnet_lite0",
        description="Name of a backbone; `graft presets` lists them. Any model of "
        "keras.applications works by its own name, for instance `DenseNet121`.",
    )
    weights: str | None = Field(
        None,
        description="File or URI of pretrained weights (.h5, .weights.h5, .keras); "
        "empty: the preset's own; `none`: random weights, said in words.",
    )
    weights_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 that the file `weights` must have.",
    )
    image_size: int | None = Field(
        None, gt=0, description="Edge of the square input in pixels; empty: preset's."
    )
    cut: tuple[str, ...] | None = Field(
        None,
        description="Layers whose outputs are the features; several are pooled and "
        "concatenated. Empty: the preset's choice (`graft presets`), or the last "
        "layer with pooling `none`.",
    )
    pooling: Literal["avg", "max", "none"] = Field(
        "avg", description="Pooling of features over space; `none` keeps (h, w, c)."
    )
    head: tuple[HeadLayer, ...] = Field(
        (),
        description="Layers between features and the output layer, which is added "
        "always. Empty: a linear head.",
    )
    output: Literal["softmax", "sigmoid"] = Field(
        "softmax",
        description="`sigmoid` is one logit for a task of two classes.",
    )

    @field_validator("cut", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, cut: object) -> object:
        return (cut,) if isinstance(cut, str) else cut

    @field_validator("cut")
    @classmethod
    def _cut_names_layers(cls, cut: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if cut is not None and (not cut or len(set(cut)) != len(cut)):
            raise ValueError(
                f"`cut` must name one or more different layers. Received: {cut!r}"
            )
        return cut


# --- Training -------------------------------------------------------------------------
class AugmentationConfig(StrictModel):
    """Random changes of training images; needs the backbone in the loop."""

    horizontal_flip: bool = Field(False, description="Mirror half of the images.")
    vertical_flip: bool = Field(False, description="Turn half of them upside down.")
    rotation_degrees: float = Field(
        0.0, ge=0, le=180, description="Turn by up to so many degrees either way."
    )
    shift: float = Field(
        0.0, ge=0, lt=1, description="Move by up to this share of height and width."
    )
    zoom: float = Field(
        0.0, ge=0, lt=1, description="Scale height and width by 1 +/- this share."
    )
    shear: float = Field(0.0, ge=0, le=1, description="Shear by up to this share.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Change contrast by 1 +/- it.")
    brightness: float = Field(
        0.0, ge=0, lt=1, description="Brighten or darken by up to this share of 255."
    )
    fill_mode: Literal["nearest", "reflect", "wrap", "constant"] = Field(
        "nearest", description="What fills the space that geometry opens."
    )
    rand_augment_layers: int = Field(
        0,
        ge=0,
        le=10,
        description="Random operations per image of RandAugment; 0: off.",
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
    """The second phase: which part of the backbone is trained, and how gently."""

    blocks: tuple[str, ...] | None = Field(
        None,
        description="Blocks to unfreeze, by the beginning of their layers' names; "
        "empty: from the preset's boundary on.",
    )
    from_layer: str | None = Field(
        None, description="Unfreeze this layer and every one after it."
    )
    epochs: int = Field(5, gt=0, description="Epochs of the second phase.")
    learning_rate: float = Field(
        1e-5, gt=0, description="Peak rate of the second phase, for the head."
    )
    backbone_rate_factor: float = Field(
        1.0, gt=0, le=1, description="The backbone's rate as a share of the head's."
    )
    block_rate_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor from each unfrozen block to the one before it "
        "(discriminative rates).",
    )
    warmup_epochs: float = Field(
        1.0, ge=0, description="Epochs over which the rate climbs from zero."
    )

    @model_validator(mode="after")
    def _one_boundary(self) -> FineTuneConfig:
        if self.blocks is not None and self.from_layer is not None:
            raise ValueError(
                "give `blocks` or `from_layer`, not both. Received: "
                f"blocks={self.blocks!r}, from_layer={self.from_layer!r}"
            )
        return self


class TrainingConfig(StrictModel):
    """How the head, and the backbone if wished, are trained."""

    strategy: Strategy = Field(
        "feature_extraction",
        description="`feature_extraction` trains a head on stored features; `linear` "
        "is the same with a convex linear head; `frozen` keeps the backbone in the "
        "loop (augmentation possible); `fine_tune` then unfreezes a part of it.",
    )
    optimizer: Optimizer = Field(
        "auto",
        description="`auto` is `lbfgs` for a linear head on stored features, "
        "otherwise `adamw`. `lbfgs` is logistic regression, `ridge` least squares in "
        "closed form.",
    )
    epochs: int = Field(30, gt=0, description="Passes over `train` at most.")
    batch_size: int = Field(32, gt=0, description="Examples of one step.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(1e-4, ge=0, description="Of AdamW and SGD.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of SGD.")
    gradient_clip_norm: float | None = Field(
        None, gt=0, description="Greatest norm of the gradients; empty: no limit."
    )
    schedule: Literal["constant", "cosine", "plateau"] = Field(
        "cosine", description="Course of the learning rate."
    )
    warmup_epochs: float = Field(
        0.0, ge=0, description="Epochs over which the rate climbs from zero."
    )
    plateau_patience: int = Field(
        3, gt=0, description="Epochs without progress before the rate falls to a third."
    )
    early_stopping_patience: int | None = Field(
        None, gt=0, description="Epochs without progress before the stop; empty: none."
    )
    restore_best: bool = Field(
        True, description="Return the weights of the epoch with the least eval loss."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread over all classes."
    )
    class_weights: Literal["balanced"] | tuple[float, ...] | None = Field(
        None,
        description="Weight of each class in the loss, in the order of the label "
        "map; `balanced`: inverse to its frequency.",
    )
    balanced_sampling: bool = Field(
        False, description="Draw every class equally often in each epoch."
    )
    ema_momentum: float | None = Field(
        None, gt=0, lt=1, description="Average the weights with this momentum."
    )
    feature_power: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Raise stored features to this power first, signs kept; 0.5, the "
        "square root, helps where few images meet many features.",
    )
    standardize: bool | None = Field(
        None,
        description="Bring stored features to mean 0 and variance 1 in the head; "
        "empty: yes for pooled features.",
    )
    regularization: tuple[float, ...] = Field(
        (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0),
        description="L2 penalties that `lbfgs` and `ridge` try; the best on `eval` is "
        "taken.",
    )
    cross_validation_folds: int | None = Field(
        None,
        ge=2,
        le=20,
        description="Choose the penalty by so many folds of `train` and `eval` "
        "together; empty: on `eval` alone.",
    )
    augmentation: AugmentationConfig = Field(
        AugmentationConfig(), description="Random changes of training images."
    )
    fine_tune: FineTuneConfig = Field(
        FineTuneConfig(), description="The second phase of `fine_tune`."
    )
    mixed_precision: Literal["auto", "bfloat16", "float16", "off"] = Field(
        "auto",
        description="16-bit arithmetic with the backbone in the loop; `auto`: what the "
        "GPU is fast at, off without one. The exported model is float32 always.",
    )
    devices: Literal["all", "one"] = Field(
        "all",
        description="With the backbone in the loop: every GPU there is shares each "
        "batch, or one takes it whole.",
    )
    checkpoints: str | None = Field(
        None,
        min_length=1,
        description="Folder or URI where every epoch is saved, for a killed run to go "
        "on; empty: in the pipeline's own folder; `none`: nowhere.",
    )
    tensorboard: bool = Field(
        True, description="Write TensorBoard's event files beside the history."
    )
    unknown_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of `eval`, its least certain images, that the exported "
        "model answers `unknown`: it does so below their greatest probability. Empty: "
        "it always names a class.",
    )
    seed: int = Field(0, ge=0, description="Of weights, order and augmentation.")
    deterministic: bool = Field(
        False, description="Ask for deterministic kernels (slower on a GPU)."
    )

    @field_validator("regularization")
    @classmethod
    def _penalties_are_positive(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not values or min(values) <= 0:
            raise ValueError(
                f"`regularization` must hold positive numbers. Received: {values!r}"
            )
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> TrainingConfig:
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
                "`ridge` has squares for its loss, which labels can't be smoothed for. "
                f"Received: label_smoothing={self.label_smoothing!r}"
            )
        return self
