"""`graft models`: the versions in the model store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from graft.contract.counts import counted
from graft.contract.errors import UserError
from graft.pipeline.commands.options import (
    IfServedOption,
    ModelDirOption,
    ModelOption,
    find_model_folder,
    seen_production,
)
from graft.serving.model_store import DEFAULT_FOLDER

if TYPE_CHECKING:
    from graft.components.publishing.versions import Version


def models(
    model_dir: ModelDirOption = DEFAULT_FOLDER,
    model: ModelOption = None,
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every file with its manifest.")
    ] = False,
    promote: Annotated[
        int | None,
        typer.Option(metavar="VERSION", help="Give a version the label `stable`."),
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            help="Why a version is promoted that was not judged against the served "
            "one; kept in the audit log."
        ),
    ] = "",
    if_served: IfServedOption = None,
    log: Annotated[
        bool,
        typer.Option("--log", help="Show who published or rolled back what."),
    ] = False,
) -> None:
    """List the published versions; the served one is marked.

    --promote needs --reason if the version was not judged against the served one. If
    another version is put into production meanwhile, nothing is done: exit status 4.
    """
    from graft.components.publishing import store
    from graft.components.publishing.labels import read_labels
    from graft.components.publishing.production import served_version
    from graft.components.publishing.versions import find_damage, list_versions

    folder = str(find_model_folder(model_dir, model))
    if promote is not None:
        seen = seen_production(folder, if_served)
        store.promote(folder, promote, seen=seen, reason=reason)
    if log:
        _print_log(folder)
        return
    served = served_version(folder)
    labels = read_labels(folder)
    num_damaged = 0
    for version in list_versions(folder):
        is_served = served is not None and version.number == served.number
        facts = _facts_of(version, labels, is_served=is_served)
        if verify:
            damage = find_damage(version)
            num_damaged += bool(damage)
            facts.append("; ".join(damage) or "sound")
        typer.echo("  ".join(fact for fact in facts if fact))
    if num_damaged:
        raise UserError(
            f"Damaged: {counted(num_damaged, 'version')}, whose files don't match the "
            "manifest. `graft rollback` serves an earlier version."
        )


def _print_log(folder: str) -> None:
    """Print the audit log, oldest line first."""
    from graft.components.publishing.audit import read_audit

    for line in read_audit(folder):
        entry = f"{line['time']}  {line['user']}  {line['action']} {line['version']}"
        typer.echo(entry + (f": {line['reason']}" if "reason" in line else ""))


def _facts_of(
    version: Version, labels: Mapping[str, int], *, is_served: bool
) -> list[str]:
    """Return what the list shows of a version; an empty text for a missing fact."""
    manifest = version.manifest
    metrics = manifest.get("metrics", {})
    facts = [
        str(version.number),
        str(manifest.get("published_at", "no manifest")),
        *(
            f"{name.replace('_', ' ')} {metrics[name]:.4f}"
            for name in ("accuracy", "balanced_accuracy")
            if metrics.get(name) is not None
        ),
        ", ".join(name for name, n in labels.items() if n == version.number),
    ]
    if is_served:
        facts.append("served")
    if manifest.get("rollback"):
        facts.append(f"rolled back to {manifest['rollback']['to_version']}")
    if manifest.get("forced"):
        facts.append(f"forced: {manifest['forced']['reason']}")
    return facts
