"""The baseline artifact: it carries the model in production to the gate.

`graft.components.publishing.served_model` writes it with `fill_baseline`. The gate
reads it with `read_baseline`. This module imports no TFX, because a container's entry
point reads the names.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from graft.storage import atomic

RESOLVED_PROPERTY = "resolved_count"
"""1 if the artifact holds a model, else 0. TFX's resolvers use the same values."""
PRODUCTION_PROPERTY = "production"
"""A `Production` as JSON. An artifact without a model still tells this."""

_VERSION_PROPERTY = "served_version"
_FILES_HASH_PROPERTY = "files_hash"
_FAILURE_PROPERTY = "failure"
_MANIFEST_FILE = "served_manifest.json"


@dataclass(frozen=True)
class Production:
    """What is in production: a verdict holds only while this stays equal.

    Attributes:
        model: Name of the model.
        version: Number of the version in production; None if no version is served.
        files_hash: Hash of its files; None without a version.
        label: The label that puts it into production; None if no label does.
        audit_position: Line of the audit log, from 1, that last changed production; 0
            if none did.
        labels: All labels and their versions. They are recorded, not compared: a canary
            that comes or goes changes nothing in production.
    """

    model: str
    version: int | None = None
    files_hash: str | None = None
    label: str | None = None
    audit_position: int = 0
    labels: dict[str, int] = field(default_factory=dict, compare=False)

    def describe(self) -> str:
        """Return `no model`, or which version it is."""
        return "no model" if self.version is None else f"version {self.version}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Production | None:
        """Return what `to_dict` wrote, or None for anything else."""
        try:
            return cls(**values)
        except TypeError:
            return None


@dataclass(frozen=True)
class ServedBaseline:
    """The model in production, as the baseline artifact describes it.

    Attributes:
        version: Its version number.
        files_hash: Hash of its files.
        manifest: Its manifest; empty if graft did not publish it.
        failure: Why the version can't be used; None if it can.
    """

    version: int
    files_hash: str
    manifest: dict[str, Any]
    failure: str | None = None


def fill_baseline(
    model: Any, baseline: ServedBaseline | None, production: Production
) -> None:
    """Write the properties and the manifest of the model in production.

    Args:
        model: A `Model` artifact.
        baseline: The model in production; None if no version is served.
        production: The same as the store tells it, for the verdict.
    """
    model.set_string_custom_property(
        PRODUCTION_PROPERTY, json.dumps(production.to_dict())
    )
    # Kubeflow uploads only files, so an empty folder would be lost.
    note = "no version is served" if baseline is None else f"version {baseline.version}"
    atomic.write_text(os.path.join(model.uri, "served_version.txt"), note)
    model.set_int_custom_property(RESOLVED_PROPERTY, 0 if baseline is None else 1)
    if baseline is None:
        return
    model.set_int_custom_property(_VERSION_PROPERTY, baseline.version)
    model.set_string_custom_property(_FILES_HASH_PROPERTY, baseline.files_hash)
    if baseline.failure is not None:
        model.set_string_custom_property(_FAILURE_PROPERTY, baseline.failure)
    atomic.write_text(
        os.path.join(model.uri, _MANIFEST_FILE), json.dumps(baseline.manifest)
    )


def read_baseline(model: Any) -> ServedBaseline | None:
    """Return what `fill_baseline` wrote, or None if no version is served."""
    from graft.components.artifact_files import read_json

    if not int(model.get_custom_property(RESOLVED_PROPERTY) or 0):
        return None
    return ServedBaseline(
        version=int(model.get_custom_property(_VERSION_PROPERTY) or 0),
        files_hash=str(model.get_custom_property(_FILES_HASH_PROPERTY) or ""),
        manifest=read_json(os.path.join(model.uri, _MANIFEST_FILE)) or {},
        failure=str(model.get_custom_property(_FAILURE_PROPERTY) or "") or None,
    )


def read_production(model: Any) -> Production | None:
    """Return the `Production` that `fill_baseline` wrote, or None if there is none."""
    text = model.get_custom_property(PRODUCTION_PROPERTY)
    return Production.from_dict(json.loads(str(text))) if text else None
