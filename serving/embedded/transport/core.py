"""What gRPC and REST share: choose the version, limit, time and count requests."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from tensorflow_serving.apis import get_model_status_pb2, inference_pb2

from graft.serving.embedded.contract import inference
from graft.serving.embedded.contract.servable import Caller, Servable
from graft.serving.embedded.contract.status import (
    StatusError,
    exhausted,
    invalid,
)
from graft.serving.embedded.loading.manager import Manager
from graft.serving.embedded.transport.metrics import Metrics
from graft.serving.embedded.transport.request_memory import RequestMemory

Handler = Callable[[Servable, Any, Caller], Any]


class Core:
    """Answers requests of both transports, on the thread that calls.

    Args:
        manager: Gives the version for a request.
        metrics: Counts and times requests.
        max_calls: Most gRPC calls at the same time; more are refused. REST requests
            wait instead: their limit is the size of their thread pool.
        memory: Counts the memory of the requests of both transports.
    """

    def __init__(
        self,
        manager: Manager,
        metrics: Metrics,
        max_calls: int,
        memory: RequestMemory,
    ) -> None:
        self.manager = manager
        self.metrics = metrics
        self.memory = memory
        self._max_calls = max_calls
        self._grpc_calls = threading.Semaphore(max_calls)

    def predict(self, request: Any, caller: Caller, *, as_content: bool = False) -> Any:
        """Answer a PredictRequest.

        Args:
            request: The PredictRequest.
            caller: Who waits for the answer.
            as_content: Whether the values go into `tensor_content`.
        """
        handler = functools.partial(inference.predict, as_content=as_content)
        return self._infer(handler, _spec(request), request, caller)

    def classify(self, request: Any, caller: Caller) -> Any:
        """Answer a ClassificationRequest."""
        return self._infer(inference.classify, _spec(request), request, caller)

    def regress(self, request: Any, caller: Caller) -> Any:
        """Answer a RegressionRequest."""
        return self._infer(inference.regress, _spec(request), request, caller)

    def multi_inference(self, request: Any, caller: Caller) -> Any:
        """Answer a MultiInferenceRequest, with the version of its first task."""
        tasks = request.tasks or [inference_pb2.InferenceTask()]
        spec = tasks[0].model_spec
        return self._infer(inference.multi_inference, spec, request, caller)

    def metadata(self, request: Any) -> Any:
        """Answer a GetModelMetadataRequest."""
        spec = _spec(request)
        inference.check_metadata(request)
        with self.manager.hold(spec) as servable:
            return inference.metadata(servable, request)

    def model_status(self, request: Any) -> Any:
        """Answer a GetModelStatusRequest; a version label is ignored.

        Raises:
            StatusError: INVALID_ARGUMENT without a model, NOT_FOUND for an unknown one.
        """
        spec = _spec(request)
        number = spec.version.value if spec.HasField("version") else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self.manager.statuses(spec.name, number):
            entry = response.model_version_status.add(
                version=version.number, state=int(version.state)
            )
            entry.status.error_code = version.error.number if version.error else 0
            entry.status.error_message = version.error.message if version.error else ""
        return response

    def _infer(self, handler: Handler, spec: Any, request: Any, caller: Caller) -> Any:
        with self.manager.hold(spec) as servable:
            return handler(servable, request, caller)

    @contextmanager
    def grpc_call(self, model_name: str, api: str) -> Iterator[None]:
        """Limit, time and count a gRPC call.

        Raises:
            StatusError: RESOURCE_EXHAUSTED, if too many calls are being answered.
        """
        with self.count(model_name, api, "GRPC"):
            if not self._grpc_calls.acquire(blocking=False):
                raise exhausted(
                    f"Too many calls at once; --grpc_max_threads is {self._max_calls}"
                )
            try:
                yield
            finally:
                self._grpc_calls.release()

    @contextmanager
    def count(self, model_name: str, api: str, entrypoint: str) -> Iterator[None]:
        """Time and count a request.

        Args:
            model_name: The model that it names.
            api: `Predict` and so on, as `Metrics.record` has it.
            entrypoint: `GRPC` or `REST`.
        """
        started = time.perf_counter()
        status = "INTERNAL"
        try:
            yield
            status = "OK"
        except StatusError as error:
            status = error.code.name
            raise
        except CancelledError:
            status = "CANCELLED"
            raise
        finally:
            # Only configured names: clients could fill the memory with others.
            if self.manager.is_configured(model_name):
                seconds = time.perf_counter() - started
                self.metrics.record(model_name, api, entrypoint, status, seconds)


def _spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec
