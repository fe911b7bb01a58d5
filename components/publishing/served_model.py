"""ServedModel: fetch the model in production, for the gate to compare with.

TFX's resolvers read the metadata store. They can't run on Kubeflow, and they don't see
a rollback. So this component reads the model store.

No `from __future__ import annotations` here: TFX reads the types of the function.
"""

import logging
import os

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from graft.components.evaluation.baseline import (
    Production,
    ServedBaseline,
    fill_baseline,
)
from graft.components.publishing.production import (
    STABLE,
    read_production,
    served_version,
)
from graft.components.publishing.versions import (
    MANIFEST_NAME,
    Version,
    find_file_damage,
    list_versions,
)
from graft.storage import copying, files

SERVED_NOW = -1
"""Version number that means: the version that is served when the node runs."""
NO_VERSION = 0
"""Version number that means: the store is empty."""

POSITION_NOW = -1
"""Position in the audit log that means: what the store says when the node runs."""

logger = logging.getLogger(__name__)


@component
def ServedModel(
    model: OutputArtifact[standard_artifacts.Model],
    destination: Parameter[str],
    model_name: Parameter[str],
    version: Parameter[int] = SERVED_NOW,
    audit_position: Parameter[int] = POSITION_NOW,
) -> None:
    """Copy the served version into an artifact, or mark the artifact as empty.

    Args:
        model: Receives a `Model` in TFX's layout, and what
            `graft.components.evaluation.baseline` adds.
        destination: The store, `push.destination`.
        model_name: The model's name, `push.model_name`.
        version: Number of the version, `SERVED_NOW` or `NO_VERSION`. If the version has
            been removed, the one that is served now is taken.
        audit_position: Line of the audit log that put it into production, see
            `graft.components.evaluation.baseline.Production`; or `POSITION_NOW`.
    """
    found, production = _find(
        os.path.join(destination, model_name), version, audit_position
    )
    if found is None:
        fill_baseline(model, None, production)
        return
    is_ours = found.manifest or found.manifest_damage
    # Of a changed manifest the files still tell whether they are those of production.
    damage = find_file_damage(found) if is_ours else []
    failure = f"its files are damaged ({'; '.join(damage[:3])})" if damage else None
    baseline = ServedBaseline(found.number, found.files_hash, found.manifest, failure)
    fill_baseline(model, baseline, production)
    if damage:
        logger.warning("Version %d: %s", found.number, "; ".join(damage))
        return
    target = path_utils.serving_model_dir(model.uri)
    copying.copy_folder(found.path, target)
    manifest = os.path.join(target, MANIFEST_NAME)
    if files.exists(manifest):
        files.remove_file(manifest)


def _find(
    model_folder: str, number: int, audit_position: int
) -> tuple[Version | None, Production]:
    """Return the version to compare with, and what was in production with it."""
    now = read_production(model_folder)
    if audit_position == POSITION_NOW:
        audit_position = now.audit_position
    if number == NO_VERSION:
        return None, Production(now.model, audit_position=audit_position)
    for version in list_versions(model_folder):
        if version.number == number:
            label = STABLE if number != now.version else now.label
            return version, Production(
                now.model,
                number,
                version.files_hash,
                label,
                audit_position,
                now.labels,
            )
    return served_version(model_folder), now
