"""The launcher's JSON, from the backend's source, and its form for TFX."""

from __future__ import annotations

import json

import pytest

from graft.pipeline.kubeflow.container.executor_input import (
    StepError,
    UriMap,
    make_folders,
    rewrite_inputs,
    rewrite_outputs,
    rewrite_result,
)

RUN = "minio://mlpipeline/v2/artifacts/sample/run-1"
EXAMPLES_TYPE = {"instanceSchema": "title: tfx.Examples\ntype: object\n"}
INPUTS_SPEC = {"artifacts": {"examples": {"artifactType": EXAMPLES_TYPE}}}


@pytest.fixture
def uris(tmp_path):
    return UriMap(str(tmp_path))


def message(*, artifact=None, parameters=None, outputs=None):
    return {
        "inputs": {
            "artifacts": {}
            if artifact is None
            else {"examples": {"artifacts": [artifact]}},
            "parameterValues": parameters or {},
        },
        "outputs": {
            "artifacts": {
                key: {"artifacts": [item]} for key, item in (outputs or {}).items()
            },
            "outputFile": "/tmp/output.json",
        },
    }


def present(uris, **more):
    artifact = {"name": "17", "uri": f"{RUN}/Gen/1/examples", "metadata": {}, **more}
    path = uris.to_local(artifact["uri"])
    make_folders({"artifacts": {"k": {"artifacts": [{"uri": path}]}}})
    return artifact


def the_input(uris, artifact):
    inputs = rewrite_inputs(message(artifact=artifact), INPUTS_SPEC, {}, uris)
    return inputs["artifacts"]["examples"]["artifacts"][0]


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://b/k/x", "/minio/b/k/x"),
        ("s3://b/k", "/s3/b/k"),
        ("gs://b/k", "/gcs/b/k"),
        ("/mnt/data", "/mnt/data"),
        ("hdfs://b/k", "hdfs://b/k"),
    ],
)
def test_uris_are_mapped_both_ways(uri, path):
    assert UriMap().to_local(uri) == path
    assert UriMap().to_remote(path) == uri
    assert UriMap("/x").to_remote("/x" + path if path != uri else path) == uri


def test_remote_files_stay_remote():
    assert UriMap(is_remote=True).to_local("gs://b/k") == "gs://b/k"


# --- Fact 21: types ------------------------------------------------------------------
@pytest.mark.parametrize("form", [{"type": {"instanceSchema": ""}}, {"type": {}}, {}])
def test_untyped_input_gets_the_type_of_its_spec(uris, form):
    assert the_input(uris, present(uris, **form))["type"] == EXAMPLES_TYPE


def test_typed_input_keeps_its_type(uris):
    own = {"schemaTitle": "tfx.Model"}
    assert the_input(uris, present(uris, type=own))["type"] == own


# --- Facts 22, 24, 25: what the stores do to an artifact ------------------------------
def test_input_is_local_named_and_unwrapped(uris, tmp_path):
    artifact = present(
        uris,
        metadata={
            "split_names": '["train"]',
            "tags": {"list": ["a"]},
            "box": {"struct": {"b": f"{RUN}/Gen/2/x"}},
            "plain": {"list": 1},
            "model": f"{RUN}/Trainer/3/model",
            "display_name": "examples",
            "store_session_info": "{}",
            "nothing": None,
        },
    )
    found = the_input(uris, artifact)
    local = f"{tmp_path}/minio/mlpipeline/v2/artifacts/sample/run-1"
    assert found["name"] == "17"
    assert found["uri"] == f"{local}/Gen/1/examples"
    assert found["metadata"] == {
        "split_names": '["train"]',
        "tags": ["a"],
        "box": {"b": f"{local}/Gen/2/x"},
        "plain": {"list": 1},
        "model": f"{local}/Trainer/3/model",
    }


def test_custom_path_wins(uris):
    artifact = present(uris, customPath="/cache/examples")
    assert the_input(uris, artifact)["uri"] == "/cache/examples"


# --- Fact 28: there is none -----------------------------------------------------------
@pytest.mark.parametrize("count", [0, 0.0])
def test_input_that_stands_for_none_is_left_out(uris, count):
    artifact = present(uris, metadata={"resolved_count": count})
    inputs = rewrite_inputs(message(artifact=artifact), INPUTS_SPEC, {}, uris)
    assert inputs["artifacts"] == {}


def test_input_that_tells_that_nothing_is_served_stays(uris):
    """The gate's verdict must name it, or Pusher could not compare."""
    told = '{"model": "m", "version": null}'
    artifact = present(uris, metadata={"resolved_count": 0.0, "production": told})
    assert the_input(uris, artifact)["metadata"]["production"] == told


def test_input_without_files_is_left_out(uris):
    artifact = {"name": "1", "uri": f"{RUN}/Gen/1/none", "metadata": {}}
    inputs = rewrite_inputs(message(artifact=artifact), INPUTS_SPEC, {}, uris)
    assert inputs["artifacts"] == {}


def test_input_of_metadata_alone_stays(uris):
    """A PushedModel, for instance: the object store keeps no empty folders."""
    artifact = {"name": "1", "uri": f"{RUN}/P/1/m", "metadata": {"pushed": 1.0}}
    inputs = rewrite_inputs(message(artifact=artifact), INPUTS_SPEC, {}, uris)
    assert inputs["artifacts"]["examples"]["artifacts"][0]["metadata"] == {
        "pushed": 1.0
    }


def test_counted_input_stays(uris):
    assert the_input(uris, present(uris, metadata={"resolved_count": 1}))


# --- Facts 9, 24, 27: parameters ------------------------------------------------------
def test_null_parameters_are_dropped(uris):
    inputs = rewrite_inputs(message(parameters={"a": None, "b": "1"}), {}, {}, uris)
    assert inputs["parameterValues"] == {"b": "1"}


def test_override_replaces_its_places_and_disappears(uris):
    config = json.dumps({"training": json.dumps({"epochs": 30, "rate": 0.1})})
    inputs = rewrite_inputs(
        message(parameters={"custom_config": config, "override": 5.0}),
        {},
        {"override": [["custom_config", "training", "epochs"]]},
        uris,
    )
    assert set(inputs["parameterValues"]) == {"custom_config"}
    training = json.loads(inputs["parameterValues"]["custom_config"])["training"]
    assert training == '{"epochs": 5, "rate": 0.1}'


def test_override_of_a_missing_property_is_an_error(uris):
    with pytest.raises(StepError, match="custom_config"):
        rewrite_inputs(
            message(parameters={"override": 1}),
            {},
            {"override": [["custom_config", "x"]]},
            uris,
        )


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("s3://bucket/data", "`data`"),
        ('{"path": "minio://b/k"}', "`data.path`"),
    ],
)
def test_path_that_nobody_downloads_is_refused(uris, value, key):
    with pytest.raises(StepError, match=key):
        rewrite_inputs(message(parameters={"data": value}), {}, {}, uris)


# --- Facts 20, 23, 31: outputs --------------------------------------------------------
def output(key, artifact_type):
    return {"name": key, "uri": f"{RUN}/Step/1/{key}", "type": artifact_type}


def test_launchers_own_output_is_hidden_and_types_are_restored(uris):
    outputs = rewrite_outputs(
        message(
            outputs={
                "page": output("page", {"schemaTitle": "system.HTML"}),
                "executor-logs": output(
                    "executor-logs", {"schemaTitle": "system.Artifact"}
                ),
            }
        ),
        {"page": {"instanceSchema": "title: graft.ReportPage\n"}},
        uris,
    )
    assert list(outputs["artifacts"]) == ["page"]
    page = outputs["artifacts"]["page"]["artifacts"][0]
    assert page["type"] == {"instanceSchema": "title: graft.ReportPage\n"}
    assert page["uri"] == uris.to_local(f"{RUN}/Step/1/page")


def test_folders_are_made_but_for_files(uris, tmp_path):
    outputs = rewrite_outputs(
        message(
            outputs={
                "model": output("model", {"schemaTitle": "tfx.Model"}),
                "value": output("value", {"instanceSchema": "title: tfx.String\n"}),
            }
        ),
        {},
        uris,
    )
    make_folders(outputs)
    folder = tmp_path / "minio/mlpipeline/v2/artifacts/sample/run-1/Step/1"
    assert (folder / "model").is_dir()
    assert not (folder / "value").exists()


# --- Fact 24: the result --------------------------------------------------------------
def rewrite(uris, artifact, artifact_type=None):
    asked = message(outputs={"model": output("model", artifact_type or {})})
    result = {"artifacts": {"model": {"artifacts": [artifact]}}}
    return rewrite_result(result, asked, uris)["artifacts"]["model"]["artifacts"][0]


def test_result_is_remote_without_nulls(uris):
    local = uris.to_local(f"{RUN}/Step/1/model")
    found = rewrite(
        uris,
        {
            "name": "model",
            "uri": local,
            "type": {"schemaTitle": "tfx.Model"},
            "metadata": {"a": 1, "none": None, "current_model": local, "l": [local]},
        },
    )
    assert found == {
        "name": "model",
        "uri": f"{RUN}/Step/1/model",
        "metadata": {
            "a": 1,
            "current_model": f"{RUN}/Step/1/model",
            "l": [f"{RUN}/Step/1/model"],
        },
    }


def test_single_file_below_the_output_is_allowed(uris):
    local = uris.to_local(f"{RUN}/Step/1/model/report.html")
    found = rewrite(uris, {"uri": local, "metadata": {}})
    assert found["uri"] == f"{RUN}/Step/1/model/report.html"


@pytest.mark.parametrize(
    "place", ["Other/1/model", "Step/1/model2", "Step/1/model/../x"]
)
def test_output_elsewhere_is_refused(uris, place):
    with pytest.raises(StepError, match="must lie below"):
        rewrite(uris, {"uri": uris.to_local(f"{RUN}/{place}"), "metadata": {}})


def test_dashboard_shows_no_version_of_tfx(uris):
    found = rewrite(
        uris,
        {
            "uri": uris.to_local(f"{RUN}/Step/1/model"),
            "metadata": {"accuracy": 0.9, "tfx_version": "1.21.0"},
        },
        {"schemaTitle": "system.Metrics", "schemaVersion": "0.0.1"},
    )
    assert found["metadata"] == {"accuracy": 0.9}
