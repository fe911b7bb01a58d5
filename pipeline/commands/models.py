"""`graft models`: the versions in the model store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.contract.errors import UserError
from graft.pipeline.commands.options import (
    IfServedOption,
    ModelDirOption,
    ModelOption,
    choose_model_folder,
    find_model_folder,
    seen_production,
)
from graft.pipeline.terminal_text import local_time
from graft.serving.model_store import DEFAULT_FOLDER

if TYPE_CHECKING:
    from graft.components.publishing.versions import Version


def models(
    model_dir: ModelDirOption = DEFAULT_FOLDER,
    model: ModelOption = None,
    *,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Check every file of the store, each with its hash."
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Mend damaged files; what can't be mended is renamed, not deleted.",
        ),
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
    The exit status is 1 if --verify finds damage, or --repair leaves some.
    """
    from graft.components.publishing import store
    from graft.components.publishing.damage import find_store_damage
    from graft.components.publishing.labels import describe_other_folder

    # What changes a store must not guess which of several models is meant.
    is_reading = promote is None and not repair
    find = choose_model_folder if is_reading else find_model_folder
    folder = str(find(model_dir, model))
    if promote is not None:
        seen = seen_production(folder, if_served)
        store.promote(folder, promote, seen=seen, reason=reason)
    if log:
        _print_log(folder)
        return
    is_mended = _repair(folder) if repair else True
    damage = find_store_damage(folder) if verify else {}
    _print_versions(folder, damage if verify else None)
    if verify and not repair and (note := describe_other_folder(folder)):
        typer.echo(f"note: {note}")
    for name, found in damage.items():
        if not name.isdecimal() or "holds no" in found[0]:
            typer.echo(f"{name}  {'; '.join(found)}")
    if damage:
        raise UserError(
            f"Damaged: {', '.join(damage)}. `graft models --repair` mends what it can. "
            "`graft rollback` works meanwhile: it passes over damaged versions."
        )
    if not is_mended:
        raise UserError(
            "The repair left damage: each line that begins with `left:` says what to "
            "do. If it is the version in production, `graft rollback --reason TEXT` "
            "puts another in its place."
        )


def _print_log(folder: str) -> None:
    """Print the audit log, oldest line first."""
    from graft.components.publishing.audit import read_lines

    for number, line in enumerate(read_lines(folder), 1):
        if line is None:
            typer.echo(f"line {number} is unreadable")
            continue
        entry = "  ".join(
            [
                local_time(line.get("time", "unknown")),
                *(str(line.get(key, "unknown")) for key in ("user", "action")),
            ]
        )
        if "version" in line:
            entry += f" {line['version']}"
        typer.echo(": ".join(filter(None, (entry, _reason_of(line)))))


def _reason_of(line: dict[str, Any]) -> str:
    """Return why a change was made, and what a blessing or a repair passed over."""
    forced = line.get("forced")
    if isinstance(forced, dict):
        refusals = forced.get("refusals")
        refused = map(str, refusals) if isinstance(refusals, list) else ()
        return f"forced: {'; '.join([str(forced.get('reason')), *refused])}"
    if isinstance(done := line.get("done"), list):
        return "; ".join(map(str, done))
    return str(line.get("reason") or "")


def _repair(folder: str) -> bool:
    """Mend the store, print what was done, and return whether nothing is left."""
    from graft.components.publishing.damage import repair

    result = repair(folder)
    for sentence in result.done:
        typer.echo(f"done: {sentence}")
    for sentence in result.left:
        typer.echo(f"left: {sentence}")
    for sentence in result.notes:
        typer.echo(f"note: {sentence}")
    if not result.done and not result.left:
        typer.echo("Nothing is damaged.")
    return not result.left


def _print_versions(folder: str, damage: dict[str, list[str]] | None) -> None:
    """Print a line per version; with `damage` also whether it is sound."""
    from graft.components.publishing.audit import withdrawals
    from graft.components.publishing.labels import read_labels
    from graft.components.publishing.production import served_version
    from graft.components.publishing.versions import MANIFEST_HASH, list_versions

    served = served_version(folder)
    labels = read_labels(folder)
    versions = list_versions(folder)
    withdrawn = withdrawals(folder)
    for version in versions:
        is_served = served is not None and version.number == served.number
        facts = _facts_of(version, labels, is_served=is_served)
        reason = withdrawn.get(version.files_hash)
        if reason is not None:
            facts.append(f"withdrawn by a rollback: {reason}")
        if version is versions[-1] and not is_served:
            facts.append("answers requests without a label")
        if damage is not None:
            sound = "sound"
            if MANIFEST_HASH not in version.manifest:
                sound += "; the hash of its manifest was not recorded"
            facts.append("; ".join(damage.get(str(version.number), [sound])))
        typer.echo("  ".join(fact for fact in facts if fact))


def _facts_of(
    version: Version, labels: Mapping[str, int], *, is_served: bool
) -> list[str]:
    """Return what the list shows of a version; an empty text for a missing fact."""
    manifest = version.manifest
    metrics = _part(manifest, "metrics")
    facts = [
        str(version.number),
        local_time(manifest.get("published_at", "no manifest"))
        if version.manifest_damage is None
        else f"its manifest {version.manifest_damage}",
        *(
            f"{name.replace('_', ' ')} {metrics[name]:.4f}"
            for name in ("accuracy", "balanced_accuracy")
            if isinstance(metrics.get(name), float)
        ),
        ", ".join(name for name, n in labels.items() if n == version.number),
    ]
    if is_served:
        facts.append("served")
    lost = manifest.get("lost")
    if isinstance(lost, list) and "metrics" in lost:
        facts.append("its metrics are lost: its manifest was damaged")
    if rollback := _part(manifest, "rollback"):
        facts.append(f"rolled back to {rollback.get('to_version')}")
    if forced := _part(manifest, "forced"):
        facts.append(f"forced: {forced.get('reason')}")
    return facts


def _part(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a part of a manifest; empty if it is missing or no object."""
    part = manifest.get(key)
    return part if isinstance(part, dict) else {}
