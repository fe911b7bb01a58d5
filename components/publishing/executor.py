"""Executor for TFX's Pusher that publishes atomically and writes a manifest."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from tfx.components.pusher import executor as pusher_executor
from tfx.types import artifact, artifact_utils
from tfx.utils import json_utils

from components.publishing.config import PushConfig
from components.publishing.versions import publish

PUSH_KEY = "push"
"""Key of `custom_config` that holds a `PushConfig` as JSON, with a destination."""
RECORD_KEY = "record"
"""Key of `custom_config`: a dict for the manifest (config, fingerprints)."""
DESTINATION_STATE_KEY = "destination_state"
"""Key of `custom_config`: a hash of the store's versions, so that TFX's cache does not
answer for a store that somebody emptied."""

logger = logging.getLogger(__name__)


class Executor(pusher_executor.Executor):
    """Pusher's executor with another way to put the model in its place."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        output_dict: dict[str, list[artifact.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Push the model if it is blessed.

        Args:
            input_dict: `model`, a `Model`; `model_blessing` and `infra_blessing`, which
                must both be blessed where they are given.
            output_dict: `pushed_model`, a `PushedModel` with custom properties `pushed`,
                `pushed_destination` and `pushed_version`.
            exec_properties: `custom_config`, see the keys of this module.
        """
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        config = json_utils.loads(exec_properties["custom_config"])
        push = PushConfig.model_validate_json(config[PUSH_KEY])
        if push.destination is None:
            raise ValueError("`push.destination` must be resolved before the run")
        version = publish(
            self.GetModelPath(input_dict),
            os.path.join(push.destination, push.model_name),
            json.loads(config[RECORD_KEY]),
            push.keep_versions,
        )
        logger.info("Version %d is at %s", version.number, version.path)
        self._MarkPushed(
            pushed,
            pushed_destination=version.path,
            pushed_version=str(version.number),
        )
