"""Faults and refusals of Kubeflow's API, by the stub on a local port."""

from __future__ import annotations

import pytest

from graft.pipeline.kubeflow.cluster import following, schedules, submission
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


@pytest.mark.parametrize(
    "body", [b"[]", b'"x"', b"{oops", b"", b"null", b"7", b"\xff{", b"[" * 100_000]
)
def test_health_that_is_nonsense_is_one_message(stub, api, body):
    stub.answers["GET", "/healthz"] = body
    with pytest.raises(ApiError, match="not one of Kubeflow's API") as error:
        api().server_version()
    assert error.value.status == 200
    assert len(stub.calls) == 1


def test_version_of_any_length_is_read(stub, api):
    stub.version = "9" * 6000 + ".1"
    assert api().server_version() == "9" * 40
    stub.version = None
    assert not api().server_version()


VERSIONS = ("GET", "/versions")
NO_API = "not one of Kubeflow's API"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"pipeline_versions": [null]}', "`pipeline_versions` must be a list"),
        (b'{"pipeline_versions": ["x"]}', "`pipeline_versions` must be a list"),
        (b'{"pipeline_versions": 7}', NO_API),
        (b'{"next_page_token": "x"}', "its list does not end"),
        (b"[]", "not a JSON object"),
    ],
)
def test_list_that_is_nonsense_is_one_message(stub, api, body, message):
    stub.answers[VERSIONS] = body
    with pytest.raises(ApiError, match=message):
        submission.list_versions(api(), "pipeline-0")
    assert len(stub.calls) <= 2


def test_list_whose_tokens_change_ends_too(stub, api, monkeypatch):
    monkeypatch.setattr("graft.pipeline.kubeflow.cluster.api.MAX_PAGES", 5)

    def route(self, method, path, query, raw):
        token = query.get("page_token", "") + "x"
        return 200, {"recurringRuns": [], "next_page_token": token}

    monkeypatch.setattr(stub.handler, "_route", route)
    with pytest.raises(ApiError, match="its list does not end"):
        schedules.list_schedules(api())
    assert len(stub.calls) == 5


def test_run_without_an_id_is_not_started_again(stub, api, pipeline_file):
    uploaded = submission.upload(api(), pipeline_file)
    stub.answers["POST", "/runs"] = b"{}"
    with pytest.raises(ApiError, match="the new run has no id"):
        submission.start_run(api(), pipeline_file, uploaded, {})
    posts = [call for call in stub.calls if call[:2] == ("POST", "/apis/v2beta1/runs")]
    assert len(posts) == 1


def test_pipeline_without_an_id_is_refused(stub, api):
    stub.answers["GET", "/sample"] = b"{}"
    with pytest.raises(ApiError, match="the pipeline 'sample' has no id"):
        submission.find_pipeline(api(), "sample")


@pytest.mark.parametrize(
    "body", [b'"hello"', b"{}", b'{"run_details": "x"}', b"<html>"]
)
def test_run_that_is_nonsense_is_not_followed_for_ever(stub, api, body):
    stub.answers["GET", "/runs/run-0"] = body
    with pytest.raises(ApiError, match=NO_API):
        following.follow(api(), "run-0", print, steps=["Trainer"])
