"""Metadata, status, reload and health over gRPC, against a running server."""

from __future__ import annotations

import grpc
import pytest

pytest.importorskip("tensorflow_serving")
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
MISSING = grpc.StatusCode.NOT_FOUND


def parse(kind, text):
    return text_format.Parse(text, kind())


def test_metadata(prediction):
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        metadata_field=["signature_def"]
    )
    request.model_spec.name = "colours"
    response = prediction.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"predict_images", "line"} <= set(signatures.signature_def)
    assert response.model_spec.version.value == 1


@pytest.mark.parametrize("is_empty", [False, True], ids=["no-spec", "no-name"])
@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("Classify", classification_pb2.ClassificationRequest),
        ("Regress", regression_pb2.RegressionRequest),
        ("GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest),
        ("GetModelStatus", get_model_status_pb2.GetModelStatusRequest),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_requests_without_a_model(prediction, models, method, request_type, is_empty):
    request = request_type()
    if method == "GetModelMetadata":
        request.metadata_field.append("signature_def")
    if is_empty:
        request.model_spec.SetInParent()
    service = models if method == "GetModelStatus" else prediction
    with pytest.raises(grpc.RpcError) as caught:
        getattr(service, method)(request)
    found = caught.value.code(), caught.value.details()
    if not is_empty:
        assert found == (INVALID, "Missing ModelSpec")
    elif method == "GetModelStatus":
        assert found == (MISSING, "Could not find any versions of model ")
    else:
        assert found == (INVALID, "ModelSpec has no name specified.")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["weather"], "Metadata field weather is not supported"),
    ],
    ids=["none", "unknown"],
)
def test_metadata_errors(prediction, fields, message):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "colours"
    with pytest.raises(grpc.RpcError) as caught:
        prediction.GetModelMetadata(request)
    assert (caught.value.code(), caught.value.details()) == (INVALID, message)


def test_status(models):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "colours"
    request.model_spec.version_label = "ignored"
    (entry,) = models.GetModelStatus(request).model_version_status
    assert (entry.version, entry.state, entry.status.error_code) == (1, 30, 0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ('name: "m"', "Could not find any versions of model m"),
        (
            'name: "colours" version { value: 9 }',
            "Could not find version 9 of model colours",
        ),
    ],
    ids=["model", "version"],
)
def test_status_errors(models, spec, message):
    request = parse(
        get_model_status_pb2.GetModelStatusRequest, f"model_spec {{ {spec} }}"
    )
    with pytest.raises(grpc.RpcError) as caught:
        models.GetModelStatus(request)
    assert (caught.value.code(), caught.value.details()) == (MISSING, message)


GOOD = 'config { name: "m" base_path: "/m" model_platform: "tensorflow" }'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Only ModelConfigList is currently supported"),
        (
            f"model_config_list {{ {GOOD} {GOOD} }}",
            "Illegal to list model m multiple times in config list",
        ),
        (
            f"model_config_list {{ {GOOD.replace('/m', 'm')} }}",
            "Expected model m to have an absolute path or URI; got base_path()=m",
        ),
        (
            f"model_config_list {{ {GOOD.replace('tensorflow', '')} }}",
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (
            f"model_config_list {{ {GOOD[:-1]} model_type: TENSORFLOW }} }}",
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (
            f"model_config_list {{ {GOOD.replace('tensorflow', 'other')} }}",
            "Model m requests unsupported platform other",
        ),
        (
            'model_config_list { config { name: "colours" base_path: "/m" '
            'model_platform: "other" } }',
            "Illegal to change a model's platform. For model colours platform was "
            "tensorflow and new platform requested is other",
        ),
        (
            'model_config_list { config { name: "m" base_path: "/m" model_type: OTHER '
            "} }",
            "ModelServerConfig::model_type choice 2 not supported.",
        ),
        ("custom_model_config { }", "Only ModelConfigList is currently supported"),
    ],
    ids=[
        *("no-list", "twice", "relative", "no-platform", "both", "platform"),
        *("change-of-platform", "type", "custom"),
    ],
)
def test_reload_errors_change_nothing(models, prediction, text, message):
    request = parse(model_management_pb2.ReloadConfigRequest, f"config {{ {text} }}")
    with pytest.raises(grpc.RpcError) as caught:
        models.HandleReloadConfigRequest(request)
    assert caught.value.code() == INVALID
    assert message in caught.value.details()
    floats = "dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: [1, 2]"
    request = parse(
        predict_pb2.PredictRequest,
        'model_spec { name: "colours" signature_name: "line" } '
        f'inputs {{ key: "x" value {{ {floats} }} }}',
    )
    assert prediction.Predict(request)


@pytest.mark.parametrize(
    "method",
    ["ProfilerService/Profile", "serving.SessionService/SessionRun", "serving.X/Y"],
)
def test_other_services_are_not_implemented(channel, method):
    """The profiler's is a difference from the binary."""
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/tensorflow.{method}")(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("service", ["", "ModelService", "PredictionService"])
def test_health(channel, service):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    assert stub.Check(request).status == health_pb2.HealthCheckResponse.SERVING
    watching = stub.Watch(request, timeout=30)
    assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
    watching.cancel()


def test_health_of_anything_else_is_not_found(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="tensorflow.Session"))
    assert caught.value.code() == MISSING
