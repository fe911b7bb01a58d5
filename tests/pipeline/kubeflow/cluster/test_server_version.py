"""What an older server is refused, against the stub of Kubeflow's API."""

from __future__ import annotations

import pytest
import yaml

from graft.pipeline.kubeflow.cluster import server_version


@pytest.mark.parametrize("version", ["2.17.0", "2.17.3", "2.18.0-rc.1", "v3.0.0"])
def test_newest_version_is_followed_from_2_17_on(stub, api, version):
    stub.version = version
    assert server_version.check_follows_newest(api()) == version


@pytest.mark.parametrize("version", ["unknown", "a1b2c3d"])
def test_user_says_the_version_of_a_server_that_tells_none(stub, api, version):
    stub.version = version
    with pytest.raises(server_version.ServerVersionError, match="--server-version"):
        server_version.check_follows_newest(api())
    with pytest.raises(server_version.ServerVersionError, match=r"'2\.16'"):
        server_version.check_follows_newest(api(), "2.16")
    assert server_version.check_follows_newest(api(), "2.17") == "2.17"
    stub.version = "2.16.1"
    with pytest.raises(server_version.ServerVersionError, match=r"'2\.16\.1'"):
        server_version.check_follows_newest(api(), "2.17")


@pytest.mark.parametrize("version", ["2.16.1", "2.5.0", "v2.16.0", "1.8.22"])
def test_older_server_is_refused(stub, api, version):
    stub.version = version
    with pytest.raises(server_version.ServerVersionError) as error:
        server_version.check_follows_newest(api())
    assert version in str(error.value)
    assert "--engine cronjob" in str(error.value)


def test_limits_of_a_run_are_refused_by_an_older_server(pipeline_file):
    server_version.check_submission("2.16.1", pipeline_file)
    server_version.check_submission("", pipeline_file)
    spec = yaml.safe_load(pipeline_file.read_text())
    kubernetes = {"pipelineConfig": {"activeDeadlineSeconds": 60}}
    platform = {"platforms": {"kubernetes": kubernetes}}
    pipeline_file.write_text(yaml.safe_dump_all([spec, platform]))
    with pytest.raises(server_version.ServerVersionError, match="run_timeout_seconds"):
        server_version.check_submission("2.16.1", pipeline_file)
    server_version.check_submission("2.17.0", pipeline_file)
    for unknown in ("", "a1b2c3d", "9" * 6000 + ".1"):
        with pytest.raises(server_version.ServerVersionError, match="--server-version"):
            server_version.check_submission(unknown, pipeline_file)


def test_mlflow_experiment_is_refused_by_an_older_server(pipeline_file):
    with pytest.raises(server_version.ServerVersionError, match="mlflow-experiment"):
        server_version.check_submission("2.16.1", pipeline_file, "flowers")
    server_version.check_submission("2.17.0", pipeline_file, "flowers")
    for unknown in ("", "9" * 40):
        with pytest.raises(server_version.ServerVersionError, match="--server-version"):
            server_version.check_submission(unknown, pipeline_file, "flowers")


def test_unchecked_version_is_told():
    assert server_version.describe("2.17.3") == "Kubeflow Pipelines 2.17.3"
    assert "checked against 2.16.1 and 2.17.0" in server_version.describe("2.15.0")
    assert "unknown version" in server_version.describe("")
