"""Faults and refusals of Kubeflow's API, by the stub on a local port."""

from __future__ import annotations

import pytest

from graft.pipeline.kubeflow.cluster import submission
from graft.pipeline.kubeflow.cluster.api import Api, ApiError, Connection


@pytest.mark.parametrize("fault", [500, 503, 429, "drop"])
def test_passing_fault_is_sat_out(stub, api, pipeline_file, fault):
    uploaded = submission.upload(api(), pipeline_file)
    stub.faults = [None, None, fault]
    submission.start_run(api(), pipeline_file, uploaded, {})
    assert len(stub.runs) == 1
    stub.faults = [fault, fault]
    assert submission.find_pipeline(api(), "sample") == "pipeline-0"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (401, "missing or expired"),
        (403, "kubeflow-pipelines-edit"),
        (400, "answered 400: fault 400"),
        ("login", "not as Kubeflow's API"),
        (302, "not as Kubeflow's API"),
    ],
)
def test_refusal_is_one_clear_message_without_retry(stub, api, fault, message):
    stub.faults = [fault]
    with pytest.raises(ApiError, match=message):
        submission.list_runs(api())
    assert len(stub.calls) == 1


def test_fault_that_does_not_pass_is_reported(stub, api):
    stub.faults = [500] * 10
    with pytest.raises(ApiError, match="answered 500: fault 500"):
        submission.list_runs(api(attempts=3))
    assert len(stub.calls) == 3


def test_unreachable_host_is_named(stub):
    client = Api(Connection("http://127.0.0.1:9", attempts=2, pause_seconds=0.01))
    with pytest.raises(ApiError, match=r"127\.0\.0\.1:9 does not answer.*port-forward"):
        submission.list_runs(client)
    with pytest.raises(ApiError, match="must be a URL"):
        Api(Connection("localhost:8888"))


def test_expired_token_is_refused_and_a_pods_token_is_found(
    stub, api, tmp_path, monkeypatch
):
    stub.token = "fresh"
    with pytest.raises(ApiError, match="expired"):
        submission.list_runs(api(token="stale"))
    path = tmp_path / "token"
    path.write_text("fresh\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(path))
    assert submission.list_runs(api()) == []


def test_cookie_is_sent(stub, api):
    submission.list_runs(api(cookies="authservice_session=abc"))
    assert stub.calls[0][4]["Cookie"] == "authservice_session=abc"
