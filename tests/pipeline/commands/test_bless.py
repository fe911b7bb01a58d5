"""`graft bless` publishes what its verdict allows, or what a reason forces."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.publishing import audit, store
from graft.components.publishing.production import read_production, served_version
from graft.components.publishing.versions import hash_files
from graft.contract.errors import StoreChangedError, UserError
from graft.pipeline.commands.bless import publish_run
from graft.pipeline.commands.runs import _version_of
from graft.pipeline.local.run_history import Run


def make_model(folder: Path, content: str) -> Path:
    (folder / "Format-Serving").mkdir(parents=True)
    (folder / "Format-Serving" / "saved_model.pb").write_text(content)
    return folder


@pytest.fixture
def model_folder(tmp_path: Path) -> str:
    return str(tmp_path / "output" / "serving" / "graft")


@pytest.fixture
def run(tmp_path: Path, model_folder: str) -> Run:
    """A run that was judged against the version that is served."""
    seen = read_production(model_folder)
    model = str(make_model(tmp_path / "first", "first") / "Format-Serving")
    store.publish(model, model_folder, {}, against=seen, keep_versions=5)
    judged = read_production(model_folder).to_dict()
    trained = make_model(tmp_path / "trained", "trained")
    judged_files = hash_files(str(trained / "Format-Serving"))
    verdict = Verdict(True, (), {}, judged_against=judged, judged_files=judged_files)
    evaluation = tmp_path / "evaluation"
    evaluation.mkdir()
    (evaluation / VERDICT_FILE).write_text(verdict.to_json())
    return Run(
        1,
        "id",
        datetime.now(UTC),
        1.0,
        "complete",
        {},
        {
            "Evaluator.evaluation": str(evaluation),
            "Trainer.model": str(trained),
        },
        config={"name": "p", "push": {}},
    )


def push_another(tmp_path: Path, model_folder: str) -> int:
    model = str(make_model(tmp_path / "another", "another") / "Format-Serving")
    seen = read_production(model_folder)
    return store.publish(model, model_folder, {}, against=seen, keep_versions=5).number


def test_a_blessed_run_is_published(
    run: Run, tmp_path: Path, model_folder: str
) -> None:
    version, is_new = publish_run(run, tmp_path / "output", [], "")
    assert is_new
    assert read_production(model_folder).version == version


def test_the_runs_table_shows_the_version_of_a_blessed_run(
    run: Run, tmp_path: Path, model_folder: str
) -> None:
    verdict = run.verdict()
    assert _version_of(run, verdict, tmp_path / "output") == ""
    version, _ = publish_run(run, tmp_path / "output", ["refused"], "I looked at it")
    push_another(tmp_path, model_folder)
    shown = _version_of(run, verdict, tmp_path / "output")
    assert shown == f"{version} (blessed)"
    assert _version_of(run, None, tmp_path / "output") == ""


@pytest.mark.parametrize("reason", ["", "to be sure"])
def test_a_run_in_production_is_not_published_again(
    run: Run, tmp_path: Path, model_folder: str, reason: str
) -> None:
    version, _ = publish_run(run, tmp_path / "output", [], "")
    before = audit.read_audit(model_folder)
    assert publish_run(run, tmp_path / "output", [], reason) == (version, False)
    assert audit.read_audit(model_folder) == before


def test_a_verdict_about_an_earlier_version_needs_force(
    run: Run, tmp_path: Path, model_folder: str
) -> None:
    now = push_another(tmp_path, model_folder)
    with pytest.raises(StoreChangedError, match=rf"version {now} is served now"):
        publish_run(run, tmp_path / "output", [], "")
    assert read_production(model_folder).version == now
    forced, _ = publish_run(run, tmp_path / "output", [], "it is better", if_served=now)
    assert read_production(model_folder).version == forced
    line = audit.read_audit(model_folder)[-1]
    assert line["forced"]["reason"] == "it is better"
    assert line["judged_against"]["version"] == now


@pytest.mark.parametrize("lost", ["judged_against", "judged_files"])
def test_a_verdict_that_does_not_tell_needs_force(
    run: Run, tmp_path: Path, lost: str
) -> None:
    path = Path(run.artifacts["Evaluator.evaluation"]) / VERDICT_FILE
    verdict = Verdict.from_json(path.read_text())
    path.write_text(replace(verdict, **{lost: None}).to_json())
    with pytest.raises(UserError, match=r"does not tell.*judged.*again"):
        publish_run(run, tmp_path / "output", [], "")
    publish_run(run, tmp_path / "output", [], "I looked at it")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda graph: graph.write_text("tr@ined"), "saved_model.pb is not what was"),
        (lambda graph: graph.unlink(), "saved_model.pb is missing"),
        (lambda graph: shutil.rmtree(graph.parents[1]), "saved_model.pb is missing"),
        (lambda graph: (graph.parent / "x").write_text("x"), "x was not judged"),
    ],
    ids=["changed", "removed", "folder removed", "file added"],
)
def test_files_that_the_gate_did_not_judge_are_not_published(
    run: Run,
    tmp_path: Path,
    model_folder: str,
    harm: Callable[[Path], object],
    message: str,
) -> None:
    before = read_production(model_folder)
    harm(Path(run.artifacts["Trainer.model"]) / "Format-Serving" / "saved_model.pb")
    with pytest.raises(UserError, match=rf"is damaged: {message}.* again"):
        publish_run(run, tmp_path / "output", [], "")
    assert read_production(model_folder) == before


def test_a_forced_model_tells_which_of_its_files_were_not_judged(
    run: Run, tmp_path: Path, model_folder: str
) -> None:
    graph = Path(run.artifacts["Trainer.model"]) / "Format-Serving" / "saved_model.pb"
    graph.write_text("other")
    publish_run(run, tmp_path / "output", [], "I changed it myself")
    served = served_version(model_folder)
    assert served is not None
    assert served.manifest["forced"]["refusals"] == [
        "gate: saved_model.pb is not what was judged"
    ]


def test_not_even_force_publishes_a_model_without_its_graph(
    run: Run, tmp_path: Path
) -> None:
    shutil.rmtree(run.artifacts["Trainer.model"])
    with pytest.raises(UserError, match=r"saved_model\.pb is missing"):
        publish_run(run, tmp_path / "output", [], "I insist")
