"""`graft emulate` refuses mistakes before it runs a step."""

from __future__ import annotations

import logging
from pathlib import Path

import yaml

from graft.pipeline.commands.emulate import (
    _folders_of,
    _log_of_backend,
    _print_results,
    emulate,
)
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


def test_the_folder_of_logs_is_named_once_and_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    folder = Path("/logs") / ("long" * 30)
    results = {
        name: StepResult("SUCCEEDED", log_path=folder / f"{name}.log")
        for name in ("ImageExampleGen", "Trainer")
    }
    results["Pusher"] = StepResult("FAILED", message="no input")
    _print_results(results)
    shown = capsys.readouterr().out
    assert f"Logs: {folder}\n" in shown
    assert "Trainer.log" in shown
    assert "no input" in shown
