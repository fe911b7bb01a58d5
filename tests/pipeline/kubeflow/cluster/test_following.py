"""Following and retrying a run, against the stub of Kubeflow's API."""

from __future__ import annotations

import pytest

from graft.pipeline.kubeflow.cluster import following, submission
from graft.pipeline.kubeflow.cluster.api import ApiError

STEPS = ("Trainer",)


@pytest.fixture
def run_id(stub, api, pipeline_file):
    uploaded = submission.upload(api(), pipeline_file)
    return submission.start_run(api(), pipeline_file, uploaded, {})


def follow(api, run_id, on_change=lambda state: None, **others):
    return following.follow(
        api(), run_id, on_change, steps=STEPS, poll_seconds=0.01, **others
    )


def test_each_change_is_reported_and_only_steps_are_shown(stub, api, run_id):
    seen = []
    stub.run_states = ["PENDING", "RUNNING", "RUNNING", "FAILED"]
    ended = follow(api, run_id, seen.append)
    assert [state.state for state in seen] == ["PENDING", "RUNNING", "FAILED"]
    # Not `executor(0)`, `Trainer(0)`, a driver, or the workflow's own name.
    assert all(state.tasks == {"Trainer": state.state} for state in seen)
    assert ended.error == "OOMKilled"


def test_failure_before_a_retry_is_not_taken_for_its_end(stub, api, run_id):
    stub.run_states = ["FAILED"]
    failed = follow(api, run_id)
    following.retry_run(api(), run_id)
    assert stub.retried == [run_id]
    stub.run_states = ["FAILED", "FAILED", "RUNNING", "SUCCEEDED"]
    seen = []
    assert follow(api, run_id, seen.append, retried=failed).state == "SUCCEEDED"
    assert [state.state for state in seen] == ["RUNNING", "SUCCEEDED"]


def test_failure_that_stays_after_a_retry_is_the_end(stub, api, run_id):
    stub.run_states = ["FAILED"]
    failed = follow(api, run_id)
    stub.calls.clear()
    assert follow(api, run_id, retried=failed).state == "FAILED"
    assert len(stub.calls) == following.MAX_STALE_ANSWERS + 1


def test_run_that_can_not_be_retried_is_an_error(stub, api, run_id):
    stub.can_retry = False
    with pytest.raises(ApiError, match="manifest cannot be empty"):
        following.retry_run(api(), run_id)


def test_retry_whose_answer_was_lost_is_not_repeated(stub, api, run_id):
    stub.run_states = ["RUNNING"]
    stub.faults = ["lost"]
    following.retry_run(api(), run_id)
    assert stub.retried == [run_id]
