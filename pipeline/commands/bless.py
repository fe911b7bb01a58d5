"""`graft bless`: publish a model that the gate refused, with a reason."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from graft.components.canary.result import RESULT_FILE
from graft.components.evaluation.plain_words import in_words
from graft.contract.errors import DamagedFileError, RolledBackError, UserError
from graft.pipeline.commands.options import (
    DEFAULT_OUTPUT_FOLDER,
    IfServedOption,
    OutputFolderOption,
    PipelineOption,
    RunArgument,
    seen_production,
)
from graft.pipeline.local import run_history
from graft.pipeline.local.last_run import last_runs
from graft.pipeline.local.retention import artifacts_in_use
from graft.pipeline.local.run_history import Run, find_run
from graft.storage import files

_FORCE = "`graft bless --force --reason TEXT`"


def bless(
    run: RunArgument = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Push though the gate or canary refused.")
    ] = False,
    reason: Annotated[
        str, typer.Option(help="Why; kept in the manifest and the audit log.")
    ] = "",
    output: OutputFolderOption = DEFAULT_OUTPUT_FOLDER,
    pipeline: PipelineOption = None,
    if_served: IfServedOption = None,
) -> None:
    """Publish the model of a run; with --force also one that was refused.

    A model that was judged against another version than the served one needs --force.
    If another version is put into production meanwhile, nothing is done: exit status 4.
    """
    names = [each.pipeline for each in last_runs(output)]
    if pipeline is None and len(names) > 1:
        raise UserError(
            f"Several pipelines ran in {str(output)!r}: name one, so that the right "
            f"model is published. `--pipeline` must be one of: {', '.join(names)}."
        )
    if force and not reason.strip():
        raise UserError("`--force` needs `--reason`. Received: an empty text")
    with artifacts_in_use(run_history.find_metadata(output, pipeline).parent):
        chosen = find_run(output, pipeline, run)
        if chosen.is_removed:
            raise UserError(
                f"The files of run {chosen.number} were removed, since it was old "
                "(`retention.keep_runs`, `graft gc`). Publish a later run: `graft "
                "runs` lists them."
            )
        refusals = refusals_of(chosen)
        if refusals and not force:
            verdict = chosen.verdict()
            reasons = () if verdict is None else in_words(verdict, "refuse")
            reasons += tuple(each for each in refusals if each.startswith("canary: "))
            raise UserError(
                f"Run {chosen.number} was refused: {'; '.join(reasons)}. To publish "
                f"it nonetheless: {_FORCE}."
            )
        version, is_new = publish_run(
            chosen, output, refusals, reason if force else "", if_served=if_served
        )
    typer.echo(
        f"Published as version {version}."
        if is_new
        else f"Run {chosen.number} is in production already, as version {version}. "
        "Nothing was changed."
    )


def refusals_of(run: Run) -> list[str]:
    """Return why the gate and the canary refused a run's model.

    Raises:
        UserError: The run has no verdict.
    """
    verdict = run.verdict()
    if verdict is None or not run.config:
        raise UserError(f"Run {run.number} has no verdict: it did not reach the gate.")
    refusals = list(verdict.refusals)
    canary = run.artifacts.get("Canary.blessing")
    if canary is not None:
        path = os.path.join(canary, RESULT_FILE)
        try:
            refusals += [
                f"canary: {check['name']}: {check['message']}"
                for check in json.loads(files.read_small_text(path))["checks"]
                if not check["passed"]
            ]
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise DamagedFileError(path) from error
    return refusals


def publish_run(
    run: Run,
    output: Path,
    refusals: list[str],
    reason: str,
    *,
    if_served: int | None = None,
) -> tuple[int, bool]:
    """Publish a run's model.

    Args:
        run: A run with a verdict.
        output: Output folder of the command.
        refusals: Why the gate or the canary refused it.
        reason: Why it is published nonetheless; empty if the verdict holds.
        if_served: The version that must be served; None: any.

    Returns:
        The version's number, and whether it was not in production before.

    Raises:
        StoreChangedError: Another version is in production than the model was judged
            against, or than when the command began.
        UserError: The model's files are not those that the gate judged.
    """
    from graft.components.publishing.config import PushConfig
    from graft.components.publishing.judgement import judgement_of
    from graft.components.publishing.provenance import describe_environment, record_of
    from graft.components.publishing.store import publish
    from graft.components.publishing.versions import compare_files, hash_files
    from graft.trainer.training_facts import TrainingFacts

    push = PushConfig.model_validate(run.config["push"]).resolved(str(output))
    seen = seen_production(push.model_folder, if_served)
    verdict = run.verdict()
    model_path = os.path.join(run.artifacts["Trainer.model"], "Format-Serving")
    against, judged_files = (seen, None) if reason else judgement_of(verdict)
    record: dict[str, Any] = {
        "config": run.config,
        "pipeline": run.config["name"],
        **describe_environment(),
        "training": asdict(TrainingFacts.read(run.artifacts["Trainer.model"])),
        **({} if verdict is None else record_of(verdict)),
    }
    if reason:
        judged = (None if verdict is None else verdict.judged_files) or {}
        unjudged = compare_files(judged, hash_files(model_path), "judged")
        record["forced"] = {
            "reason": reason,
            "refusals": [*refusals, *(f"gate: {each}" for each in unjudged)],
        }
    try:
        version = publish(
            model_path,
            push.model_folder,
            record,
            against=against,
            keep_versions=push.keep_versions,
            label=push.label,
            judged_files=judged_files,
        )
    except RolledBackError as error:
        raise UserError(f"{error} To publish it nonetheless: {_FORCE}.") from error
    return version.number, version.number != seen.version
