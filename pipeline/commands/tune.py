"""`graft tune`: search for a better head on the features that a run stored."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
import yaml

from graft.contract.errors import UserError
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
)
from graft.pipeline.commands.waiting import shown_while_waiting
from graft.pipeline.config import PipelineConfig
from graft.storage import atomic
from graft.trainer.custom_config import STORED_FEATURES_STRATEGIES

if TYPE_CHECKING:
    import optuna

    from graft.pipeline.local.stored_features import StoredFeatures
    from graft.trainer.loops.tuning import Problem, Score

_ROWS_SHOWN = 5
TABLE_FILE = "trials.csv"
JSON_FILE = "trials.json"
BEST_FILE = "best.yaml"


def tune(  # noqa: PLR0917 - options of a command
    config: ConfigPath = None,
    data: DataOption = None,
    output: OutputOption = None,
    overrides: SetOption = None,
    labels: LabelsOption = None,
    trials: Annotated[
        int,
        typer.Option("--trials", min=1, help="Heads to try, earlier calls included."),
    ] = 50,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=0, help="Start no trial after this time."),
    ] = None,
    metric: Annotated[
        Literal["loss", "accuracy"],
        typer.Option("--metric", help="Metric on `eval` to optimise."),
    ] = "loss",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the search.")] = 0,
    best: Annotated[
        Path | None, typer.Option("--best", help="File for the best config.")
    ] = None,
) -> None:
    """Search for a better head on the features that `graft run` stored.

    It chooses head, optimizer, learning rate, penalties and label smoothing on `eval`,
    and never reads `test`. It keeps the best config, a table of the trials and the
    search in the pipeline's folder. The same command continues an earlier search.
    """
    from graft.components.ingestion.fingerprint import fingerprint

    loaded = load_named_config(config, data, output, overrides)
    named = loaded.with_label_fixes(labels or ())
    loaded = with_decisions(named)
    tell_of_lost_fixes(Path(loaded.pipeline_folder), named.data)
    if loaded.training.strategy not in STORED_FEATURES_STRATEGIES:
        raise UserError(
            "`graft tune` searches on stored features: `training.strategy` must be one "
            f"of {list(STORED_FEATURES_STRATEGIES)}. "
            f"Received: {loaded.training.strategy!r}"
        )
    from graft.pipeline.local.retention import artifacts_in_use
    from graft.pipeline.local.stored_features import find_stored_features

    with shown_while_waiting("Listing the images"):
        data_fingerprint = fingerprint(loaded.data)
    stored = find_stored_features(loaded, data_fingerprint)
    typer.echo("Loading TensorFlow and the features ...")
    with artifacts_in_use(loaded.pipeline_folder):
        problem, digest = _load_problem(loaded, stored, metric)
    folder = Path(loaded.pipeline_folder) / "tuning"
    folder.mkdir(parents=True, exist_ok=True)
    from graft.trainer.loops import tuning

    storage = f"sqlite:///{os.path.abspath(folder / 'study.sqlite')}"
    study = tuning.open_study(storage, f"{digest[:16]}-{seed}", seed)
    current = _search(study, problem, num_trials=trials, seconds=seconds)
    _write_table(folder, tuning.table(tuning.finished_trials(study)))
    _write_best(loaded, study, current, metric=metric, path=best or folder / BEST_FILE)


def _load_problem(
    config: PipelineConfig, stored: StoredFeatures, metric: Literal["loss", "accuracy"]
) -> tuple[Problem, str]:
    """Load the features; return the problem, and a hash of data and config."""
    from graft.serving.tensorflow_runtime import native_output_hidden

    with native_output_hidden():
        from graft.trainer.loops.feature_source import FeatureSource
        from graft.trainer.loops.training_loop import fingerprint_of
        from graft.trainer.loops.tuning import SEARCH_VERSION, Problem
        from graft.trainer.loops.tuning_features import (
            StreamedFeatures,
            stored_features,
        )
        from graft.trainer.preprocessing.transform_graph import read_label_map

        is_pooled = config.model.pooling != "none"
        sources = (
            FeatureSource.of([stored.train]),
            FeatureSource.of([stored.evaluation]),
        )
        # The first operation makes TensorFlow warn that it finds no GPU.
        features = stored_features(
            *sources, model=config.model, training=config.training, is_pooled=is_pooled
        )
        # As in the Trainer. A class may have lost its last features, for instance to
        # DataQuality, so the labels don't tell the number of classes.
        num_classes = len(read_label_map(stored.transform_graph))
    if isinstance(features, StreamedFeatures):
        typer.echo(
            "The features are read anew in each epoch of each trial, as by the Trainer "
            "(`training.feature_reading`). Linear heads are fitted in mini-batches."
        )
    # TensorFlow warns of many graphs; each trial needs its own.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    shape: tuple[int, ...] = (features.width(),)
    if not is_pooled:
        from graft.trainer.backbones.backbone import build_backbone

        shape = build_backbone(config.model).output_shape[1:]
    problem = Problem(
        features=features,
        model=config.model,
        training=config.training,
        num_classes=num_classes,
        feature_shape=shape,
        metric=metric,
    )
    digest = hashlib.sha256(features.digest())
    settings = fingerprint_of(config.model, config.training, SEARCH_VERSION, metric)
    digest.update(settings.encode())
    return problem, digest.hexdigest()


def _search(
    study: optuna.Study, problem: Problem, *, num_trials: int, seconds: float | None
) -> Score:
    """Search, and print the trials; return the score of the config as it is."""
    from graft.trainer.loops import tuning

    started = time.monotonic()
    num_before = len(tuning.finished_trials(study))
    if num_before:
        typer.echo(f"Going on with {num_before} trials of the same search.")
    with shown_while_waiting("Training with the config as it is"):
        current = problem.fit(None)
    typer.echo(f"The config as it is: {_describe(current)}")
    best_values = [min([current.value(problem.metric), *_values(study)])]

    def on_trial(trial: optuna.trial.FrozenTrial) -> None:
        if trial.value is not None and trial.state.name == "COMPLETE":
            if trial.value < best_values[0]:
                best_values[0] = trial.value
                score = _describe(tuning.score_of(trial))
                typer.echo(f"Trial {trial.number + 1}: {score}")

    tuning.search(
        study, problem, num_trials=num_trials, seconds=seconds, on_trial=on_trial
    )
    rows = tuning.table(tuning.finished_trials(study))
    _show(rows, time.monotonic() - started, num_before)
    return current


def _write_best(
    config: PipelineConfig,
    study: optuna.Study,
    current: Score,
    *,
    metric: Literal["loss", "accuracy"],
    path: Path,
) -> None:
    """Write the config of the best trial, if it is better than the present one."""
    from graft.trainer.loops import tuning

    finished = tuning.finished_trials(study)
    completed = [trial for trial in finished if trial.state.name == "COMPLETE"]
    winner = min(completed, key=lambda trial: trial.value or 0.0, default=None)
    if winner is None or (winner.value or 0.0) >= current.value(metric):
        typer.echo("No trial was better than the present config.")
        return
    header = (
        f"# Written by `graft tune`: trial {winner.number + 1} of {len(finished)}, "
        f"chosen by its {metric} on `eval`.\n"
        f"#   {_describe(tuning.score_of(winner))}\n"
        f"#   before: {_describe(current)}\n"
    )
    proposal = tuning.proposal_of(winner)
    text = header + _best_config(config, proposal.head, proposal.training)
    atomic.write_text(str(path), text)
    typer.echo(f"Best config: {path}\nNext:        graft run {path}")


def _values(study: optuna.Study) -> list[float]:
    return [t.value for t in study.trials if t.value is not None]


def _describe(score: Score) -> str:
    return f"accuracy {score.accuracy:.4f}, log-loss {score.loss:.4f} on eval"


def _best_config(
    config: PipelineConfig, head: list[dict[str, Any]], training: dict[str, Any]
) -> str:
    """Return the user's config as YAML, with the head and training of a trial."""
    values = config.model_dump(mode="json", exclude_unset=True)
    values.setdefault("model", {})["head"] = head
    values.setdefault("training", {}).update(training)
    PipelineConfig.model_validate(values)
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return text


def _write_table(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write the trials as CSV and as JSON."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / TABLE_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    (folder / JSON_FILE).write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _show(rows: list[dict[str, Any]], seconds: float, num_before: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("Trial", "Eval loss", "Eval accuracy", "Seconds", "Head"):
        table.add_column(title, justify="left" if title == "Head" else "right")
    done = [row for row in rows if row["eval_loss"] is not None]
    for row in sorted(done, key=lambda row: float(row["eval_loss"]))[:_ROWS_SHOWN]:
        table.add_row(
            str(row["trial"] + 1),
            f"{row['eval_loss']:.4f}",
            f"{row['eval_accuracy']:.4f}",
            f"{row['seconds']:.1f}",
            f"{row['layers']} dense, {row['optimizer']}",
        )
    Console(highlight=False).print(table)
    typer.echo(
        f"{len(rows) - num_before} trials in {seconds:.0f} s, "
        f"{len(rows) - len(done)} of all stopped early."
    )
