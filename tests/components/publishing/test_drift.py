"""The drift report that a run writes beside the versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.publishing.config import PushConfig
from graft.components.publishing.drift import DRIFT_FILE, write_drift
from graft.components.publishing.executor import PUSH_KEY, RECORD_KEY, Executor
from graft.components.publishing.production import read_production
from graft.components.publishing.store import publish
from graft.components.publishing.versions import hash_files

SHIFT = {
    "name": "brightness",
    "divergence": 0.4,
    "chance": 0.02,
    "value": "0-31",
    "before": 0.1,
    "after": 0.8,
}


def verdict(*, is_drifted: bool) -> Verdict:
    return Verdict(
        is_blessed=False,
        rules=(),
        metrics={},
        baseline={"version": 16, "files_hash": "f"},
        drift=({**SHIFT, "is_drifted": is_drifted},),
    )


@pytest.fixture
def model_folder(tmp_path: Path, make_model: Any, clock: None) -> Path:
    folder = tmp_path / "store" / "m"
    empty = read_production(str(folder))
    publish(make_model("a"), str(folder), {}, against=empty, keep_versions=5)
    return folder


@pytest.mark.parametrize(
    ("is_drifted", "is_production", "has_drifted", "words"),
    [
        (True, False, True, "version 16 (brightness 0.40); the model that"),
        (True, True, False, "was pushed"),
        (False, False, False, "No drift"),
    ],
)
def test_drift_stands_until_a_model_of_the_new_data_is_production(
    model_folder, is_drifted, is_production, has_drifted, words
):
    write_drift(
        str(model_folder),
        verdict(is_drifted=is_drifted),
        is_production=is_production,
        data_fingerprint="f",
    )
    report = json.loads((model_folder / DRIFT_FILE).read_text())
    assert report["has_drifted"] is has_drifted
    assert words in report["message"]
    (version,) = [int(path.name) for path in model_folder.iterdir() if path.is_dir()]
    assert report["production_version"] == version
    assert report["data_fingerprint"] == "f"
    shift = {key: value for key, value in SHIFT.items() if key != "chance"}
    assert report["properties"] == ([shift] if is_drifted else [])
    assert not list(model_folder.glob("*.new"))


@pytest.mark.parametrize(
    ("is_blessed", "label", "stands"),
    [(False, "stable", True), (True, "canary", True), (True, "stable", False)],
)
def test_pusher_reports_drift_whether_it_pushes_or_not(
    model_folder, make_model, tmp_path, is_blessed, label, stands
):
    blessing = standard_artifacts.ModelBlessing()
    blessing.uri = str(tmp_path / "blessing")
    blessing.set_int_custom_property("blessed", int(is_blessed))
    Path(blessing.uri).mkdir()
    judged = replace(
        verdict(is_drifted=True),
        judged_against=read_production(str(model_folder)).to_dict(),
        judged_files=hash_files(make_model("b")),
    )
    (Path(blessing.uri) / VERDICT_FILE).write_text(judged.to_json())
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "trained")
    Path(model.uri).mkdir()
    Path(make_model("b")).rename(Path(model.uri) / "Format-Serving")
    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(tmp_path / "pushed")
    push = PushConfig(
        destination=str(model_folder.parent), model_name=model_folder.name, label=label
    )
    record = json.dumps({"pipeline": "p", "data_fingerprint": "today's"})
    custom_config = {PUSH_KEY: push.model_dump_json(), RECORD_KEY: record}
    Executor().Do(
        {"model": [model], "model_blessing": [blessing]},
        {"pushed_model": [pushed]},
        {"custom_config": json_utils.dumps(custom_config)},
    )
    assert pushed.get_int_custom_property("pushed") == int(is_blessed)
    report = json.loads((model_folder / DRIFT_FILE).read_text())
    assert report["has_drifted"] is stands
    assert report["data_fingerprint"] == "today's"
    assert [shift["name"] for shift in report["properties"]] == ["brightness"]


def test_nothing_is_written_where_nothing_is_served_or_said(tmp_path, model_folder):
    drifted = verdict(is_drifted=True)
    for folder, said in ((tmp_path / "empty", drifted), (model_folder, None)):
        found = write_drift(
            str(folder), said, is_production=False, data_fingerprint=None
        )
        assert found is None
        assert not (folder / DRIFT_FILE).exists()
