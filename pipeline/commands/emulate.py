"""`graft emulate`: run a compiled pipeline on this machine, before a cluster does."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.contract.errors import UserError
from graft.pipeline.commands.cluster_options import ParameterOption, parse_parameters

if TYPE_CHECKING:
    from graft.pipeline.kubeflow.emulation.step_result import StepResult
    from graft.pipeline.kubeflow.emulation.store import ObjectStore

_BACKEND = "graft.pipeline.kubeflow.emulation"


def emulate(  # noqa: PLR0917 - options of a command
    pipeline: Annotated[Path, typer.Argument(help="What `graft compile` wrote.")],
    folder: Annotated[
        Path, typer.Option("--folder", help="Folder for buckets, metadata and logs.")
    ] = Path("graft_output/emulated"),
    mounts: Annotated[
        list[str] | None,
        typer.Option(
            "--mount",
            metavar="PATH=FOLDER",
            help="Local folder in place of a mount, such as /mnt/data=photos.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            help="Deployment profile; its `emulated_mounts` stand for --mount.",
        ),
    ] = None,
    parameters: ParameterOption = None,
    parallel: Annotated[
        int,
        typer.Option("--parallel", min=1, help="Most steps at the same time."),
    ] = 1,
) -> None:
    """Run a compiled pipeline here, each step in a fresh process (an emulation).

    A step receives only the files that earlier steps uploaded to the folder's bucket.
    The exit status is 1 if a step failed.
    """
    from graft.pipeline.kubeflow.compilation.missing_mounts import missing_mounts
    from graft.pipeline.kubeflow.compilation.pipeline_file import (
        check_mounts,
        read_pipeline_file,
    )
    from graft.pipeline.kubeflow.emulation.backend import EmulatedBackend
    from graft.pipeline.kubeflow.emulation.pipeline_run import Hooks

    folders = _folders_of(mounts or (), profile)
    spec, configs = read_pipeline_file(pipeline)
    check_mounts(folders, configs)
    if missing := missing_mounts(folders, spec, configs):
        options = " ".join(f"--mount {path}=FOLDER" for path in missing)
        raise UserError(
            f"The pipeline reads or writes in {', '.join(missing)}, which this machine "
            f"does not have. Name a folder that exists for each: {options}; or under "
            "`emulated_mounts` in the profile, with --profile."
        )
    display = _StepDisplay()
    backend = EmulatedBackend(
        folder.absolute(),
        mounts=folders,
        max_parallel=parallel,
        backoff_scale=1.0,
        hooks=Hooks(on_event=display.on_event),
    )
    with display.bar, _log_of_backend(folder / "emulation.log"):
        results = backend.run(pipeline, parse_parameters(parameters))
    _print_results(results)
    _print_outcome(results, backend.store)
    if any(result.state == "FAILED" for result in results.values()):
        raise typer.Exit(1)


def _print_results(results: Mapping[str, StepResult]) -> None:
    """Print a row per step, and where the logs are."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("step", no_wrap=True)
    for name in ("state", "attempts", "seconds", "MB in", "MB out"):
        table.add_column(name)
    has_messages = any(result.message for result in results.values())
    if has_messages:
        table.add_column("message", overflow="fold")
    folders = set()
    for name, result in results.items():
        if result.log_path is not None:
            folders.add(result.log_path.parent)
        table.add_row(
            name,
            result.state,
            str(result.attempts),
            f"{result.seconds:.1f}",
            f"{result.downloaded / 1e6:.1f}",
            f"{result.uploaded / 1e6:.1f}",
            *([result.message] if has_messages else []),
        )
    console = Console(highlight=False)
    console.print(table)
    for folder in sorted(folders):
        # A wrapped path could not be copied.
        console.print(f"Logs: {folder}/STEP.log", markup=False, soft_wrap=True)


def _print_outcome(results: Mapping[str, StepResult], store: ObjectStore) -> None:
    """Print the gate's verdict, what was pushed and the report, as `graft run` does.

    Args:
        results: Results by step; without a verdict nothing is printed.
        store: Where the steps uploaded their files.
    """
    from graft.components.evaluation.plain_words import in_words
    from graft.components.evaluation.verdict import VERDICT_FILE, load_verdict
    from graft.components.publishing.config import REASON_PROPERTY
    from graft.contract.counts import counted
    from graft.contract.printable import escaped

    found = {
        key: artifact
        for result in results.values()
        for key, artifact in result.artifacts.items()
    }
    if "evaluation" not in found:
        return
    path = store.path(found["evaluation"].uri) / VERDICT_FILE
    if not path.is_file():
        return
    verdict = load_verdict(str(path))
    reasons = in_words(verdict, "pass" if verdict.is_blessed else "refuse")
    outcome = "passed" if verdict.is_blessed else "refused"
    num_images = counted(int(verdict.metrics["num_test_images"]), "image")
    rows = [
        ("Test accuracy", f"{verdict.metrics['accuracy']:.4f} on {num_images}"),
        ("Gate", f"{outcome}: {'; '.join(reasons)}"),
        *(("", f"note: {note}") for note in in_words(verdict, "note")),
    ]
    if "pushed_model" in found:
        pushed = found["pushed_model"].metadata
        reason = pushed.get(REASON_PROPERTY) or "the model was refused"
        where = pushed.get("pushed_destination") or f"nowhere: {reason}"
        rows.append(("Pushed to", str(where)))
    if "report" in found:
        rows.append(("Report", str(store.path(found["report"].uri))))
    for name, text in rows:
        typer.echo(f"{name:<14} {escaped(text)}")


@contextlib.contextmanager
def _log_of_backend(path: Path) -> Iterator[None]:
    """Write what the backend logs to a file; the steps have logs of their own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger(_BACKEND)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def _folders_of(mounts: Sequence[str], profile: str | None) -> dict[str, Path]:
    """Return the local folder of each mount: an option, or what the profile says.

    Raises:
        UserError: An option has another form, or a folder does not exist.
    """
    from graft.pipeline.kubeflow.compilation.profile_file import load_profile
    from graft.storage.paths import expand_home

    kept = {} if profile is None else load_profile(profile).emulated_mounts
    given = dict.fromkeys(kept, "`emulated_mounts`")
    local = dict(kept)
    for text in mounts:
        path, equals, folder = text.partition("=")
        if not equals or not path.startswith("/"):
            raise UserError(f"`--mount` takes PATH=FOLDER. Received: {text!r}")
        local[path], given[path] = folder, "`--mount`"
    folders = {path: Path(expand_home(text)).absolute() for path, text in local.items()}
    for path, found in folders.items():
        if not found.is_dir():
            raise UserError(
                f"{given[path]} takes a folder that exists. Received: {local[path]!r} "
                f"for {path}"
            )
    return folders


class _StepDisplay:
    """Prints each event of a step; on a terminal also what runs, and for how long."""

    def __init__(self) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        self.bar = Progress(*columns, transient=True)
        self._tasks: dict[str, Any] = {}

    def on_event(self, step: str, event: str) -> None:
        """Show what happened to a step."""
        seconds = ""
        if step in self._tasks:
            task = self._tasks.pop(step)
            elapsed = self.bar.tasks[self.bar.task_ids.index(task)].elapsed
            seconds = f" after {elapsed or 0:.0f} s"
            self.bar.remove_task(task)
        if event.startswith("attempt"):
            self._tasks[step] = self.bar.add_task(f"{step}, {event}")
            seconds = ""
        self.bar.console.print(f"{step}: {event}{seconds}", markup=False)
