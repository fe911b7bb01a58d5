"""`graft schedule` creates, lists and changes schedules."""

from __future__ import annotations

import pytest
import yaml
from typer.testing import CliRunner

from graft.pipeline.commands.schedule import _name_of, with_profile
from graft.pipeline.commands.schedule import app as schedule_app

IMAGE = "registry.example.org/graft:1.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cron", "daily"), "five fields"),
        (("--cron", "0 3 * * *", "--timezone", "Europe/Berlin"), "--engine cronjob"),
        (("--cron", "0 3 * * *", "--engine", "airflow"), "Received: 'airflow'"),
        (("--cron", "0 3 * * *", "--param", "epochs"), "NAME=VALUE"),
        (("--cron", "0 3 * * *", "--host", "localhost"), "must be a URL"),
        (("--cron", "0 3 * * *", "--engine", "cronjob"), "'sample', which is no file"),
    ],
)
def test_schedule_refuses(error_of, arguments, message):
    common = ("create", "nightly", "--pipeline", "sample")
    assert message in error_of(schedule_app, *common, *arguments)


def test_times_and_name_come_from_the_profile_and_the_file(
    tmp_path, error_of, pipeline_file
):
    profile = tmp_path / "cluster.yaml"
    profile.write_text(
        "extends: cpu\nschedule: {cron: '0 3 * * *', timezone: Asia/Tokyo}\n"
    )

    def times(cron, timezone, profile):
        chosen = with_profile({"cron": cron, "timezone": timezone}, str(profile))
        return chosen.cron, chosen.timezone

    assert times(None, None, profile) == ("0 3 * * *", "Asia/Tokyo")
    assert times("@daily", None, profile) == ("@daily", "Asia/Tokyo")
    assert times("@daily", "UTC", profile) == ("@daily", "UTC")
    assert times("@daily", None, "cpu") == ("@daily", "UTC")
    command = ("create", "nightly", "--pipeline", "sample")
    text = error_of(schedule_app, *command)
    assert "Name it by `--cron`, or by `schedule: {cron: ...}`" in text
    name = yaml.safe_load(pipeline_file.read_text())["pipelineInfo"]["name"]
    assert _name_of(str(pipeline_file)) == name
    assert _name_of("sample") == "sample"


KEPT = {
    "cron": "0 3 * * *",
    "engine": "cronjob",
    "namespace": "ours",
    "multi_user": True,
    "drift_report": "/mnt/data/drift.json",
    "retries": 2,
}


def test_a_profile_keeps_the_flags_of_a_schedule(
    tmp_path, monkeypatch, pipeline_file, error_of
):
    """The manifest is the same with flags, and without them and with the profile."""
    monkeypatch.chdir(tmp_path)
    spec = yaml.safe_load(pipeline_file.read_text())
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    parameters["data_fingerprint"] = {"parameterType": "STRING"}
    pipeline_file.write_text(yaml.safe_dump(spec))
    profile = tmp_path / "cluster.yaml"
    common = ["create", "nightly", "--pipeline", str(pipeline_file)]
    flags = [
        *("--cron", "0 3 * * *", "--engine", "cronjob", "--namespace", "ours"),
        *("--multi-user", "--drift-report", "/mnt/data/drift.json", "--retries", "2"),
    ]
    written = []
    for schedule, words in ((None, flags), (KEPT, [])):
        values = {"extends": "cpu", "image": IMAGE}
        values |= {"schedule": schedule} if schedule else {}
        profile.write_text(yaml.safe_dump(values))
        command = [*common, "--profile", str(profile), *words]
        result = CliRunner().invoke(schedule_app, command)
        assert result.exit_code == 0, result
        written.append((tmp_path / "nightly-cronjob.yaml").read_text())
        (tmp_path / "nightly-cronjob.yaml").unlink()
    assert written[0] == written[1]
    assert "/mnt/data/drift.json" in written[0]
    # An option replaces what the profile keeps.
    words = ["--profile", str(profile), "--engine", "kubeflow", "--retries", "3"]
    assert "`--retries` needs `--engine cronjob`" in error_of(
        schedule_app, *common, *words
    )


def test_a_profile_with_flags_of_the_other_engine_is_refused(tmp_path, error_of):
    profile = tmp_path / "cluster.yaml"
    values = {"extends": "cpu", "schedule": {"cron": "@daily", "retries": 2}}
    profile.write_text(yaml.safe_dump(values))
    words = ("create", "nightly", "--pipeline", "sample", "--profile", str(profile))
    assert "`retries` needs `engine: cronjob`" in error_of(schedule_app, *words)


def test_cronjob_manifest_is_written(error_of, tmp_path):
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
    given = [*arguments, "--param", "epochs=9", "--service-account", "of-runs"]
    result = CliRunner().invoke(schedule_app, given)
    assert result.exit_code == 0, result
    assert "--service-account=of-runs" in output.read_text()
    kinds = [item["kind"] for item in yaml.safe_load_all(output.read_text())]
    assert kinds == ["ConfigMap", "ServiceAccount", "CronJob"]
    assert "--param=epochs=9" in output.read_text()
    assert "NUMBER_INTEGER" in error_of(schedule_app, *arguments, "--param", "epochs=x")
    before = compiled.read_text()
    text = error_of(schedule_app, *arguments, "-o", str(compiled))
    assert "another file than that of --pipeline" in text
    assert compiled.read_text() == before
    profile = tmp_path / "cluster.yaml"
    profile.write_text("extends: cpu\n")
    text = error_of(
        schedule_app, *arguments, "--profile", str(profile), "-o", str(profile)
    )
    assert "another file than that of --profile" in text
    assert profile.read_text() == "extends: cpu\n"
    text = error_of(schedule_app, *arguments, "-o", str(tmp_path / "none" / "x.yaml"))
    assert "must lie in a folder that exists" in text
    assert "can't be written" in error_of(schedule_app, *arguments, "-o", str(tmp_path))


@pytest.mark.parametrize(
    ("engine", "option"),
    [
        ("kubeflow", ("--retries", "2")),
        ("kubeflow", ("--image", IMAGE)),
        ("kubeflow", ("--multi-user",)),
        ("kubeflow", ("--drift-report", "/mnt/data/drift.json")),
        ("kubeflow", ("--to", "job.yaml")),
        ("cronjob", ("--replace",)),
        ("cronjob", ("--token-file", "token")),
        ("cronjob", ("--cookie-file", "cookie")),
    ],
)
def test_option_that_the_engine_does_not_use_is_refused(error_of, engine, option):
    common = ("create", "nightly", "--pipeline", "sample", "--cron", "@daily")
    text = error_of(schedule_app, *common, "--engine", engine, *option)
    assert f"`{option[0]}` needs `--engine" in text


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


def test_schedule_on_a_server_of_unknown_version_needs_the_users_word(
    stub, uploaded, error_of
):
    stub.version = "unknown"
    create = ["create", "nightly", "--pipeline", "sample", "--cron", "@daily"]
    arguments = [*create, "--host", stub.host, "--mlflow-experiment", "flowers"]
    assert "`--server-version 2.17`" in error_of(schedule_app, *arguments)
    assert stub.recurring == []
    arguments += ["--server-version", "2.17.0"]
    result = CliRunner().invoke(schedule_app, arguments)
    assert result.exit_code == 0, result
    assert len(stub.recurring) == 1


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
