"""The methods of TensorFlow Serving's gRPC services, over the core."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from graft.serving.embedded.contract.servable import Caller
from graft.serving.embedded.contract.status import (
    StatusError,
    invalid,
    permission_denied,
)
from graft.serving.embedded.loading.model_config import MODEL_LIST
from graft.serving.embedded.transport.core import Core

logger = logging.getLogger(__name__)

_FOREVER_SECONDS = 1e8
"""A larger remaining time means no deadline: grpcio gives a large number then."""
PREDICTION_REQUESTS = {
    "Predict": predict_pb2.PredictRequest,
    "Classify": classification_pb2.ClassificationRequest,
    "Regress": regression_pb2.RegressionRequest,
    "MultiInference": inference_pb2.MultiInferenceRequest,
    "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
}
MODEL_REQUESTS = {
    "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    "HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
}


class PredictionService:
    """`tensorflow.serving.PredictionService`, with gRPC's method names.

    Args:
        core: Answers the requests.
        as_content: Whether replies have their values in `tensor_content`.
    """

    def __init__(self, core: Core, *, as_content: bool) -> None:
        self._core = core
        self._as_content = as_content

    def Predict(self, request: Any, context: Any) -> Any:
        """Run any signature."""
        with self._core.grpc_call(request.model_spec.name, "Predict"):
            return self._core.predict(
                request, _caller(context), as_content=self._as_content
            )

    def Classify(self, request: Any, context: Any) -> Any:
        """Run a signature of examples to classes and scores."""
        with self._core.grpc_call(request.model_spec.name, "Classify"):
            return self._core.classify(request, _caller(context))

    def Regress(self, request: Any, context: Any) -> Any:
        """Run a signature of examples to values."""
        with self._core.grpc_call(request.model_spec.name, "Regress"):
            return self._core.regress(request, _caller(context))

    def MultiInference(self, request: Any, context: Any) -> Any:
        """Run several signatures on the same examples."""
        # Without a name: TensorFlow Serving does not count it.
        with self._core.grpc_call("", "MultiInference"):
            return self._core.multi_inference(request, _caller(context))

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """Return the signatures of a version."""
        return self._core.metadata(request)


def _caller(context: Any) -> Caller:
    def when_gone(callback: Callable[[], object]) -> None:
        if not context.add_callback(callback):
            callback()

    seconds = context.time_remaining()
    if seconds is None or seconds > _FOREVER_SECONDS:
        return Caller(when_gone=when_gone)
    return Caller(time.monotonic() + seconds, when_gone)


class ModelService:
    """`tensorflow.serving.ModelService`, with gRPC's method names.

    Args:
        core: Gives the models.
        allows_reload: Whether clients may replace the list of models.
    """

    def __init__(self, core: Core, *, allows_reload: bool) -> None:
        self._core = core
        self._allows_reload = allows_reload

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """Return the states of a model's versions."""
        return self._core.model_status(request)

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        """Replace the list of models."""
        response = model_management_pb2.ReloadConfigResponse()
        try:
            if not self._allows_reload:
                raise permission_denied(
                    "HandleReloadConfigRequest is off. Start the server with "
                    "--enable_reload_config, or let it listen on loopback only."
                )
            if request.config.WhichOneof("config") != MODEL_LIST:
                raise invalid(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest."
                    " Only ModelConfigList is currently supported"
                )
            self._core.manager.configure_from_thread(request.config, _caller(context))
        except StatusError as error:
            logger.error("ReloadConfig failed: %s", error)
            raise
        response.status.error_code = 0
        return response
