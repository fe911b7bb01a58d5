"""`graft run`: the whole pipeline on this machine."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.errors import UserError
from graft.pipeline.beam_runners.readiness import require_ready
from graft.pipeline.commands.fix_options import (
    LabelsOption,
    tell_of_lost_fixes,
    with_decisions,
)
from graft.pipeline.commands.options import (
    ConfigPath,
    DataOption,
    OutputOption,
    SetOption,
    load_named_config,
    tell,
)
from graft.pipeline.commands.waiting import shown_while_waiting
from graft.pipeline.config import PipelineConfig
from graft.pipeline.local.last_run import last_run_of, remember_run
from graft.pipeline.local.metadata_check import require_intact
from graft.pipeline.local.run_names import data_key
from graft.pipeline.machine_faults import describe_fault
from graft.pipeline.path_checks import check_local_output
from graft.storage.left_aside import OUTPUT_MARKER
from graft.storage.paths import expand_home

EXIT_REFUSED = 3
"""Exit status of a run whose model the gate or the canary refused, or that was rolled
back before."""


def run(  # noqa: PLR0917 - options of a command
    config: ConfigPath = None,
    data: DataOption = None,
    output: OutputOption = None,
    overrides: SetOption = None,
    runner: Annotated[
        str | None,
        typer.Option("--runner", help="Where Beam jobs run; replaces beam.runner."),
    ] = None,
    flink_master: Annotated[
        str | None,
        typer.Option(
            "--flink-master",
            metavar="HOST:PORT",
            help="Flink's REST API; replaces beam.flink.master.",
        ),
    ] = None,
    labels: LabelsOption = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all logs on the terminal.")
    ] = False,
) -> None:
    """Run the pipeline: ingest, validate, train, evaluate, gate and push.

    CONFIG may be a folder with one folder of images per class. Results
    of earlier runs are taken from the cache. The exit status is 0 if the model was
    pushed, now or by a run of the same data, config and code; 3 if the gate or the
    canary refused it, or if it was rolled back before; 4 if another version was put
    into production than the gate judged the model against; and 1 if the run failed.
    """
    from graft.components.ingestion.fingerprint import fingerprint

    overrides = [
        *(overrides or ()),
        *([f"beam.runner={runner}"] if runner else ()),
        *([f"beam.flink.master={flink_master}"] if flink_master else ()),
    ]
    words = _words(config, data, output, overrides, labels or ())
    loaded = load_named_config(config, data, output, overrides)
    if labels:
        loaded = loaded.with_label_fixes(labels)
    if loaded.beam.runner == "dataflow":
        raise UserError(
            "`beam.runner` must be local or flink for `graft run`: Dataflow's workers "
            "don't see this machine's folders. Received: 'dataflow'. Compile the "
            "pipeline for Vertex AI: graft compile --target vertex."
        )
    named = loaded.data
    loaded = with_decisions(loaded)
    if loaded.beam.is_remote:
        loaded = loaded.with_absolute_paths()
    try:
        check_local_output(loaded.output, loaded.metadata_path)
    except ValueError as error:
        raise UserError(str(error)) from None
    # Missing data are reported before TFX is imported, which takes seconds.
    with shown_while_waiting("Listing the images"):
        data_fingerprint = fingerprint(loaded.data)
    if os.path.realpath(loaded.output) == os.path.realpath(
        expand_home(loaded.data.path)
    ):
        raise UserError(
            "`output` must not be the data's own folder. Received: "
            f"{loaded.output!r}. Name another one with --output, or a folder in it."
        )
    folder = Path(loaded.pipeline_folder)
    _make_folder(folder, Path(loaded.output))
    require_intact(loaded.metadata_path)
    log_path = _new_log(folder / "logs")
    lost = tell_of_lost_fixes(folder, named)
    data = data_key(loaded.data.path)
    before = last_run_of(folder)
    tell_of_other_data(before.data, loaded.name, data)
    applied = before.label_fixes if before.data == data else ()
    model = loaded.push.model_name
    remember = functools.partial(remember_run, str(folder), model=model, data=data)
    remember(label_fixes=applied, words=before.words, has_ended=before.has_ended)
    refusal = _run(loaded, data_fingerprint, log_path, lost, verbose=verbose)
    # Not before: a run that fails has applied nothing.
    remember(label_fixes=loaded.data.label_fixes, refusal=refusal, words=words)
    if refusal:
        raise typer.Exit(EXIT_REFUSED)


def tell_of_other_data(before: str, name: str, now: str) -> None:
    """Tell that the last run of a pipeline read other data than this one."""
    if before and before != now:
        tell(
            f"The last run of `{name}` read {before!r}, this one reads {now!r}. The "
            "gate compares their models on the test images of this one."
        )


def _words(
    config: str | None,
    data: str | None,
    output: str | None,
    overrides: Sequence[str],
    labels: Sequence[str],
) -> list[str]:
    """Return the words of a command line that runs the same again."""
    words = [config] if config else []
    for option, value in (("--data", data), ("--output", output)):
        words += [option, value] if value else []
    for option, values in (("--set", overrides), ("--labels", labels)):
        for value in values:
            words += [option, value]
    return words


def _new_log(folder: Path) -> Path:
    """Create a log file of this run alone: two runs may begin in the same second."""
    folder.mkdir(exist_ok=True)
    name = time.strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        path = folder / (f"{name}.log" if number == 1 else f"{name}-{number}.log")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise AssertionError("`count` has no end")


def _make_folder(folder: Path, output: Path) -> None:
    """Create the output folder, and check that it is writable.

    It is marked, so that it is never taken for data if it lies in the data's folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.write_bytes(b"1")
        probe.unlink()
        (output / OUTPUT_MARKER).touch()
    except OSError as error:
        raise UserError(
            f"The output folder {str(folder)!r} can't be written to: {error.strerror}. "
            "Name another one with --output."
        ) from error


def _run(
    config: PipelineConfig,
    data_fingerprint: str,
    log_path: Path,
    lost_fixes: str,
    *,
    verbose: bool,
) -> str:
    """Run the pipeline and print the result.

    Returns:
        Why the model was refused; "" if it was not.
    """
    from graft.pipeline.local.progress_display import ProgressDisplay
    from graft.pipeline.local.run_log import logs_to_file

    start = time.monotonic()
    with logs_to_file(log_path, verbose=verbose) as terminal:
        display = ProgressDisplay(terminal, animate=not verbose)
        with display:
            display.say("Loading TFX")
            # Imports create many objects and no garbage. Collections would take time
            # now; `freeze` exempts these objects from every later one.
            gc.disable()
            from graft.pipeline.local.runner import run_locally
            from graft.trainer.loops.early_checks import check_network

            gc.freeze()
            gc.enable()
            try:
                check_network(config.model, config.training)
                require_ready(
                    config.beam,
                    config.all_beam_args,
                    {
                        "`output`": config.pipeline_folder,
                        "`data.path`": config.data.path,
                        "`features.cache`": config.feature_cache,
                    },
                    display.say,
                )
                run_id, timings = run_locally(
                    config, data_fingerprint, display.on_event, display.note
                )
            except UserError as error:
                raise type(error)(f"{error}\nLog: {log_path}") from None
            except Exception as error:
                raise _failure(error, display.failed_node, log_path) from error
            from graft.components.report.timings import fill_in_timings
            from graft.pipeline.local.run_result import read_result

            result = read_result(config, run_id)
            if lost_fixes:
                notes = (*result.data_notes, lost_fixes)
                result = replace(result, data_notes=notes)
            if result.report_path:
                fill_in_timings(result.report_path, timings)
            removed = _remove_old_runs(config)
    from graft.pipeline.local.summary import print_summary

    print_summary(config, result, seconds=time.monotonic() - start, log_path=log_path)
    if removed:
        typer.echo(removed)
    return result.refusal


def _remove_old_runs(config: PipelineConfig) -> str | None:
    """Remove the files of old runs, and return what to tell the user of it.

    The run has ended well: that it can't remove anything is no failure.
    """
    from graft.pipeline.local.retention import RunUnderWayError, remove_old_runs

    keep_runs = config.retention.keep_runs
    if keep_runs is None:
        return None
    try:
        removal = remove_old_runs(config.pipeline_folder, keep_runs=keep_runs)
    except RunUnderWayError:
        return None  # the other run removes them at its end
    except (UserError, OSError) as error:
        return f"The files of old runs could not be removed: {error}"
    return f"{'Old runs':<14} removed {removal.describe()}" if removal.runs else None


def _failure(error: Exception, node: str | None, log_path: Path) -> Exception:
    """Return the error to show the user for an exception of a node."""
    text = str(error)
    fault = describe_fault(error)
    if fault:
        return UserError(
            f"{node or 'The run'} failed. {fault} It continues from here.\n"
            f"Log: {log_path}"
        )
    import logging

    logging.getLogger("graft").error("%s failed", node or "The run", exc_info=error)
    summary = " ".join([f"{type(error).__name__}:", *text.splitlines()[:1]])
    return UserError(
        f"{node or 'The run'} failed: {summary}\nThe trace is in the log: {log_path}"
    )
