from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from graft.pipeline.kubeflow.cluster import run_triggers
from graft.pipeline.kubeflow.cluster.submission import PipelineVersion

VERSION = PipelineVersion("p", "v2", "v-2", is_new=False)


def past_run(*, state="SUCCEEDED", version="v2", parameters=None, pipeline="p"):
    return SimpleNamespace(
        display_name="past",
        run_id="run-7",
        state=state,
        created_at=datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC),
        pipeline_version_reference=SimpleNamespace(
            pipeline_id=pipeline, pipeline_version_id=version
        ),
        runtime_config=SimpleNamespace(
            parameters=parameters or {"data_fingerprint": "f"}
        ),
    )


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([], "there is no run yet"),
        ([past_run(pipeline="another")], "there is no run yet"),
        ([past_run()], None),
        ([past_run(state="FAILED")], "the last run ended as FAILED"),
        ([past_run(version="v1")], "code or config changed"),
        ([past_run(parameters={"data_fingerprint": "g"})], "the data changed"),
        (
            [past_run(parameters={"data_fingerprint": "f", "epochs": 1})],
            "the parameters changed",
        ),
    ],
)
def test_reason_to_run(runs, reason):
    parameters = {"data_fingerprint": "f"}
    assert run_triggers.reason_to_run(runs, VERSION, parameters) == reason


@pytest.mark.parametrize(
    ("written_at", "fingerprint", "is_due"),
    [
        (0, None, False),  # a run has answered it
        (4e9, None, True),  # a monitor's
        (4e9, "g", True),  # of a run on other data
        (4e9, "f", False),  # of this run: it would make the same model once more
    ],
)
def test_drift_is_a_reason_for_one_run_on_other_data(written_at, fingerprint, is_due):
    found = run_triggers.reason_to_run(
        [past_run()],
        VERSION,
        {"data_fingerprint": "f"},
        drift=[run_triggers.DriftReport(Path("drift.json"), written_at, fingerprint)],
    )
    assert found == ("drift was reported (drift.json)" if is_due else None)


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", None])
def test_run_under_way_is_an_overlap(state):
    with pytest.raises(run_triggers.OverlapError, match="past") as error:
        run_triggers.reason_to_run([past_run(state=state)], VERSION, {})
    assert error.value.run_id == "run-7"


@pytest.mark.parametrize(
    ("text", "is_drift"),
    [
        (None, False),
        ("", True),
        ("label distribution moved", True),
        ('{"has_drifted": true}', True),
        ('{"has_drifted": false, "features": ["label"]}', False),
        ('{"drift": {"label": 0.4}}', True),
        ('{"drift": []}', False),
        ('{"checked": 12}', True),
    ],
)
def test_drift_report(tmp_path, text, is_drift):
    path = tmp_path / "drift.json"
    if text is not None:
        path.write_text(text)
        os.utime(path, (1000, 2000))
    found = run_triggers.read_drift_report(path)
    assert found == (run_triggers.DriftReport(path, 2000) if is_drift else None)


@pytest.mark.parametrize(("version", "counts"), [(17, True), (16, False)])
def test_report_on_a_version_that_is_not_served_does_not_count(
    tmp_path, version, counts
):
    """As after a push, a rollback, or a model that was blessed by force."""
    (tmp_path / "17").mkdir()
    (tmp_path / "17" / "saved_model.pb").touch()
    path = tmp_path / "drift.json"
    path.write_text(json.dumps({"has_drifted": True, "production_version": version}))
    assert (run_triggers.read_drift_report(path) is not None) == counts


def pusher_spec(**push):
    custom_config = json.dumps({"push": json.dumps({"model_name": "m", **push})})
    parameters = {"custom_config": {"runtimeValue": {"constant": custom_config}}}
    task = {"componentRef": {"name": "A"}, "inputs": {"parameters": parameters}}
    return {"root": {"dag": {"tasks": {"A": task}}}, "components": {"A": {}}}


@pytest.mark.parametrize(
    ("destination", "parameters", "expected"),
    [
        ("/mnt/models", {}, Path("/mnt/models/m/drift.json")),
        ("/mnt/models", {"push_destination": "/a"}, Path("/a/m/drift.json")),
        ("gs://bucket/models", {}, None),
    ],
)
def test_runs_report_beside_the_versions_that_they_push(
    destination, parameters, expected
):
    spec = pusher_spec(destination=destination)
    assert run_triggers.drift_report_path(spec, parameters) == expected


def test_fingerprint_is_of_the_path_that_the_run_reads(tmp_path):
    folders = []
    for name in ("first", "second"):
        for label in ("cat", "dog"):
            image = tmp_path / name / label / "1.png"
            image.parent.mkdir(parents=True)
            image.write_bytes(f"{name} {label}".encode())
        folders.append(str(tmp_path / name))
    constant = {"constant": json.dumps({"path": folders[0]})}
    parameters = {"data_config": {"runtimeValue": constant}}
    task = {"componentRef": {"name": "A"}, "inputs": {"parameters": parameters}}
    spec = {"root": {"dag": {"tasks": {"A": task}}}, "components": {"A": {}}}
    first = run_triggers.compute_fingerprint(spec, {})
    assert run_triggers.compute_fingerprint(spec, {"data_path": folders[0]}) == first
    assert run_triggers.compute_fingerprint(spec, {"data_path": folders[1]}) != first
