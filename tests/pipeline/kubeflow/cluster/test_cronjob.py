from __future__ import annotations

import pytest
import yaml

from graft.pipeline.commands.cluster_options import parse_parameters
from graft.pipeline.kubeflow.cluster.cron import CronError
from graft.pipeline.kubeflow.cluster.cronjob import CronJobSettings, cronjob_manifests
from graft.pipeline.kubeflow.compilation.profile_file import load_profile
from graft.pipeline.kubeflow.compilation.refusals import CompileError

PROFILE = load_profile("cpu").model_copy(update={"image": "example.org/graft:1.0"})


def manifests(**settings):
    given = {"name": "nightly", "cron": "0 3 * * *", **settings}
    text = cronjob_manifests(
        CronJobSettings(**given), PROFILE, "schemaVersion: 2.1.0\n"
    )
    return {item["kind"]: item for item in yaml.safe_load_all(text)}


def pod_of(found):
    return found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_job_never_overlaps_and_knows_its_zone():
    spec = manifests(timezone="Europe/Berlin")["CronJob"]["spec"]
    assert spec["schedule"] == "0 3 * * *"
    assert spec["timeZone"] == "Europe/Berlin"
    assert spec["concurrencyPolicy"] == "Forbid"


def test_job_that_retries_lives_as_long_as_its_runs():
    def job_of(found):
        return found["CronJob"]["spec"]["jobTemplate"]["spec"]

    plain, following = job_of(manifests()), job_of(manifests(retries=2))
    assert "--no-follow" in str(plain["template"])
    assert "podFailurePolicy" not in plain
    arguments = following["template"]["spec"]["containers"][0]["args"]
    assert "--retries=2" in arguments
    assert "mlflow" not in str(arguments)
    named = job_of(manifests(mlflow_experiment="flowers", server_version="2.17"))
    assert "--mlflow-experiment=flowers" in str(named["template"])
    assert "--server-version=2.17" in str(named["template"])
    assert "--no-follow" not in arguments
    assert following["activeDeadlineSeconds"] == 3600 + 3 * 24 * 3600
    # A run that failed three times is not submitted again by the job's own retries.
    (rule,) = following["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [5]
    assert rule["onExitCodes"]["containerName"] == "submit"


def test_account_token_and_rights_name_the_same_subject():
    found = manifests(is_multi_user=True, namespace="team")
    pod = pod_of(found)
    account = found["ServiceAccount"]["metadata"]
    (subject,) = found["RoleBinding"]["subjects"]
    assert pod["serviceAccountName"] == account["name"] == subject["name"]
    assert account["namespace"] == subject["namespace"] == "team"
    assert found["RoleBinding"]["metadata"]["namespace"] == "team"
    assert found["RoleBinding"]["roleRef"]["name"] == "kubeflow-pipelines-edit"
    (volume,) = [item for item in pod["volumes"] if item["name"] == "token"]
    token = volume["projected"]["sources"][0]["serviceAccountToken"]
    assert token["audience"] == "pipelines.kubeflow.org"
    (container,) = pod["containers"]
    mounts = {item["name"]: item["mountPath"] for item in container["volumeMounts"]}
    assert mounts["token"] == "/var/run/secrets/kubeflow/pipelines"
    assert "--namespace=team" in container["args"]


def test_standalone_job_has_no_token_and_no_rights():
    found = manifests()
    assert "RoleBinding" not in found
    assert "token" not in str(pod_of(found)["volumes"])


def test_pod_is_restricted_and_reads_data_only():
    pod = pod_of(manifests())
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    data = [m for m in container["volumeMounts"] if m["mountPath"].startswith("/mnt")]
    assert len(data) == 3
    assert all(mount["readOnly"] for mount in data)
    names = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == names


def test_another_pipeline_is_another_config_map():
    first = manifests()["ConfigMap"]["metadata"]["name"]
    text = cronjob_manifests(CronJobSettings("nightly", "@daily"), PROFILE, "other")
    assert first != next(yaml.safe_load_all(text))["metadata"]["name"]


def test_parameters_are_passed_as_yaml():
    pod = pod_of(manifests(parameters={"epochs": 3, "data_path": "/mnt/data/x"}))
    arguments = pod["containers"][0]["args"]
    assert "--param=epochs=3" in arguments
    assert "--param=data_path=/mnt/data/x" in arguments


@pytest.mark.parametrize(
    "value", ["/mnt/data/" + "a folder with spaces/" * 9, "a\nb", "17", list(range(60))]
)
def test_long_parameter_reaches_submit_whole(value):
    pod = pod_of(manifests(parameters={"data_path": value}))
    (argument,) = [item for item in pod["containers"][0]["args"] if "data_p" in item]
    assert parse_parameters([argument.removeprefix("--param=")]) == {"data_path": value}


def test_bad_settings_are_refused():
    with pytest.raises(CronError, match="second"):
        manifests(cron="30 0 3 * * *")
    with pytest.raises(CronError, match="timezone"):
        manifests(timezone="Mars/Olympus")
    with pytest.raises(CompileError, match="lower-case"):
        manifests(name="Nightly")
    with pytest.raises(CompileError, match=r"mounts.*'/etc/drift.json'"):
        manifests(drift_report="/etc/drift.json")
    with pytest.raises(CompileError, match="ConfigMap holds at most"):
        cronjob_manifests(CronJobSettings("nightly", "@daily"), PROFILE, "x" * 2**20)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, []), ("/mnt/data/drift", ["--drift-report=/mnt/data/drift"])],
)
def test_job_looks_at_a_further_drift_report_that_it_can_see(given, expected):
    pod = pod_of(manifests(drift_report=given))
    arguments = pod["containers"][0]["args"]
    assert [item for item in arguments if "drift" in item] == expected
    # That of the runs lies in the model store, which is mounted.
    mounts = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert PROFILE.model_store in mounts


def test_command_of_the_job_exists():
    """Every option in the manifest is one of `graft submit`."""
    import typer

    from graft.pipeline.commands.submit import submit

    app = typer.Typer()
    app.command()(submit)
    command = typer.main.get_command(app)
    known = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    found = manifests(is_multi_user=True, parameters={"epochs": 1})
    (container,) = pod_of(found)["containers"]
    verb, _, *options = container["args"]
    assert [container["command"], verb] == [["graft"], "submit"]
    assert {option.partition("=")[0] for option in options} <= known
