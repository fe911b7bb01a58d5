"""An executor for TFX's Pusher that publishes atomically and writes a manifest."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from typing import Any

from tfx.components.pusher import executor as pusher_executor
from tfx.types import artifact, artifact_utils
from tfx.utils import json_utils

from graft.components.evaluation.baseline import Production
from graft.components.evaluation.verdict import VERDICT_FILE, Verdict, load_verdict
from graft.components.publishing.config import (
    KEPT_PROPERTY,
    REASON_PROPERTY,
    TWIN_PROPERTY,
    PushConfig,
)
from graft.components.publishing.drift import write_drift
from graft.components.publishing.judgement import judgement_of
from graft.components.publishing.last_run import LAST_RUN_FILE, note_run
from graft.components.publishing.production import served_version
from graft.components.publishing.provenance import describe_environment, record_of
from graft.components.publishing.run_view import CANDIDATE_KEY
from graft.components.publishing.store import publish
from graft.components.publishing.versions import Version, list_versions
from graft.contract.errors import RolledBackError, StoreChangedError
from graft.storage import atomic, files
from graft.trainer.training_facts import TrainingFacts

PUSH_KEY = "push"
"""Key of `custom_config` that holds a `PushConfig` as JSON, with a destination."""
RECORD_KEY = "record"
"""Key of `custom_config`: JSON for the manifest: `config`, `pipeline`,
`data_fingerprint`, and the keys of `graft.components.publishing.run_view`."""

_JUDGES = {"gate": "model_blessing", "canary": "infra_blessing"}

logger = logging.getLogger(__name__)


class Executor(pusher_executor.Executor):
    """Pusher's executor, with a push into graft's model store."""

    def Do(
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        output_dict: dict[str, list[artifact.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Push the model if it is blessed, and write notes on the data to the store.

        The notes are `drift.json` and the profile that the next run compares with.

        Args:
            input_dict: `model`, a `Model`; `model_blessing` and `infra_blessing`. Each
                must be blessed if it is given. `model_blessing` holds the verdict.
            output_dict: `pushed_model`, a `PushedModel` with the custom properties
                `pushed`, `pushed_destination` and `pushed_version`, or
                `not_pushed_reason` and perhaps `twin_version`; `was_published` is 1 if
                the store held this very model as its newest version. The file
                `last_run.json` in it describes the run before this one, if the store
                has notes on one.
            exec_properties: `custom_config`, see the constants of this module.

        Raises:
            StoreChangedError: Another version is in production than the model was
                judged against. Nothing was pushed, and the node fails, so that no cache
                keeps this outcome.
            UserError: The store can't be read or written, or the gate judged other
                files.
        """
        config = json_utils.loads(exec_properties["custom_config"])
        push = PushConfig.model_validate_json(config[PUSH_KEY])
        model_folder = push.model_folder
        record = json.loads(config[RECORD_KEY])
        verdict = read_verdict(input_dict.get("model_blessing"))
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        is_pushed = self._push(input_dict, pushed, model_folder, push, record, verdict)
        write_drift(
            model_folder,
            verdict,
            is_production=is_pushed and push.label == "stable",
            data_fingerprint=record.get("data_fingerprint"),
        )
        self._note_run(input_dict, pushed, model_folder, record, verdict)

    def _note_run(
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        pushed: artifact.Artifact,
        model_folder: str,
        record: dict[str, Any],
        verdict: Verdict | None,
    ) -> None:
        """Note this run in the store, and write the previous one for the report."""
        if verdict is None:
            return
        try:
            last_run = note_run(
                model_folder,
                pipeline=record["pipeline"],
                blessing=input_dict["model_blessing"][0].uri,
                data_fingerprint=record["data_fingerprint"],
                data_profile=verdict.data_profile,
            )
        except OSError:
            # The model is pushed already. A missing note must not fail the node.
            logger.warning("This run could not be noted", exc_info=True)
            return
        if last_run is not None:
            path = os.path.join(pushed.uri, LAST_RUN_FILE)
            atomic.write_text(path, last_run.to_json())

    def _push(  # noqa: PLR0917 - the inputs of one push
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        pushed: artifact.Artifact,
        model_folder: str,
        push: PushConfig,
        record: dict[str, Any],
        verdict: Verdict | None,
    ) -> bool:
        for judge, key in _JUDGES.items():
            if not self.CheckBlessing({key: input_dict.get(key, [])}):
                self._refuse(pushed, f"the {judge} refused the model")
                return False
        against, judged_files = judgement_of(verdict)
        model = artifact_utils.get_single_instance(input_dict["model"])
        present = {version.number for version in list_versions(model_folder)}
        try:
            version = publish(
                self.GetModelPath(input_dict),
                model_folder,
                {
                    **record,
                    **describe_environment(),
                    "training": asdict(TrainingFacts.read(model.uri)),
                    **({} if verdict is None else record_of(verdict)),
                },
                against=against,
                keep_versions=push.keep_versions,
                label=push.label,
                judged_files=judged_files,
            )
        except StoreChangedError:
            twin = _twin(model_folder, record, against)
            if twin is None:
                raise
            self._refuse(
                pushed,
                f"version {twin.number}, which another run made of the same data, "
                "config and code, is served",
            )
            pushed.set_int_custom_property(TWIN_PROPERTY, twin.number)
            return False
        except RolledBackError as error:
            self._refuse(pushed, str(error))
            return False
        logger.info("Version %d is at %s", version.number, version.path)
        self._MarkPushed(
            pushed,
            pushed_destination=version.path,
            pushed_version=str(version.number),
        )
        if version.number in present:
            pushed.set_int_custom_property(KEPT_PROPERTY, 1)
        return True

    def _refuse(self, pushed: artifact.Artifact, reason: str) -> None:
        logger.warning("Not pushed: %s", reason)
        self._MarkNotPushed(pushed)
        pushed.set_string_custom_property(REASON_PROPERTY, reason)


def _twin(
    model_folder: str, record: dict[str, Any], against: Production
) -> Version | None:
    """Return the served version if it came of this run's candidate and baseline.

    Two runs at once may make the same candidate. One of them pushes it.
    """
    served = served_version(model_folder)
    candidate = record.get(CANDIDATE_KEY)
    if served is None or candidate is None:
        return None
    judged = Production.from_dict(served.manifest.get("judged_against"))
    is_twin = served.manifest.get(CANDIDATE_KEY) == candidate and judged == against
    return served if is_twin else None


def read_verdict(blessings: list[artifact.Artifact] | None) -> Verdict | None:
    """Return the gate's verdict, stored with its blessing; None if there is none."""
    if not blessings:
        return None
    path = os.path.join(blessings[0].uri, VERDICT_FILE)
    if not files.exists(path):
        return None
    return load_verdict(path)
