from __future__ import annotations

import datetime
import json
import os
from types import SimpleNamespace

import pytest

from pipeline.kubeflow import due
from pipeline.kubeflow.submission import Uploaded

UPLOADED = Uploaded("p", "v2", "v-2", is_new=False)


def past_run(*, state="SUCCEEDED", version="v2", parameters=None, pipeline="p"):
    return SimpleNamespace(
        display_name="past",
        state=state,
        created_at=datetime.datetime(2026, 11, 22, tzinfo=datetime.timezone.utc),
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
    assert due.reason_to_run(runs, UPLOADED, parameters) == reason


@pytest.mark.parametrize(
    ("reported_at", "reason"), [(0, None), (4e9, "drift was reported")]
)
def test_drift_that_was_reported_since_is_a_reason(reported_at, reason):
    found = due.reason_to_run(
        [past_run()],
        UPLOADED,
        {"data_fingerprint": "f"},
        drift_reported_at=reported_at,
    )
    assert found == reason


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", None])
def test_run_under_way_is_an_overlap(state):
    with pytest.raises(due.OverlapError, match="past"):
        due.reason_to_run([past_run(state=state)], UPLOADED, {})


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
    assert due.drift_reported_at(path) == (2000 if is_drift else None)
    assert due.drift_reported_at(None) is None


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
    first = due.compute_fingerprint(spec, {})
    assert due.compute_fingerprint(spec, {"data_path": folders[0]}) == first
    assert due.compute_fingerprint(spec, {"data_path": folders[1]}) != first
