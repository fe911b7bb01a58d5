"""What `graft compile`, `emulate` and `schedule` say to a mistake, before any TFX."""

from __future__ import annotations

import json
import os

import pytest
import typer
import yaml
from typer.testing import CliRunner

from graft.contract.errors import UserError
from graft.pipeline.commands.compile import compile_
from graft.pipeline.commands.emulate import emulate
from graft.pipeline.commands.schedule import app as schedule_app
from graft.pipeline.commands.submit import submit

IMAGE = "registry.example.org/graft:1.0"


def invoke(command, *arguments):
    """Return the message of the user's mistake that ended the command."""
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer()
        app.command()(command)
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UserError), result
    return str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "argo"), "must be kubeflow or vertex. Received: 'argo'"),
        (("--profile", "gpu-gek"), "Did you mean 'gpu-gke'"),
        ((), "No image"),
        (("--image", "graft:latest"), "'graft:latest'"),
        (("--image", IMAGE, "--data", "photos"), "`data.path` must lie in one of"),
        (("--image", IMAGE, "--data", "s3://b/k"), "Mount a volume"),
        (("--image", IMAGE, "--set", "name=My_Pipeline"), "name"),
    ],
)
def test_compile_refuses(arguments, message):
    default = () if "--data" in arguments else ("--data", "/mnt/data/photos")
    assert message in invoke(compile_, *arguments, *default)


def test_emulate_refuses(tmp_path):
    assert "can't be read" in invoke(emulate, str(tmp_path / "none.yaml"))
    assert "`--mount` takes" in invoke(emulate, "x.yaml", "--mount", "data")
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump({"schemaVersion": "2.0.0"}))
    folder = ("--folder", str(tmp_path / "cluster"))
    assert "must be 2.1.0" in invoke(emulate, str(bad), *folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cron", "daily"), "five fields"),
        (("--cron", "0 3 * * *", "--timezone", "Europe/Berlin"), "--engine cronjob"),
        (("--cron", "0 3 * * *", "--engine", "airflow"), "Received: 'airflow'"),
        (("--cron", "0 3 * * *", "--param", "epochs"), "NAME=VALUE"),
        (("--cron", "0 3 * * *", "--host", "localhost"), "must be a URL"),
    ],
)
def test_schedule_refuses(arguments, message):
    common = ("create", "nightly", "--pipeline", "sample")
    assert message in invoke(schedule_app, *common, *arguments)


def test_cronjob_manifest_is_written(tmp_path):
    compiled = tmp_path / "pipeline.yaml"
    compiled.write_text(
        yaml.safe_dump(
            {
                "schemaVersion": "2.1.0",
                "pipelineInfo": {"name": "sample"},
                "root": {
                    "inputDefinitions": {
                        "parameters": {
                            "data_fingerprint": {"parameterType": "STRING"},
                            "epochs": {
                                "parameterType": "NUMBER_INTEGER",
                                "defaultValue": 3,
                            },
                        }
                    },
                    "dag": {"tasks": {}},
                },
            }
        )
    )
    output = tmp_path / "job.yaml"
    arguments = [
        *("create", "nightly", "--pipeline", str(compiled), "--cron", "0 3 * * *"),
        *("--engine", "cronjob", "--image", IMAGE, "-o", str(output)),
    ]
    result = CliRunner().invoke(schedule_app, [*arguments, "--param", "epochs=9"])
    assert result.exit_code == 0, result
    kinds = [item["kind"] for item in yaml.safe_load_all(output.read_text())]
    assert kinds == ["ConfigMap", "ServiceAccount", "CronJob"]
    assert "--param=epochs=9" in output.read_text()
    assert "NUMBER_INTEGER" in invoke(schedule_app, *arguments, "--param", "epochs=x")


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
    os.utime(report, (1e9, 1e9))  # older than the run that it led to
    result = CliRunner().invoke(app, arguments)
    assert "nothing changed" in result.output
    assert "darker" in result.output  # who looks is told that it still stands
    assert len(stub.runs) == 2


def test_schedule_command_says_what_became_of_the_hours(stub, uploaded):
    result = CliRunner().invoke(
        schedule_app,
        [
            *("create", "nightly", "--pipeline", "sample", "--host", stub.host),
            *("--cron", "0 3 * * *", "--timezone", "Asia/Tokyo"),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "'0 0 18 * * *', UTC" in result.output
    listed = CliRunner().invoke(schedule_app, ["list", "--host", stub.host])
    assert "nightly" in listed.output


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


@pytest.mark.parametrize(
    ("verb", "status", "said"),
    [
        ("pause", ["DISABLED"], "is paused"),
        ("resume", ["ENABLED"], "runs again"),
        ("delete", [], "is deleted"),
    ],
)
def test_schedule_verbs(stub, uploaded, verb, status, said):
    common = ["--host", stub.host]
    create = ["create", "nightly", "--pipeline", "sample", "--cron", "@daily"]
    CliRunner().invoke(schedule_app, [*create, *common])
    result = CliRunner().invoke(schedule_app, [verb, "nightly", *common])
    assert result.exit_code == 0, result
    assert f"nightly {said}" in result.output
    assert [item["status"] for item in stub.recurring] == status
