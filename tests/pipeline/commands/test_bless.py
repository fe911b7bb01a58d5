"""`graft bless` publishes what its verdict allows, or what a reason forces."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.publishing import audit, store
from graft.components.publishing.production import read_production
from graft.contract.errors import StoreChangedError, UserError
from graft.pipeline.commands.bless import publish_run
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
    verdict = Verdict(True, (), {}, judged_against=judged)
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
            "Trainer.model": str(make_model(tmp_path / "trained", "trained")),
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


def test_a_verdict_that_does_not_tell_needs_force(run: Run, tmp_path: Path) -> None:
    path = Path(run.artifacts["Evaluator.evaluation"]) / VERDICT_FILE
    verdict = Verdict.from_json(path.read_text())
    path.write_text(replace(verdict, judged_against=None).to_json())
    with pytest.raises(UserError, match="does not tell what the model was judged"):
        publish_run(run, tmp_path / "output", [], "")
