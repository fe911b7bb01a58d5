"""The whole pipeline on real images, in the emulated backend and on BeamDagRunner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

from graft.pipeline.kubeflow.emulation.backend import EmulatedBackend
from graft.pipeline.kubeflow.emulation.pipeline_run import Hooks

CONFIG = "pipeline/configs/digits.yaml"
ROOT = Path(__file__).resolve().parents[3]
SETTINGS = ["--set", "data.class_names=['0','1','2','3']"]


def graft(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "graft.pipeline.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def features_of(folder: Path) -> dict[bytes, np.ndarray]:
    """Read an Examples artifact of features: hash of an image to its features."""
    from graft.trainer.loops.feature_reader import read_batches

    shards = sorted(str(path) for path in folder.glob("Split-*/*"))
    return {
        key: values
        for batch in read_batches(shards, 256)
        for key, values in zip(batch.content_hashes, batch.values, strict=True)
    }


def verdict_of(folder: Path) -> dict:
    return json.loads((folder / "verdict.json").read_text())


@pytest.mark.large  # Two runs of the pipeline, one of them in fresh processes: minutes.
@pytest.mark.timeout(1500)
def test_emulated_run_makes_the_model_that_the_local_run_makes(tmp_path):
    """It is long, since each of its two runs takes minutes and is checked in full."""
    graft("run", CONFIG, "--output", str(tmp_path / "local"), *SETTINGS)
    profile = tmp_path / "profile.yaml"
    profile.write_text(
        yaml.safe_dump(
            {
                "extends": "cpu",
                "image": "registry.example.org/graft:1.0",
                "retry": {"attempts": 1, "backoff_seconds": 1},
            }
        )
    )
    compiled = tmp_path / "pipeline.yaml"
    graft(
        *("compile", CONFIG, "--profile", str(profile), "-o", str(compiled)),
        *(*SETTINGS, "--require-fingerprint"),
    )

    killed = []

    def kill_first_trainer(step, attempt, process):
        if step == "Trainer" and attempt == 1:
            killed.append(step)
            threading.Timer(4, process.kill).start()

    mounts = {}
    for name in ("data", "cache", "models"):
        (tmp_path / name).mkdir()
        mounts[f"/mnt/{name}"] = tmp_path / name
    cluster = EmulatedBackend(
        tmp_path / "cluster",
        mounts=mounts,
        max_parallel=1,
        hooks=Hooks(on_process=kill_first_trainer),
    )
    results = cluster.run(compiled, {"data_fingerprint": "first"})
    failed = {
        name: result.log_path.read_text()[-3000:] if result.log_path else result.message
        for name, result in results.items()
        if result.state == "FAILED"
    }
    assert not failed, failed
    assert {result.state for result in results.values()} == {"SUCCEEDED"}
    assert killed and results["Trainer"].attempts == 2

    # The same features, and the same verdict on the same images.
    artifacts = tmp_path / "local" / "pipelines" / "digits" / "artifacts"
    (local_features,) = (artifacts / "BottleneckFeatures" / "features").iterdir()
    here = features_of(local_features)
    there = features_of(
        cluster.store.path(results["BottleneckFeatures"].artifacts["features"].uri)
    )
    assert set(here) == set(there)
    assert len(here) > 500
    for key, values in here.items():
        np.testing.assert_allclose(there[key], values, atol=1e-4)
    (local_evaluation,) = (artifacts / "Evaluator" / "evaluation").iterdir()
    uri = results["Evaluator"].artifacts["evaluation"].uri
    local_verdict = verdict_of(local_evaluation)
    verdict = verdict_of(cluster.store.path(uri))
    assert verdict["metrics"]["accuracy"] == local_verdict["metrics"]["accuracy"]
    # The dashboard shows the gate's metrics.
    shown = results["Evaluator"].artifacts
    assert shown["metrics"].metadata["accuracy"] == verdict["metrics"]["accuracy"]
    matrix = shown["confusion_matrix"].metadata["confusionMatrix"]["struct"]
    counts = np.array([row["row"] for row in matrix["rows"]])
    assert counts.trace() / counts.sum() == verdict["metrics"]["accuracy"]
    versions = [
        item for item in (tmp_path / "models" / "digits").iterdir() if item.is_dir()
    ]
    assert [(item / "saved_model.pb").is_file() for item in versions] == [True]
    page = cluster.store.path(results["Report"].artifacts["report"].uri)
    assert page.read_text().lstrip().lower().startswith("<!doctype html")

    # Equal data: the cache answers up to the Trainer, and the served model is compared.
    again = cluster.run(compiled, {"data_fingerprint": "first"})
    states = {name: result.state for name, result in again.items()}
    for name in ("ImageExampleGen", "Transform", "BottleneckFeatures", "Trainer"):
        assert states[name] == "CACHED", states
    for name in ("ServedModel", "Evaluator", "Pusher", "Report"):
        assert states[name] == "SUCCEEDED", states
    assert again["ServedModel"].artifacts["model"].metadata["resolved_count"] == 1.0
    assert len(list((tmp_path / "models" / "digits").glob("[0-9]*"))) == 1
