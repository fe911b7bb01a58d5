"""Gate, canary, publishing and report, one after another, on a tiny real model."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from graft.components.canary.component import Canary
from graft.components.canary.config import CanaryConfig
from graft.components.evaluation.component import Evaluator
from graft.components.evaluation.config import AnswersConfig, GateConfig
from graft.components.evaluation.predictions import Predictions
from graft.components.evaluation.verdict import Verdict
from graft.components.ingestion.artifacts import ImageQuarantine
from graft.components.ingestion.fixes.applied_fixes import FIXES_FILE, AppliedFixes
from graft.components.publishing import executor as publishing
from graft.components.publishing import store
from graft.components.publishing.config import PushConfig
from graft.components.publishing.production import read_production
from graft.components.publishing.provenance import record_of
from graft.components.publishing.served_model import ServedModel
from graft.components.publishing.versions import list_versions
from graft.components.quality.artifacts import DataQualityReport
from graft.components.quality.component import DataQuality
from graft.components.quality.config import DataQualityConfig
from graft.components.report.artifacts import ModelCard, RunReport
from graft.components.report.component import Report
from graft.contract.errors import UserError
from graft.trainer.training_facts import FACTS_FILE, TrainingFacts

SaveModel = Callable[..., Path]


def artifact(cls: Any, uri: Path) -> Any:
    """Return an artifact as an executor receives it."""
    made = cls()
    made.uri = str(uri)
    made.id = 7
    uri.mkdir(parents=True, exist_ok=True)
    return made


def files_of(folder: Path) -> dict[str, bytes]:
    """Return path to content of every file below a folder."""
    return {
        str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


class Flow:
    """Runs the executors on artifacts below a folder."""

    def __init__(self, folder: Path, examples: Path) -> None:
        self.folder = folder
        self.examples = artifact(standard_artifacts.Examples, examples)
        self.examples.split_names = '["test"]'
        self.store = folder / "store"

    def served(self, version: int = -1) -> Any:
        """Run ServedModel."""
        model = artifact(standard_artifacts.Model, self.folder / "served")
        executor = ServedModel(
            destination=str(self.store), model_name="colours"
        ).executor_spec.executor_class()
        executor.Do(
            {},
            {"model": [model]},
            {
                "destination": str(self.store),
                "model_name": "colours",
                "version": version,
            },
        )
        return model

    def evaluate(
        self,
        model: Path,
        config: GateConfig,
        baseline: Any = None,
        profile: dict[str, dict[str, int]] | None = None,
        features: Path | None = None,
    ) -> tuple[Any, Any, Verdict]:
        """Run the gate; return evaluation, blessing and verdict."""
        evaluation = artifact(
            standard_artifacts.ModelEvaluation, self.folder / "evaluation"
        )
        blessing = artifact(standard_artifacts.ModelBlessing, self.folder / "blessing")
        optional = {"baseline_model": [baseline or self.served()]}
        if profile is not None:
            quality = artifact(DataQualityReport, self.folder / "quality")
            (Path(quality.uri) / "profile.json").write_text(json.dumps(profile))
            optional["quality"] = [quality]
        if features is not None:
            stored = artifact(standard_artifacts.Examples, features)
            stored.split_names = '["test"]'
            optional["features"] = [stored]
        # As TFX calls it: an optional input that is not wired is absent.
        Evaluator.EXECUTOR_SPEC.executor_class().Do(
            {
                "examples": [self.examples],
                "model": [artifact(standard_artifacts.Model, model)],
                **optional,
            },
            {"evaluation": [evaluation], "blessing": [blessing]},
            {"gate": config.model_dump_json(), "cache_dir": str(self.folder / "cache")},
        )
        text = (Path(evaluation.uri) / "verdict.json").read_text()
        return evaluation, blessing, Verdict.from_json(text)

    def try_out(self, model: Path, evaluation: Any) -> Any:
        """Run the canary; return its blessing."""
        blessing = artifact(standard_artifacts.InfraBlessing, self.folder / "canary")
        Canary.test_call(
            examples=self.examples,
            model=artifact(standard_artifacts.Model, model),
            evaluation=evaluation,
            blessing=blessing,
            canary=CanaryConfig(num_images=6).model_dump_json(),
        )
        return blessing

    def push(
        self,
        model: Path,
        blessing: Any,
        infra: Any | None = None,
        fingerprint: str = "d",
    ) -> Any:
        """Run Pusher's executor; return the PushedModel."""
        pushed = artifact(standard_artifacts.PushedModel, self.folder / "pushed")
        push = PushConfig(destination=str(self.store), model_name="colours")
        inputs = {
            "model": [artifact(standard_artifacts.Model, model)],
            "model_blessing": [blessing],
        }
        if infra is not None:
            inputs["infra_blessing"] = [infra]
        custom_config = {
            publishing.PUSH_KEY: push.model_dump_json(),
            publishing.RECORD_KEY: json.dumps(
                {"pipeline": "flow", "data_fingerprint": fingerprint}
            ),
        }
        publishing.Executor().Do(
            inputs,
            {"pushed_model": [pushed]},
            {"custom_config": json_utils.dumps(custom_config)},
        )
        return pushed

    def look_at(self) -> dict[str, dict[str, int]]:
        """Run DataQuality on the examples; return its profile."""
        quality = artifact(DataQualityReport, self.folder / "looked")
        checked = artifact(standard_artifacts.Examples, self.folder / "checked")
        DataQuality.test_call(
            examples=self.examples,
            training_examples=self.examples,
            quality=quality,
            checked_examples=checked,
            config=DataQualityConfig().model_dump_json(),
        )
        return json.loads((Path(quality.uri) / "profile.json").read_text())

    def report(
        self,
        model: Path,
        evaluation: Any,
        pushed: Any,
        infra: Any | None = None,
        fingerprint: str = "d",
    ) -> tuple[str, str]:
        """Run Report; return the page and the model card."""
        quarantine = artifact(ImageQuarantine, self.folder / "quarantine")
        anomalies = artifact(
            standard_artifacts.ExampleAnomalies, self.folder / "anomalies"
        )
        anomalies.split_names = '["train"]'
        found = Path(anomalies.uri) / "Split-train"
        found.mkdir(parents=True, exist_ok=True)
        # No byte is a message without anomalies.
        (found / "SchemaDiff.pb").touch()
        run = artifact(standard_artifacts.ModelRun, self.folder / "run")
        (Path(run.uri) / "history.json").write_text(
            json.dumps({"loss": [0.5, 0.2], "eval_loss": [0.6, 0.3]})
        )
        outputs = {
            "report": [artifact(RunReport, self.folder / "report")],
            "model_card": [artifact(ModelCard, self.folder / "card")],
        }
        config = {
            "name": "flow",
            "data": {"path": "colours"},
            "gate": {"max_drift": 0.03},
            "model": {"preset": "tiny"},
            "training": {"strategy": "none"},
            "push": {"model_name": "colours"},
        }
        inputs = {
            "examples": [self.examples],
            "evaluation": [evaluation],
            "model": [artifact(standard_artifacts.Model, model)],
            "model_run": [run],
            "pushed_model": [pushed],
            "quarantine": [quarantine],
            "anomalies": [anomalies],
        }
        if infra is not None:
            inputs["infra_blessing"] = [infra]
        Report.EXECUTOR_SPEC.executor_class().Do(
            inputs,
            outputs,
            {"config": json.dumps(config), "data_fingerprint": fingerprint},
        )
        page, card = (outputs[key][0].uri for key in ("report", "model_card"))
        return Path(page).read_text(), Path(card).read_text()


def test_a_retrain_asks_about_what_is_new(
    flow: Flow, save_model: SaveModel, save_features: SaveModel
) -> None:
    features = save_features(Path(flow.examples.uri))
    gate = GateConfig(answers=AnswersConfig(sample=7, ask_all_below=0))
    model = save_model("good")
    _, blessing, first = flow.evaluate(model, gate, features=features)
    assert first.answers["candidate"]["num_asked"] == 7
    assert first.answers["candidate"]["num_scored"] == 53
    flow.push(model, blessing)
    kept = sorted((flow.folder / "cache").rglob("*.arrow"))
    assert len(kept) == 2
    later = save_model("later", order=(2, 1, 1))
    evaluation, _, incremental = flow.evaluate(later, gate, features=features)
    # A refused model leaves no answers.
    assert sorted((flow.folder / "cache").rglob("*.arrow")) == kept
    assert incremental.answers["candidate"]["num_asked"] == 7
    assert incremental.answers["baseline"]["num_asked"] == 0
    assert incremental.answers["baseline"]["num_remembered"] == 60
    quick = Predictions.load(str(Path(evaluation.uri) / "predictions.npz"))
    trial = json.loads(
        (Path(flow.try_out(later, evaluation).uri) / "canary.json").read_text()
    )
    assert trial["passed"], trial
    shutil.rmtree(flow.folder / "cache")
    evaluation, _, cold = flow.evaluate(later, GateConfig())
    asked = Predictions.load(str(Path(evaluation.uri) / "predictions.npz"))
    assert cold.answers["baseline"]["num_asked"] == 60
    assert not cold.is_blessed
    assert cold.is_blessed == incremental.is_blessed
    assert [rule.message for rule in cold.rules if rule.rule == "comparison"] == [
        rule.message for rule in incremental.rules if rule.rule == "comparison"
    ]
    assert cold.metrics["accuracy"] == incremental.metrics["accuracy"]
    for one, other in (
        (quick.candidate, asked.candidate),
        (quick.baseline, asked.baseline),
    ):
        np.testing.assert_allclose(
            one.probabilities, other.probabilities, rtol=0, atol=1e-5
        )


@pytest.fixture
def flow(tmp_path: Path, examples_folder: Path) -> Flow:
    return Flow(tmp_path / "flow", examples_folder)


def test_a_good_first_model_gets_to_production_and_is_reported(
    flow: Flow, save_model: SaveModel
) -> None:
    model = save_model("good")
    served = flow.served()
    assert served.get_int_custom_property("resolved_count") == 0
    evaluation, blessing, verdict = flow.evaluate(
        model, GateConfig(), served, {"brightness": {"32 to 64": 60}}
    )
    assert verdict.is_blessed
    assert verdict.metrics["accuracy"] == 1.0
    assert (Path(blessing.uri) / "BLESSED").exists()
    assert sorted(os.listdir(evaluation.uri)) == ["predictions.npz", "verdict.json"]
    facts = TrainingFacts("lbfgs", 0.5, "memory", ("the penalty is at the edge",))
    (model / FACTS_FILE).write_text(facts.to_json())
    infra = flow.try_out(model, evaluation)
    trial = json.loads((Path(infra.uri) / "canary.json").read_text())
    assert trial["passed"], trial
    assert len(trial["checks"]) == 11
    assert (Path(infra.uri) / "INFRA_BLESSED").exists()
    pushed = flow.push(model, blessing, infra)
    (version,) = list_versions(str(flow.store / "colours"))
    assert pushed.get_string_custom_property("pushed_destination") == version.path
    assert version.manifest["metrics"]["accuracy"] == 1.0
    assert version.manifest["verdict"]["is_blessed"]
    assert version.manifest["environment_sha256"]
    assert version.manifest["training"]["penalty"] == 0.5
    assert version.manifest["training"]["notes"] == ["the penalty is at the edge"]

    page, card = flow.report(model, evaluation, pushed, infra)
    assert "The candidate was asked about 60 test images" in page
    HTMLParser().feed(page)
    assert "The gate passed this model" in page
    assert f"Pushed as version {version.number}" in page
    assert "every test image is right" in page
    assert "It served as it should: 11 of 11 checks passed" in page
    assert "32 to 64" in page
    assert "The penalty is at the edge." in page
    assert "The next run will be compared with these." in page
    assert "the first run that this model store knows of" in page
    assert "| Accuracy | 1.0000 |" in card


def test_label_fixes_are_told_in_manifest_report_and_card(
    tmp_path: Path, examples_folder: Path, save_model: SaveModel
) -> None:
    fixed = shutil.copytree(examples_folder, tmp_path / "fixed examples")
    applied = AppliedFixes(
        files=[{"path": "f.csv", "sha256": "ab" * 32, "rows": 5, "undecided": 2}],
        counts={"relabelled": 2, "dropped": 1, "added": 0, "confirmed": 0},
        by={"Anna": 3},
        splits={"train": 2, "test": 1},
        changes=[{"before": "red", "after": "blue", "count": 2}],
        fixes=[{"content_hash": "cd" * 32, "action": "relabelled"}],
    )
    (fixed / FIXES_FILE).write_text(applied.to_json())
    flow = Flow(tmp_path / "flow", fixed)
    model = save_model("good")
    evaluation, blessing, _ = flow.evaluate(model, GateConfig())
    pushed = flow.push(model, blessing)
    (version,) = list_versions(str(flow.store / "colours"))
    told = version.manifest["label_fixes"]
    assert told == applied.totals()
    assert told["files"][0]["sha256"] == "ab" * 32
    assert "fixes" not in told  # single images stay with the run
    page, card = flow.report(model, evaluation, pushed)
    sentence = "2 relabelled, 1 dropped; 1 of them in test. 2 rows without a decision."
    assert sentence in page
    assert sentence in card
    assert "ab" * 32 in page
    assert "by Anna" in page
    assert "red is blue" in page


def test_metrics_for_tfma_are_written_on_demand(
    flow: Flow, save_model: SaveModel
) -> None:
    config = GateConfig(write_tfma_metrics=True)
    evaluation, _, verdict = flow.evaluate(save_model("good"), config, flow.served())
    by_slice = {
        dict(key).get("image/class/text"): values["accuracy"]["doubleValue"]
        for key, values in tfma.load_eval_result(evaluation.uri)
        .get_metrics_for_all_slices()
        .items()
        if not key or key[0][0] == "image/class/text"
    }
    assert by_slice == {None: 1.0, "blue": 1.0, "green": 1.0, "red": 1.0}
    assert verdict.metrics["accuracy"] == 1.0


def test_a_worse_model_is_refused_and_production_stays(
    flow: Flow, save_model: SaveModel
) -> None:
    good, bad = save_model("good"), save_model("bad", order=(2, 0, 1))
    _, blessing, _ = flow.evaluate(good, GateConfig())
    flow.push(good, blessing)
    served = flow.served()
    assert served.get_int_custom_property("resolved_count") == 1
    evaluation, blessing, verdict = flow.evaluate(
        bad, GateConfig(min_accuracy=0.2), served
    )
    assert not verdict.is_blessed
    assert any("worse than production" in text for text in verdict.refusals)
    assert verdict.metrics["accuracy"] == pytest.approx(1 / 3)
    answers = Predictions.load(str(Path(evaluation.uri) / "predictions.npz"))
    assert answers.baseline is not None
    assert answers.baseline.is_right(answers.images.class_names).all()
    assert set(answers.images.slices) == {"image/source", "image/size"}
    before = list_versions(str(flow.store / "colours"))
    pushed = flow.push(bad, blessing)
    reason = pushed.get_string_custom_property("not_pushed_reason")
    assert reason == "the gate refused the model"
    assert list_versions(str(flow.store / "colours")) == before


def test_a_model_that_was_damaged_after_the_gate_is_not_pushed(
    flow: Flow, save_model: SaveModel
) -> None:
    model = save_model("good")
    _, blessing, verdict = flow.evaluate(model, GateConfig())
    weights = next(model.rglob("variables.data*"))
    name = str(weights.relative_to(model / "Format-Serving"))
    assert name in (verdict.judged_files or {})
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is not what was judged.*{model}"):
        flow.push(model, blessing)
    assert list_versions(str(flow.store / "colours")) == []


def test_drift_since_the_model_in_production_is_told_and_kept(
    flow: Flow, save_model: SaveModel
) -> None:
    model = save_model("good")
    _, blessing, _ = flow.evaluate(
        model, GateConfig(), profile={"class": {"red": 90, "blue": 10}}
    )
    flow.push(model, blessing)
    now = {"class": {"red": 20, "blue": 80}}
    _, _, verdict = flow.evaluate(model, GateConfig(), flow.served(), now)
    assert any("'blue' had 10.0%" in n and "80.0%" in n for n in verdict.notes), (
        verdict.notes
    )
    assert verdict.drift[0]["is_drifted"]
    # What a schedule or the next run reads.
    (version,) = list_versions(str(flow.store / "colours"))
    assert version.manifest["data_profile"] == {"class": {"red": 90, "blue": 10}}
    assert record_of(verdict)["verdict"]["drift"][0]["name"] == "class"


def test_drift_since_the_last_run_is_on_the_page_though_nothing_is_served(
    flow: Flow, save_model: SaveModel, save_examples: Callable[..., Path]
) -> None:
    model = save_model("good")
    refusing = GateConfig(class_floors={"yellow": 0.5}, when_slice_is_small="refuse")

    def run(examples: Path, name: str) -> str:
        flow.folder = examples.parent / name
        flow.examples.uri = str(examples)
        evaluation, blessing, verdict = flow.evaluate(
            model, refusing, flow.served(), flow.look_at()
        )
        assert not verdict.is_blessed
        assert not verdict.drift
        pushed = flow.push(model, blessing, fingerprint=examples.name)
        before = files_of(flow.store)
        page, _ = flow.report(model, evaluation, pushed, fingerprint=examples.name)
        assert files_of(flow.store) == before
        (section,) = page.split("Since the last run</h3>")[1:]
        return re.split("<h3>|<details", section)[0]

    dark, bright = save_examples("dark"), save_examples("bright", brightness=110)
    first = run(dark, "run 1")
    assert "the first run that this model store knows of" in first
    assert "drifted" not in first
    changed = run(bright, "run 2")
    (row,) = [row for row in changed.split("<tr>") if ">brightness<" in row]
    assert ">drifted<" in row
    assert "192 to 224" in row or "160 to 192" in row, row
    (row,) = [row for row in changed.split("<tr>") if ">class<" in row]
    assert ">as before<" in row
    # The same run again, as after a crash. Its own record is not the last run.
    assert ">drifted<" in run(bright, "run 2")
    assert "The data are those of the last run" in run(bright, "run 3")


@pytest.mark.parametrize("harm", ["graph", "manifest"])
def test_production_that_no_longer_loads_is_named(
    flow: Flow, save_model: SaveModel, harm: str
) -> None:
    good = save_model("good")
    _, blessing, _ = flow.evaluate(good, GateConfig())
    flow.push(good, blessing)
    (version,) = list_versions(str(flow.store / "colours"))
    (Path(version.path) / "saved_model.pb").write_bytes(b"no graph")
    if harm == "manifest":  # No check shows the damage, but the model does not load.
        (Path(version.path) / "graft_manifest.json").unlink()
    _, _, verdict = flow.evaluate(good, GateConfig(), flow.served())
    assert verdict.is_blessed
    expected = "its files are damaged" if harm == "graph" else "DecodeError"
    assert any(expected in note for note in verdict.notes), verdict.notes


def test_a_model_that_was_rolled_back_is_blessed_but_not_pushed(
    flow: Flow, save_model: SaveModel
) -> None:
    first, second = save_model("first"), save_model("second")
    for model in (first, second):
        # The same weights, but an additional file makes it another model.
        (model / "Format-Serving" / "note.txt").write_text(model.name)
        _, blessing, _ = flow.evaluate(model, GateConfig())
        flow.push(model, blessing)
    folder = str(flow.store / "colours")
    store.roll_back(folder, None, "too slow", seen=read_production(folder))
    pushed = flow.push(second, blessing)
    reason = pushed.get_string_custom_property("not_pushed_reason")
    assert "rolled back: 'too slow'" in reason
    # The last screen has a row with the command.
    assert "graft bless" not in reason


def test_a_canary_notices_other_answers_and_a_model_that_does_not_load(
    flow: Flow, save_model: SaveModel
) -> None:
    good, other = save_model("good"), save_model("other", order=(0, 1, 2))
    evaluation, blessing, _ = flow.evaluate(good, GateConfig())
    # The evaluated model is not the one to push.
    infra = flow.try_out(other, evaluation)
    trial = json.loads((Path(infra.uri) / "canary.json").read_text())
    (answers,) = [each for each in trial["checks"] if each["name"] == "answers"]
    assert not answers["passed"]
    assert "a probability differs by" in answers["message"]
    assert (Path(infra.uri) / "INFRA_NOT_BLESSED").exists()
    pushed = flow.push(other, blessing, infra)
    reason = pushed.get_string_custom_property("not_pushed_reason")
    assert reason == "the canary refused the model"
