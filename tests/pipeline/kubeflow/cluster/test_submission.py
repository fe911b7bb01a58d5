"""Uploading, starting and following a run, against the stub of Kubeflow's API."""

from __future__ import annotations

import pytest

from graft.pipeline.kubeflow.cluster import submission
from graft.pipeline.kubeflow.compilation.pipeline_file import PipelineFileError


def routes(stub):
    return [(method, path) for method, path, *_ in stub.calls]


def test_submit_uploads_and_runs_with_ids_and_parameters(stub, api, pipeline_file):
    client = api(namespace="team", token="secret")
    stub.token = "secret"
    uploaded = submission.upload(client, pipeline_file)
    assert uploaded.is_new
    run_id = submission.start_run(
        client, pipeline_file, uploaded, {"epochs": 5}, service_account="runner"
    )
    (run,) = stub.runs
    assert run["run_id"] == run_id
    assert run["pipeline_version_reference"] == {
        "pipeline_id": "pipeline-0",
        "pipeline_version_id": "version-0",
    }
    assert run["runtime_config"] == {"parameters": {"epochs": 5}}
    assert run["service_account"] == "runner"
    assert run["experiment_id"] == "experiment-0"
    assert stub.pipelines[0]["namespace"] == "team"
    assert stub.experiments[0]["namespace"] == "team"


def test_same_file_is_the_same_version_and_another_a_new_one(stub, api, pipeline_file):
    first = submission.upload(api(), pipeline_file)
    again = submission.upload(api(), pipeline_file)
    assert (first.version_id, again.is_new) == (again.version_id, False)
    pipeline_file.write_text(pipeline_file.read_text() + "\n# changed\n")
    other = submission.upload(api(), pipeline_file)
    assert other.is_new
    assert len(stub.pipelines) == 1
    assert len(stub.versions) == 2


def test_upload_whose_answer_was_lost_is_found_again(stub, api, pipeline_file):
    # By name 404, create, list versions, upload (stored, answer lost), upload: 409.
    stub.faults = [None, None, None, "lost"]
    uploaded = submission.upload(api(), pipeline_file)
    assert uploaded.version_id == "version-0"
    assert len(stub.versions) == 1
    assert routes(stub).count(("POST", "/apis/v2beta1/pipelines/upload_version")) == 2


def test_run_whose_answer_was_lost_is_not_started_twice(stub, api, pipeline_file):
    uploaded = submission.upload(api(), pipeline_file)
    stub.faults = [None, None, "lost"]
    run_id = submission.start_run(api(), pipeline_file, uploaded, {})
    assert [run["run_id"] for run in stub.runs] == [run_id]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epoch": 1}, "no parameter 'epoch'"),
        ({"epochs": 1.5}, "NUMBER_INTEGER"),
        ({"data_path": "s3://bucket"}, "names object storage"),
    ],
)
def test_bad_parameter_starts_nothing(stub, api, pipeline_file, parameters, message):
    uploaded = submission.upload(api(), pipeline_file)
    with pytest.raises(PipelineFileError, match=message):
        submission.start_run(api(), pipeline_file, uploaded, parameters)
    assert stub.runs == []
