"""`graft run`: the whole pipeline on this machine."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from graft.contract.errors import UserError
from graft.pipeline.commands.options import (
    ConfigPath,
    DataOption,
    OutputOption,
    SetOption,
)
from graft.pipeline.config import PipelineConfig, load_config

EXIT_REFUSED = 3
"""Exit status when the pipeline ran and the gate refused the model."""


def run(
    config: ConfigPath = None,
    data: DataOption = None,
    output: OutputOption = None,
    overrides: SetOption = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all logs on the terminal.")
    ] = False,
) -> None:
    """Run the pipeline: ingest, validate, train, evaluate, gate and push.

    With no CONFIG, --data names a folder with one folder of images per class. What an
    earlier run already answered is taken from its cache. The exit status is 0 when the
    model was pushed, 3 when the gate refused it, 1 when the run failed.
    """
    from graft.components.ingestion.fingerprint import fingerprint

    loaded = load_config(config, data=data, output=output, overrides=overrides)
    # Before TFX is imported: data that are not there are told of at once.
    data_fingerprint = fingerprint(loaded.data)
    folder = Path(loaded.pipeline_folder)
    _make_folder(folder)
    log_path = folder / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}.log"
    is_blessed = _run(loaded, data_fingerprint, log_path, verbose=verbose)
    if not is_blessed:
        raise typer.Exit(EXIT_REFUSED)


def _make_folder(folder: Path) -> None:
    """Make the output folder and see that it can be written to, before the wait."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.write_bytes(b"1")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"The output folder {str(folder)!r} can't be written to: {error.strerror}. "
            "Name another one with --output."
        ) from error


def _run(
    config: PipelineConfig, data_fingerprint: str, log_path: Path, *, verbose: bool
) -> bool:
    from graft.pipeline.local.progress_display import ProgressDisplay
    from graft.pipeline.local.run_log import logs_to_file

    start = time.monotonic()
    with logs_to_file(log_path, verbose=verbose) as terminal:
        display = ProgressDisplay(terminal, animate=not verbose)
        with display:
            display.say("Loading TFX")
            from graft.pipeline import lean_imports

            # Imports make millions of objects and no garbage: looking for some among
            # them takes seconds, now and in every later collection.
            gc.disable()
            lean_imports.install()
            from graft.pipeline.local.runner import run_locally
            from graft.trainer.loops.early_checks import check_network

            gc.freeze()
            gc.enable()
            try:
                check_network(config.model, config.training)
                timings = run_locally(config, data_fingerprint, display.on_event)
            except UserError as error:
                raise UserError(f"{error}\nLog: {log_path}") from None
            except Exception as error:
                raise _failure(error, display.failed_node, log_path) from error
            from graft.components.report.timings import fill_in_timings
            from graft.pipeline.local.run_result import read_result

            result = read_result(config)
            if result.report_path:
                fill_in_timings(result.report_path, timings)
    from graft.pipeline.local.summary import print_summary

    print_summary(config, result, seconds=time.monotonic() - start, log_path=log_path)
    return result.is_blessed


def _failure(error: Exception, node: str | None, log_path: Path) -> Exception:
    """Name the usual failures of a machine; leave a defect of ours as it is."""
    text = str(error)
    if (isinstance(error, OSError) and error.errno == 28) or "No space left" in text:
        return UserError(
            f"No space left on the disk, in {node or 'the run'}. Free some and run the "
            f"same command again: it goes on from here.\nLog: {log_path}"
        )
    import logging

    logging.getLogger("graft").error("%s failed", node or "The run", exc_info=error)
    return UserError(
        f"{node or 'The run'} failed: {type(error).__name__}: {text.splitlines()[0]}\n"
        f"This is not a mistake of yours that graft knows. The log has the trace: "
        f"{log_path}"
    )
