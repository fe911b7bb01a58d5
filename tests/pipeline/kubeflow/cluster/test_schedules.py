"""Recurring runs, against the stub of Kubeflow's API."""

from __future__ import annotations

from typing import Any

import pytest

from graft.pipeline.kubeflow.cluster import schedules
from graft.pipeline.kubeflow.cluster.api import ApiError
from graft.pipeline.kubeflow.cluster.server_version import ServerVersionError
from graft.pipeline.kubeflow.compilation.pipeline_file import PipelineFileError


def _create(
    api: Any, name: str, pipeline: str, cron: str, replace: bool = False, **others: Any
) -> None:
    settings = schedules.RecurringRunSettings(name, pipeline, cron, **others)
    schedules.create_schedule(api, settings, replace=replace)


def test_schedule_follows_the_newest_version(stub, api, uploaded):
    others = {"parameters": {"epochs": 4}, "mlflow_experiment": "flowers"}
    _create(api(), "nightly", "sample", "0 3 * * *", **others)
    (made,) = stub.recurring
    assert made["pipeline_version_reference"] == {"pipeline_id": "pipeline-0"}
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (made["max_concurrency"], made["no_catchup"], made["mode"]) == (
        "1",
        True,
        "ENABLE",
    )
    assert made["runtime_config"] == {"parameters": {"epochs": 4}}
    assert made["plugins_input"] == {"mlflow": {"experiment_name": "flowers"}}


def test_older_server_gets_no_schedule(stub, api, uploaded):
    stub.version = "2.16.1"
    with pytest.raises(ServerVersionError, match=r"needs Kubeflow Pipelines 2\.17"):
        _create(api(), "nightly", "sample", "0 3 * * *")
    assert stub.recurring == []


def test_versions_of_the_same_second_are_refused(stub, api, uploaded):
    stub.versions.append({**stub.versions[0], "display_name": "v-other"})
    with pytest.raises(schedules.ScheduleError, match="v-other"):
        _create(api(), "nightly", "sample", "0 3 * * *")
    stub.versions[1]["created_at"] = "2026-11-22T02:59:59Z"
    _create(api(), "nightly", "sample", "0 3 * * *")


def test_schedule_is_paused_resumed_and_deleted(stub, api, uploaded):
    _create(api(), "nightly", "sample", "@daily")
    schedules.pause_schedule(api(), "nightly")
    assert stub.recurring[0]["status"] == "DISABLED"
    schedules.resume_schedule(api(), "nightly")
    assert stub.recurring[0]["status"] == "ENABLED"
    schedules.delete_schedule(api(), "nightly")
    assert stub.recurring == []
    with pytest.raises(schedules.ScheduleError, match="no schedule 'nightly'"):
        schedules.pause_schedule(api(), "nightly")


def test_second_schedule_of_a_name_must_replace_the_first(stub, api, uploaded):
    _create(api(), "nightly", "sample", "@daily")
    with pytest.raises(schedules.ScheduleError, match="--replace"):
        _create(api(), "nightly", "sample", "@daily")
    stub.calls.clear()
    _create(api(), "nightly", "sample", "@hourly", replace=True)
    assert [item["trigger"]["cron_schedule"]["cron"] for item in stub.recurring] == [
        "0 0 * * * *"
    ]
    changes = [path for method, path, *_ in stub.calls if method != "GET"]
    assert [path.rpartition("/")[2] for path in changes] == [
        "schedule-0:disable",
        "recurringruns",
        "schedule-0",
    ]


def test_schedule_goes_on_if_the_one_in_its_place_is_refused(
    stub, api, uploaded, monkeypatch
):
    _create(api(), "nightly", "sample", "@daily")
    handle = stub.handler._handle
    for fault, status in ((500, "ENABLED"), ("drop", "DISABLED")):

        def refuse(self, method, fault=fault):
            if (method, self.path) == ("POST", "/apis/v2beta1/recurringruns"):
                stub.faults.append(fault)
            handle(self, method)

        monkeypatch.setattr(stub.handler, "_handle", refuse)
        with pytest.raises(ApiError) as error:
            _create(api(), "nightly", "sample", "@hourly", replace=True)
        assert [item["status"] for item in stub.recurring] == [status]
        assert ("is paused" in str(error.value)) == (status == "DISABLED")


def test_schedule_of_what_does_not_exist_is_refused(stub, api, uploaded):
    with pytest.raises(schedules.ScheduleError, match="graft submit"):
        _create(api(), "nightly", "unknown", "@daily")
    with pytest.raises(PipelineFileError, match="no parameter 'epoch'"):
        _create(api(), "nightly", "sample", "@daily", parameters={"epoch": 1})
    assert stub.recurring == []


def test_schedule_runs_as_the_profiles_account(stub, api, uploaded):
    annotations = {"graft.dev/service-account": "graft-runner"}
    config = {"podMetadata": {"annotations": annotations}}
    stub.versions[0]["pipeline_spec"]["platform_spec"] = {
        "platforms": {"kubernetes": {"deploymentSpec": {"executors": {"A": config}}}}
    }
    _create(api(), "nightly", "sample", "@daily")
    _create(api(), "weekly", "sample", "@weekly", service_account="other")
    accounts = [item["service_account"] for item in stub.recurring]
    assert accounts == ["graft-runner", "other"]
