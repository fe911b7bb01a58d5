"""Name a run and its model after the data, unless the config names them.

Versions before December 2026 named every run and model `graft`. An output folder of
such a version keeps that name for the same data, so that a scheduled retraining does
not start a new model.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graft.contract.errors import UserError
from graft.pipeline.config import DEFAULT_OUTPUT, METADATA_FILE, PIPELINES_FOLDER
from graft.pipeline.local.last_run import last_run_of, last_runs
from graft.storage import paths

FORMER_NAME = "graft"
"""Name of each run and model without a name in earlier versions."""
_LONGEST = 45


def name_of_data(path: str) -> str:
    """Return the name of a run on the data at `data.path`, as `PipelineConfig` asks.

    It is the folder's own name; for a file, that of its folder and its own.
    """
    source, colon, name = path.partition(":")
    if source in ("keras", "sklearn") and colon:
        return _as_name(name)
    if not paths.is_remote(path):
        path = os.path.realpath(paths.expand_home(path))
    name = paths.name_of(path)
    if os.path.isdir(path):
        return _as_name(name)
    if "*" in name:
        return name_of_data(paths.parent_of(path))
    stem, suffix = os.path.splitext(name)
    if suffix:
        name = f"{paths.name_of(paths.parent_of(path))}-{stem}"
    return _as_name(name)


def _as_name(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub("[^a-z0-9]+", "-", plain.lower()).strip("-")
    if not name:
        # A name in another script still has a name of its own.
        name = f"data-{hashlib.sha256(os.fsencode(text)).hexdigest()[:8]}"
    if not name[0].isalpha():
        name = f"data-{name}"
    return name[:_LONGEST].rstrip("-")


def fill_in_names(values: dict[str, Any], tell: Callable[[str], None]) -> None:
    """Fill in `name` and `push.model_name` of a config that lacks them.

    Args:
        values: The config, not checked yet; it is changed.
        tell: Called with what the user should know of the names.

    Raises:
        UserError: The config has no name, and the output folder holds the model
            `graft` of other data: only the user knows whether it is meant.
    """
    data, push = values.get("data"), values.setdefault("push", {})
    path = data.get("path") if isinstance(data, dict) else None
    if not isinstance(path, str) or not path or not isinstance(push, dict):
        return  # The check of the config tells what is wrong.
    output = str(values.get("output") or DEFAULT_OUTPUT)
    if "name" not in values:
        values["name"] = _choose_name(path, output, tell)
    name = values["name"]
    if isinstance(name, str) and "model_name" not in push:
        destination = push.get("destination")
        if not destination and paths.is_remote(output):
            return  # A run on this machine refuses such an output.
        destination = destination or os.path.join(output, "serving")
        push["model_name"] = _choose_model_name(name, str(destination), tell)


def data_key(path: str) -> str:
    """Return `data.path` in a form in which two runs can be compared."""
    if paths.is_remote(path) or path.startswith(("keras:", "sklearn:")):
        return path
    return os.path.realpath(paths.expand_home(path))


def _choose_name(path: str, output: str, tell: Callable[[str], None]) -> str:
    name = name_of_data(path)
    pipelines = Path(output, PIPELINES_FOLDER)
    if (pipelines / name / METADATA_FILE).is_file():
        before = last_run_of(pipelines / name).data
        if before and before != data_key(path):
            tell(
                f"`{name}` was last trained on {before!r}. This run trains it on "
                f"{path!r}. For a model of its own: --set name=NAME"
            )
        return name
    former = _former_data(pipelines / FORMER_NAME)
    if former == data_key(path):
        tell(
            f"The run and its model are named `{FORMER_NAME}`, as the earlier runs on "
            f"{path!r}. To start a new model: --set name={name}"
        )
        return FORMER_NAME
    if former is not None:
        raise UserError(
            f"`name` is missing, and {output!r} holds the model `{FORMER_NAME}`, which "
            f"was trained on {former!r}. To train that model on {path!r}: "
            f"--set name={FORMER_NAME}. For a model of its own: --set name={name}"
        )
    others = [run.pipeline for run in last_runs(output) if run.has_ended]
    if others:
        tell(
            f"This run makes a new model, `{name}`. {output!r} also holds: "
            f"{', '.join(others)}. To train one of these: --set name=NAME"
        )
    return name


def _former_data(pipeline_folder: Path) -> str | None:
    """Return the data of the last run named `graft`; None if there is none."""
    store = pipeline_folder / METADATA_FILE
    if not store.is_file():
        return None
    run = last_run_of(pipeline_folder)
    if run.data:
        return run.data
    from graft.pipeline.local.run_history import list_runs

    for earlier in reversed(list_runs(store)):
        if earlier.config:
            return data_key(str(earlier.config["data"]["path"]))
    return None


def _choose_model_name(name: str, destination: str, tell: Callable[[str], None]) -> str:
    from graft.components.publishing.versions import list_versions

    if name == FORMER_NAME or list_versions(paths.join(destination, name)):
        return name
    versions = list_versions(paths.join(destination, FORMER_NAME))
    if versions and versions[-1].manifest.get("pipeline") == name:
        tell(
            f"The model is named `{FORMER_NAME}`, as in the earlier runs of `{name}`. "
            f"To start a new model: --set push.model_name={name}"
        )
        return FORMER_NAME
    return name
