"""`graft emulate` refuses mistakes before it runs a step."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import yaml

from graft.components.evaluation.verdict import VERDICT_FILE, RuleResult, Verdict
from graft.pipeline.commands.emulate import (
    _folders_of,
    _log_of_backend,
    _print_outcome,
    _print_results,
    emulate,
)
from graft.pipeline.kubeflow.compilation.missing_mounts import missing_mounts
from graft.pipeline.kubeflow.compilation.pipeline_file import (
    check_mounts,
    read_pipeline_file,
)
from graft.pipeline.kubeflow.emulation import store
from graft.pipeline.kubeflow.emulation.step_result import StepResult


def test_emulate_refuses(error_of, tmp_path):
    assert "can't be read" in error_of(emulate, str(tmp_path / "none.yaml"))
    assert "`--mount` takes" in error_of(emulate, "x.yaml", "--mount", "data")
    none = f"/mnt/data={tmp_path / 'none'}"
    text = error_of(emulate, "x.yaml", "--mount", none)
    assert "a folder that exists" in text
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump({"schemaVersion": "2.0.0"}))
    folder = ("--folder", str(tmp_path / "cluster"))
    assert "must be 2.1.0" in error_of(emulate, str(bad), *folder)


def test_mount_that_the_file_lacks_is_refused(error_of, tmp_path, pipeline_file):
    mount = {
        "mountPath": "/mnt/data",
        "pvcNameParameter": {"runtimeValue": {"constant": "graft-data"}},
    }
    executors = {"executors": {"trainer": {"pvcMount": [mount]}}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": executors}}}
    spec = yaml.safe_load(pipeline_file.read_text())
    pipeline_file.write_text(yaml.safe_dump_all([spec, platform]))
    _, configs = read_pipeline_file(pipeline_file)
    check_mounts(["/mnt/data", "/mnt/data/digits"], configs)
    cluster = tmp_path / "cluster"
    arguments = ("--folder", str(cluster), "--mount", f"/mnt/photos={tmp_path}")
    text = error_of(emulate, str(pipeline_file), *arguments)
    assert "one of the mounts ['/mnt/data']" in text
    assert "Received: '/mnt/photos'" in text
    assert not cluster.exists()


def test_a_profile_keeps_the_mounts(error_of, tmp_path, monkeypatch, pipeline_file):
    monkeypatch.chdir(tmp_path)
    profile = tmp_path / "cluster.yaml"
    kept = {"/mnt/data": ".", "/mnt/cache": "cache"}
    profile.write_text(yaml.safe_dump({"extends": "cpu", "emulated_mounts": kept}))
    assert (
        "`emulated_mounts` takes a folder that exists. Received: 'cache'"
        in error_of(emulate, str(pipeline_file), "--profile", str(profile))
    )
    (tmp_path / "cache").mkdir()
    (tmp_path / "photos").mkdir()
    folders = _folders_of(["/mnt/data=photos"], str(profile))
    assert folders == {
        "/mnt/data": tmp_path / "photos",
        "/mnt/cache": tmp_path / "cache",
    }


def test_notices_of_the_backend_are_in_a_log_and_not_on_the_terminal(tmp_path):
    path = tmp_path / "cluster" / "emulation.log"
    logger = logging.getLogger(store.__name__)
    with _log_of_backend(path):
        logger.warning("%s does not exist", "x")
    assert path.read_text().endswith("WARNING x does not exist\n")
    before = path.read_text()
    logger.warning("later")
    assert path.read_text() == before


def test_names_of_steps_and_the_folder_of_logs_are_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    folder = Path("/logs") / ("long" * 30)
    results = {
        name: StepResult("SUCCEEDED", log_path=folder / f"{name}.log")
        for name in ("ImageExampleGen", "Trainer")
    }
    results["Pusher"] = StepResult("FAILED", message="no input")
    _print_results(results)
    shown = capsys.readouterr().out
    assert shown.count(f"Logs: {folder}/STEP.log\n") == 1
    for name in results:
        assert f"│ {name} " in shown
    assert "no input" in shown


@pytest.mark.parametrize("is_blessed", [True, False])
def test_the_verdict_and_what_was_pushed_are_the_last_lines(
    tmp_path, capsys, is_blessed
):
    objects = store.ObjectStore(tmp_path)
    outcome = "pass" if is_blessed else "refuse"
    rules = (
        RuleResult("min_accuracy", "overall", 0.9, 0.8, outcome, "why"),
        RuleResult("comparison", "production", None, None, "note", "no production"),
    )
    metrics = {"accuracy": 0.9, "num_test_images": 20}
    folder = objects.path("minio://bucket/evaluation")
    folder.mkdir(parents=True)
    (folder / VERDICT_FILE).write_text(Verdict(is_blessed, rules, metrics).to_json())
    pushed = {"pushed": 1, "pushed_destination": "/mnt/models/graft/7"}
    refused = {"pushed": 0, "not_pushed_reason": "the gate refused the model"}

    def step(key, metadata=None):
        made = store.StoredArtifact(1, f"minio://bucket/{key}", metadata or {})
        return StepResult("SUCCEEDED", artifacts={key: made})

    results = {
        "Evaluator": step("evaluation"),
        "Pusher": step("pushed_model", pushed if is_blessed else refused),
        "Report": step("report"),
    }
    _print_outcome(results, objects)
    assert capsys.readouterr().out.splitlines() == [
        "Test accuracy  0.9000 on 20 images",
        f"Gate           {'passed' if is_blessed else 'refused'}: why",
        "               note: no production",
        "Pushed to      /mnt/models/graft/7"
        if is_blessed
        else "Pushed to      nowhere: the gate refused the model",
        f"Report         {tmp_path}/minio/bucket/report",
    ]
    _print_outcome({"Trainer": step("model")}, objects)
    assert not capsys.readouterr().out


def test_a_mount_that_this_machine_lacks_is_named_before_a_step_runs(tmp_path):
    mounts = ("/mnt/cache", "/mnt/data", str(tmp_path), "/mnt/unused")
    configs = {"trainer": {"pvcMount": [{"mountPath": path} for path in mounts]}}
    paths = ["/mnt/cache/features", "/mnt/data/photos", f"{tmp_path}/here"]
    spec = {"root": {"defaults": [{"value": path} for path in paths]}}
    assert missing_mounts([], spec, configs) == ["/mnt/cache", "/mnt/data"]
    assert missing_mounts(["/mnt/data/photos", "/mnt/cache"], spec, configs) == []
