"""What a config gets wrong about its network, told before the first image is read.

Otherwise a layer that does not exist would be told of after all images are decoded, and
a head that does not fit after the backbone ran over them.
"""

from __future__ import annotations

import keras

from graft.contract.errors import UserError
from graft.trainer.backbones.backbone import build_backbone, image_size_of
from graft.trainer.backbones.presets import get_preset
from graft.trainer.backbones.weights import find_weights
from graft.trainer.config import SOLVERS, ModelConfig, TrainingConfig
from graft.trainer.heads.head import build_head
from graft.trainer.loops.fine_tuning import unfreeze


def check_network(model: ModelConfig, training: TrainingConfig) -> None:
    """Build what the config names of its own, on the machine that will train it.

    Of a preset as it is, with a linear head, only the file of the weights is looked at.
    How many classes there are is not known yet.

    Raises:
        UserError: There is no such layer or block, the input is too small, or the head
            or the optimizer does not fit what the backbone gives.
        WeightsError: The weights are missing, damaged or of another architecture.
    """
    preset = get_preset(model.preset)
    image_size_of(model)
    check_solver(model, training, is_pooled=model.pooling != "none")
    is_fine_tuned = training.strategy == "fine_tune"
    if not (model.weights or model.cut or model.head or is_fine_tuned):
        find_weights(preset, model)
        return
    backbone = build_backbone(model)
    build_head(model, backbone.output_shape[1:], num_classes=2)
    if is_fine_tuned:
        unfreeze(backbone, preset, training.fine_tune)
    # Layers without a name of their own are numbered: let the next ones begin anew.
    keras.utils.clear_session()


def check_solver(
    model: ModelConfig, training: TrainingConfig, *, is_pooled: bool
) -> None:
    """Refuse a solver for linear heads over pooled features where there is none.

    Raises:
        UserError: The head has layers, or features are maps.
    """
    if training.optimizer not in SOLVERS and training.strategy != "linear":
        return
    if model.head or not is_pooled:
        raise UserError(
            "`lbfgs` and `ridge` solve a linear head over pooled features: leave "
            "`head` empty and `pooling` 'avg' or 'max'. "
            f"Received: head={model.head!r}, pooling={model.pooling!r}"
        )
