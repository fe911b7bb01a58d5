"""`graft submit` runs a pipeline, or nothing if nothing changed."""

from __future__ import annotations

import json
import os

import pytest
import typer
import yaml
from typer.testing import CliRunner

from graft.pipeline.commands.submit import submit


@pytest.mark.parametrize(("state", "status"), [("SUCCEEDED", 0), ("FAILED", 5)])
def test_exit_status_of_submit_is_the_runs(stub, pipeline_file, state, status):
    app = typer.Typer()
    app.command()(submit)
    stub.run_states = [state]
    result = CliRunner().invoke(
        app, [str(pipeline_file), "--host", stub.host, "--param", "epochs=2"]
    )
    assert result.exit_code == status, result.output
    assert stub.runs[0]["runtime_config"] == {"parameters": {"epochs": 2}}
    assert "plugins_input" not in stub.runs[0]
    assert "Trainer" in result.output
    assert "executor" not in result.output
    assert "Kubeflow Pipelines 2.17.0" in result.output


def test_run_names_its_mlflow_experiment(stub, pipeline_file):
    app = typer.Typer()
    app.command()(submit)
    arguments = [str(pipeline_file), "--host", stub.host, "--mlflow-experiment", "x"]
    CliRunner().invoke(app, [*arguments, "--no-follow"])
    assert stub.runs[0]["plugins_input"] == {"mlflow": {"experiment_name": "x"}}
    stub.version = "2.16.1"
    result = CliRunner().invoke(app, [*arguments, "--no-follow"])
    assert (
        "Kubeflow Pipelines 2.17 or later is needed for `--mlflow-experiment`"
        in str(result.exception)
    )
    assert len(stub.runs) == 1


def test_plugin_that_failed_is_told(stub, pipeline_file):
    app = typer.Typer()
    app.command()(submit)
    stub.plugins_output = {
        "mlflow": {"state": "PLUGIN_FAILED", "state_message": "connection refused"},
        "other": {"state": "PLUGIN_SUCCEEDED"},
    }
    stub.run_states = ["SUCCEEDED"]
    result = CliRunner().invoke(app, [str(pipeline_file), "--host", stub.host])
    assert result.exit_code == 0, result.output
    assert "went on without mlflow: connection refused" in result.output
    assert "other" not in result.output


def test_failed_run_is_retried_and_its_success_counts(stub, pipeline_file):
    app = typer.Typer()
    app.command()(submit)
    stub.run_states = ["FAILED", "SUCCEEDED"]
    arguments = [str(pipeline_file), "--host", stub.host, "--retries", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert stub.retried == ["run-0"]
    assert len(stub.runs) == 1
    assert "Retry 1 of 2: the failed steps run again" in result.output


def test_after_a_failed_push_the_gate_is_asked_again(stub, pipeline_file):
    """The verdict is about a production that is no more; a retry would keep it."""
    with_pusher(pipeline_file, "/mnt/models")
    app = typer.Typer()
    app.command()(submit)
    stub.nodes = (*stub.nodes, "Pusher", "Pusher(0)")
    stub.run_states = ["FAILED", "SUCCEEDED"]
    arguments = [str(pipeline_file), "--host", stub.host, "--retries", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert stub.retried == []
    assert len(stub.runs) == 2
    assert "the gate must be asked again" in result.output


def test_run_that_can_not_be_retried_is_followed_by_another(stub, pipeline_file):
    app = typer.Typer()
    app.command()(submit)
    stub.can_retry = False
    stub.run_states = ["FAILED"]
    arguments = [str(pipeline_file), "--host", stub.host, "--retries", "2"]
    result = CliRunner().invoke(app, [*arguments, "--param", "epochs=2"])
    assert result.exit_code == 5, result.output
    parameters = [run["runtime_config"] for run in stub.runs]
    assert parameters == [{"parameters": {"epochs": 2}}] * 3
    assert "manifest cannot be empty" in result.output
    assert "When a run fails" in result.output


def test_retries_need_a_follower(stub, pipeline_file):
    app = typer.Typer()
    app.command()(submit)
    arguments = [str(pipeline_file), "--host", stub.host, "--retries=1", "--no-follow"]
    result = CliRunner().invoke(app, arguments)
    assert "`--retries` needs `--follow`" in str(result.exception)
    assert stub.calls == []


def test_run_under_way_is_followed(stub, pipeline_file):
    app = typer.Typer()
    app.command()(submit)
    arguments = [str(pipeline_file), "--host", stub.host]
    CliRunner().invoke(app, [*arguments, "--no-follow"])
    stub.run_states = ["SUCCEEDED"]
    result = CliRunner().invoke(app, [*arguments, "--if-changed"])
    assert result.exit_code == 0, result.output
    assert "is under way" in result.output
    assert "Trainer" in result.output
    assert len(stub.runs) == 1


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
    spec["components"]["Pusher"] = {"executorLabel": "Pusher"}
    executors = spec["deploymentSpec"]["executors"]
    executors["Pusher"] = {"container": {"image": "i:1"}}
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
    platform = {"kubernetes": {"deploymentSpec": {"executors": {"trainer": config}}}}
    text = pipeline_file.read_text() + "---\n" + yaml.safe_dump({"platforms": platform})
    pipeline_file.write_text(text)
    arguments = [str(pipeline_file), "--host", stub.host, "--no-follow"]
    CliRunner().invoke(app, arguments)
    CliRunner().invoke(app, [*arguments, "--service-account", "other"])
    accounts = [run["service_account"] for run in reversed(stub.runs)]
    assert accounts == ["graft-runner", "other"]


@pytest.mark.parametrize("version", ["unknown", "a1b2c3d"])
def test_server_of_unknown_version_is_named_by_the_user(stub, pipeline_file, version):
    kubernetes = {"pipelineConfig": {"activeDeadlineSeconds": 60}}
    platform = {"platforms": {"kubernetes": kubernetes}}
    spec = yaml.safe_load(pipeline_file.read_text())
    pipeline_file.write_text(yaml.safe_dump_all([spec, platform]))
    app = typer.Typer()
    app.command()(submit)
    stub.version = version
    arguments = [str(pipeline_file), "--host", stub.host, "--no-follow"]
    result = CliRunner().invoke(app, arguments)
    assert "does not tell its version" in str(result.exception)
    assert stub.runs == []
    result = CliRunner().invoke(app, [*arguments, "--server-version", "2.17"])
    assert result.exit_code == 0, result.output
    assert len(stub.runs) == 1


def test_parameter_twice_is_refused(stub, pipeline_file):
    app = typer.Typer()
    app.command()(submit)
    arguments = [str(pipeline_file), "--host", stub.host]
    arguments += ["--param", "epochs=1", "--param", "epochs=2"]
    result = CliRunner().invoke(app, arguments)
    assert "Received twice: 'epochs'" in str(result.exception)
    assert stub.calls == []


@pytest.mark.parametrize(
    "content", [b"secret\nsecret", "secr\u0119t".encode(), b"\xff", b""]
)
@pytest.mark.parametrize("option", ["--token-file", "--cookie-file"])
def test_bad_secret_file_is_named_and_not_shown(tmp_path, error_of, option, content):
    from graft.pipeline.commands.schedule import app

    file = tmp_path / "login"
    file.write_bytes(content)
    text = error_of(app, "list", option, str(file))
    assert "login' must hold" in text
    assert "secr\u0119t" not in text
    assert "secret\nsecret" not in text
    assert "secret\\nsecret" not in text
