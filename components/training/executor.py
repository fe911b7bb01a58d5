"""TFX's Trainer executor, after a look at the head in production."""

from __future__ import annotations

import json
import tempfile
from typing import Any

from tfx.components.trainer import executor
from tfx.types import artifact
from tfx.utils import json_utils

from graft.components.publishing.served_head import find_served_head
from graft.storage.paths import join
from graft.trainer.custom_config import (
    MODEL_STORE_KEY,
    OBSTACLE_KEY,
    PRODUCTION_KEY,
    SERVED_FOLDER_KEY,
    SERVED_VERSION_KEY,
)


class Executor(executor.GenericExecutor):
    """Gives `run_fn` the head of the version in production."""

    def Do(
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        output_dict: dict[str, list[artifact.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Train.

        Args:
            input_dict: As of TFX's executor.
            output_dict: As of TFX's executor.
            exec_properties: As of TFX's executor. `custom_config` may name the model
                store; see `graft.trainer.custom_config`.
        """
        config = json_utils.loads(exec_properties["custom_config"])
        store = config.pop(MODEL_STORE_KEY, None)
        with tempfile.TemporaryDirectory(prefix="graft-head-") as folder:
            if store is not None:
                config[PRODUCTION_KEY] = _find_production(json.loads(store), folder)
            properties = {
                **exec_properties,
                "custom_config": json_utils.dumps(config),
            }
            super().Do(input_dict, output_dict, properties)


def _find_production(store: dict[str, str], folder: str) -> dict[str, Any]:
    """Find the head in production; return the value of `PRODUCTION_KEY`.

    Args:
        store: The model store and the name of the model.
        folder: An empty folder.
    """
    model_folder = join(store["destination"], store["model_name"])
    head = find_served_head(model_folder, folder)
    if head.obstacle:
        return {OBSTACLE_KEY: head.obstacle}
    return {SERVED_VERSION_KEY: head.version, SERVED_FOLDER_KEY: head.folder}
