"""`graft submit` runs a pipeline, or nothing if nothing changed."""

from __future__ import annotations

import json
import os

import pytest
import typer
import yaml
from typer.testing import CliRunner

from graft.pipeline.commands.submit import submit


@pytest.mark.parametrize(("state", "status"), [("SUCCEEDED", 0), ("FAILED", 1)])
def test_exit_status_of_submit_is_the_runs(stub, pipeline_file, state, status):
    app = typer.Typer()
    app.command()(submit)
    stub.run_states = [state]
    result = CliRunner().invoke(
        app, [str(pipeline_file), "--host", stub.host, "--param", "epochs=2"]
    )
    assert result.exit_code == status, result.output
    assert stub.runs[0]["runtime_config"] == {"parameters": {"epochs": 2}}
    assert "Trainer" in result.output


def test_submit_if_changed_submits_once(stub, pipeline_file):
    app = typer.Typer()
    app.command()(submit)
    arguments = [str(pipeline_file), "--host", stub.host, "--if-changed", "--no-follow"]
    first = CliRunner().invoke(app, arguments)
    assert "there is no run yet" in first.output
    again = CliRunner().invoke(app, arguments)
    assert "is under way" in again.output
    stub.runs[0]["state"] = "SUCCEEDED"
    third = CliRunner().invoke(app, arguments)
    assert "nothing changed" in third.output
    assert len(stub.runs) == 1
    CliRunner().invoke(app, [*arguments, "--force"])
    assert len(stub.runs) == 2


def with_pusher(pipeline_file, store):
    """Add a step that pushes a model `m` to a store."""
    spec = yaml.safe_load(pipeline_file.read_text())
    push = json.dumps({"destination": str(store), "model_name": "m"})
    constant = {"constant": json.dumps({"push": push})}
    spec["root"]["dag"]["tasks"]["Pusher"] = {
        "taskInfo": {"name": "Pusher"},
        "componentRef": {"name": "Pusher"},
        "inputs": {"parameters": {"custom_config": {"runtimeValue": constant}}},
    }
    spec["components"] = {"Pusher": {"executorLabel": "Pusher"}}
    pipeline_file.write_text(yaml.safe_dump(spec))


@pytest.mark.parametrize("where", ["model store", "further file"])
def test_drift_leads_to_one_run(stub, pipeline_file, tmp_path, where):
    with_pusher(pipeline_file, tmp_path / "store")
    app = typer.Typer()
    app.command()(submit)
    arguments = [str(pipeline_file), "--host", stub.host, "--if-changed", "--no-follow"]
    report = tmp_path / "store" / "m" / "drift.json"
    if where == "further file":
        report = tmp_path / "watch" / "drift.json"
        arguments.append(f"--drift-report={report}")
    report.parent.mkdir(parents=True)
    CliRunner().invoke(app, arguments)
    stub.runs[0]["state"] = "SUCCEEDED"
    assert "nothing changed" in CliRunner().invoke(app, arguments).output
    report.write_text('{"has_drifted": true, "message": "darker"}')
    os.utime(report, (4e9, 4e9))
    result = CliRunner().invoke(app, arguments)
    assert "Submitting: drift was reported" in result.output, result
    assert len(stub.runs) == 2
    stub.runs[-1]["state"] = stub.runs[0]["state"] = "SUCCEEDED"
    os.utime(report, (1e9, 1e9))  # older than the run that it caused
    result = CliRunner().invoke(app, arguments)
    assert "nothing changed" in result.output
    assert "darker" in result.output  # the message says that it still holds
    assert len(stub.runs) == 2


def test_run_uses_the_profiles_account(stub, pipeline_file):
    app = typer.Typer()
    app.command()(submit)
    annotations = {"graft.dev/service-account": "graft-runner"}
    config = {"podMetadata": {"annotations": annotations}}
    platform = {"kubernetes": {"deploymentSpec": {"executors": {"A": config}}}}
    text = pipeline_file.read_text() + "---\n" + yaml.safe_dump({"platforms": platform})
    pipeline_file.write_text(text)
    arguments = [str(pipeline_file), "--host", stub.host, "--no-follow"]
    CliRunner().invoke(app, arguments)
    CliRunner().invoke(app, [*arguments, "--service-account", "other"])
    accounts = [run["service_account"] for run in reversed(stub.runs)]
    assert accounts == ["graft-runner", "other"]
