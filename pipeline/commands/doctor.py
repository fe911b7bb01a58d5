"""`graft doctor`: check this machine and its environment.

It takes seconds, because it does not import TFX or TensorFlow; `--deep` imports them,
each in a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.counts import counted
from graft.contract.errors import UserError
from graft.pipeline.config import DEFAULT_OUTPUT, PIPELINES_FOLDER, RetentionConfig
from graft.pipeline.diagnostics import installation, machine
from graft.pipeline.diagnostics.finding import Finding
from graft.serving.model_store import DEFAULT_FOLDER
from graft.trainer.backbones.presets import PRESETS


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Import the large packages too (a minute).")
    ] = False,
) -> None:
    """Check this machine and its environment; list what is missing, with remedies.

    The exit status is 1 if something that a run needs is missing.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "what", "found", "what to do"):
        table.add_column(column, overflow="fold")
    marks = {
        "fine": "[green]ok[/]",
        "note": "[yellow]note[/]",
        "missing": "[red]MISSING[/]",
    }
    found = list(findings())
    if deep:
        found += installation.import_modules()
    for finding in found:
        texts = (finding.name, finding.found, finding.remedy)
        table.add_row(marks[finding.state], *map(escape, texts))
    console = Console()
    console.print(table)
    num_missing = sum(finding.state == "missing" for finding in found)
    if num_missing:
        console.print(f"\n{num_missing} missing: graft can't run here.")
        raise typer.Exit(1)
    console.print("\nNothing that graft needs is missing.")


def findings() -> Iterator[Finding]:
    """Yield the results of all checks that need no large import."""
    yield from machine.check_host()
    yield installation.check_environment()
    yield installation.check_locked_versions()
    yield installation.check_modules()
    yield installation.check_telemetry()
    for preset in PRESETS.values():
        if preset.source == "package":
            yield installation.check_weights(preset)
    yield machine.check_memory()
    yield machine.check_cores()
    yield machine.check_gpu()
    yield machine.check_cpu_engine()
    yield machine.check_model_server()
    yield from _check_labels(DEFAULT_FOLDER)
    if os.path.isdir(os.path.join(DEFAULT_OUTPUT, PIPELINES_FOLDER)):
        yield _check_old_runs(DEFAULT_OUTPUT)


def _check_labels(folder: Path) -> Iterator[Finding]:
    """Check that the labels of each model in a folder name versions that are there."""
    if not folder.is_dir():
        return
    from graft.components.publishing.damage import find_label_damage

    for path in sorted(child for child in folder.iterdir() if child.is_dir()):
        try:
            damage = find_label_damage(str(path))
        except (UserError, OSError) as error:
            damage = {"model store": str(error)}
        yield Finding(
            name=f"labels of {path.name}",
            state="note" if damage else "fine",
            found="; ".join(f"{name} {what}" for name, what in damage.items())
            or "name versions that are there",
            remedy=f"`graft models --model {path.name} --repair` mends what it can"
            if damage
            else "",
        )


def _check_old_runs(output: str) -> Finding:
    """Check what `graft gc` would remove in an output folder with its defaults."""
    from graft.pipeline.local.retention import RunUnderWayError, remove_old_runs
    from graft.pipeline.local.run_history import find_all_metadata

    keep_runs = RetentionConfig().keep_runs or 1
    num_runs, num_bytes = 0, 0
    try:
        stores = find_all_metadata(Path(output), None)
        for path in stores:
            removal = remove_old_runs(path.parent, keep_runs=keep_runs, only_look=True)
            num_runs += len(removal.runs)
            num_bytes += removal.num_bytes
    except RunUnderWayError:
        return Finding(name="old runs", state="fine", found="not counted: a run is on")
    except (UserError, OSError) as error:
        return Finding(
            name="old runs",
            state="note",
            found=str(error),
            remedy="`graft gc --dry-run` looks again",
        )
    found = f"{counted(num_runs, 'run')} in {output!r} could free "
    return Finding(
        name="old runs",
        state="note" if num_runs else "fine",
        found=f"{found}{num_bytes / 2**20:,.1f} MiB",
        remedy="`graft gc` removes their files" if num_runs else "",
    )
