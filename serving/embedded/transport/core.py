"""What gRPC and REST share: choose the version, limit, time and count requests."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from graft.serving.embedded.contract import inference
from graft.serving.embedded.contract.servable import Caller, Servable
from graft.serving.embedded.contract.status import (
    StatusError,
    exhausted,
    internal,
    invalid,
)
from graft.serving.embedded.loading.manager import Manager
from graft.serving.embedded.transport.metrics import Metrics
from graft.serving.embedded.transport.request_memory import RequestMemory

logger = logging.getLogger(__name__)

Handler = Callable[[Servable, Any, Caller], Any]


class Core:
    """Answers requests of both transports, on the thread that calls.

    Args:
        manager: Gives the version for a request.
        metrics: Counts and times requests.
        max_calls: Most gRPC calls at the same time; more are refused. REST requests
            wait instead: their limit is the size of their thread pool.
        memory: Counts the memory of the requests of both transports.
        as_content: Whether replies to gRPC have their values in `tensor_content`.
    """

    def __init__(
        self,
        manager: Manager,
        metrics: Metrics,
        max_calls: int,
        memory: RequestMemory,
        *,
        as_content: bool = False,
    ) -> None:
        self.manager = manager
        self.metrics = metrics
        self.memory = memory
        self._max_calls = max_calls
        self._as_content = as_content
        self._grpc_calls = threading.Semaphore(max_calls)

    def predict(self, request: Any, entrypoint: str, caller: Caller) -> Any:
        """Answer a PredictRequest."""
        spec = _spec(request)
        as_content = self._as_content and entrypoint == "GRPC"
        handler = functools.partial(inference.predict, as_content=as_content)
        with self._account(spec.name, "Predict", entrypoint):
            return self._infer(handler, spec, request, caller)

    def classify(self, request: Any, entrypoint: str, caller: Caller) -> Any:
        """Answer a ClassificationRequest."""
        spec = _spec(request)
        with self._account(spec.name, "Classify", entrypoint):
            return self._infer(inference.classify, spec, request, caller)

    def regress(self, request: Any, entrypoint: str, caller: Caller) -> Any:
        """Answer a RegressionRequest."""
        spec = _spec(request)
        with self._account(spec.name, "Regress", entrypoint):
            return self._infer(inference.regress, spec, request, caller)

    def multi_inference(self, request: Any, entrypoint: str, caller: Caller) -> Any:
        """Answer a MultiInferenceRequest."""
        inference.check_multi_inference(request)
        spec = request.tasks[0].model_spec
        with self._account(spec.name, "MultiInference", entrypoint):
            return self._infer(inference.multi_inference, spec, request, caller)

    def metadata(self, request: Any) -> Any:
        """Answer a GetModelMetadataRequest."""
        spec = _spec(request)
        inference.check_metadata(request)
        with self.manager.hold(spec) as servable:
            return inference.metadata(servable, request)

    def _infer(self, handler: Handler, spec: Any, request: Any, caller: Caller) -> Any:
        with self.manager.hold(spec) as servable:
            return handler(servable, request, caller)

    @contextmanager
    def _account(self, model_name: str, api: str, entrypoint: str) -> Iterator[None]:
        is_grpc = entrypoint == "GRPC"
        if is_grpc and not self._grpc_calls.acquire(blocking=False):
            self._count(model_name, api, entrypoint, "RESOURCE_EXHAUSTED", 0.0)
            raise exhausted(
                f"Too many calls at once; --grpc_max_threads is {self._max_calls}"
            )
        started = time.perf_counter()
        status = "OK"
        try:
            yield
        except StatusError as error:
            status = error.code.name
            raise
        except CancelledError:
            status = "CANCELLED"
            raise
        except Exception as error:
            status = "INTERNAL"
            logger.exception("%s of model %s failed", api, model_name)
            raise internal("internal error; the server's log has more") from error
        finally:
            if is_grpc:
                self._grpc_calls.release()
            self._count(
                model_name, api, entrypoint, status, time.perf_counter() - started
            )

    def _count(
        self, model_name: str, api: str, entrypoint: str, status: str, seconds: float
    ) -> None:
        # Only configured names: clients could fill the memory with others.
        if self.manager.is_configured(model_name):
            self.metrics.record(model_name, api, entrypoint, status, seconds)


def _spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec
