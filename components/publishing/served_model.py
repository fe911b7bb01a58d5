"""ServedModel: fetch what production serves, for the gate to compare with.

TFX's resolvers look in the metadata store. On Kubeflow they can't run, and a rollback
is no event of theirs. So the store of served models itself is asked.

No `from __future__ import annotations` here: TFX reads the types of the function.
"""

import json
import logging
import os

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact, standard_artifacts
from tfx.utils import io_utils, path_utils

from graft.components.publishing.store import served_version
from graft.components.publishing.versions import (
    MANIFEST_NAME,
    Version,
    find_damage,
    list_versions,
)

RESOLVED_PROPERTY = "resolved_count"
"""1 where the artifact stands for a model, else 0; TFX's resolvers say so, too."""
VERSION_PROPERTY = "served_version"
FILES_HASH_PROPERTY = "files_hash"
FAILURE_PROPERTY = "failure"
"""Why the served version can't be used, where it can't."""

SERVED_NOW = -1
"""Stands for the version that is served when the node runs."""
SERVED_MANIFEST_FILE = "served_manifest.json"
"""Copy of the served version's manifest, beside the model."""
NO_VERSION = 0
"""Stands for an empty store."""

logger = logging.getLogger(__name__)


@component
def ServedModel(
    model: OutputArtifact[standard_artifacts.Model],
    destination: Parameter[str],
    model_name: Parameter[str],
    version: Parameter[int] = SERVED_NOW,
    code_fingerprint: Parameter[str] = "",
) -> None:
    """Copy the served version into an artifact, or mark the artifact as empty.

    Args:
        model: A `Model` in TFX's layout, with the custom properties `resolved_count`,
            `served_version`, `files_hash` and, for a damaged version, `failure`; beside
            it `served_manifest.json`, a copy of the version's manifest.
        destination: The store, as `push.destination`.
        model_name: As `push.model_name`.
        version: Number of the version; `SERVED_NOW`, or `NO_VERSION`. One that has been
            removed since is replaced by what is served now.
        code_fingerprint: Read by TFX's cache alone.
    """
    del code_fingerprint
    found = _find(os.path.join(destination, model_name), version)
    # Kubeflow uploads what is there: an empty folder would not survive.
    note = "no version is served" if found is None else f"version {found.number}"
    io_utils.write_string_file(os.path.join(model.uri, "served_version.txt"), note)
    model.set_int_custom_property(RESOLVED_PROPERTY, 0 if found is None else 1)
    if found is None:
        return
    model.set_int_custom_property(VERSION_PROPERTY, found.number)
    model.set_string_custom_property(FILES_HASH_PROPERTY, found.files_hash)
    damage = find_damage(found) if found.manifest else []
    io_utils.write_string_file(
        os.path.join(model.uri, SERVED_MANIFEST_FILE), json.dumps(found.manifest)
    )
    if damage:
        logger.warning("Version %d: %s", found.number, "; ".join(damage))
        model.set_string_custom_property(
            FAILURE_PROPERTY, f"its files are damaged ({'; '.join(damage[:3])})"
        )
        return
    target = path_utils.serving_model_dir(model.uri)
    io_utils.copy_dir(found.path, target)
    manifest = os.path.join(target, MANIFEST_NAME)
    if fileio.exists(manifest):
        fileio.remove(manifest)


def is_resolved(model: artifact.Artifact) -> bool:
    """Return whether an artifact of `ServedModel` stands for a served version."""
    count = model.get_custom_property(RESOLVED_PROPERTY)
    return count is not None and int(count) > 0


def _find(model_folder: str, number: int) -> Version | None:
    if number == NO_VERSION:
        return None
    for version in list_versions(model_folder):
        if version.number == number:
            return version
    return served_version(model_folder)
