"""What gRPC and REST have in common: choose the version, bound, time, count."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from serving.embedded import inference
from serving.embedded.manager import Manager
from serving.embedded.metrics import Metrics
from serving.embedded.servable import Servable
from serving.embedded.status import (
    StatusError,
    exhausted,
    internal,
    invalid,
)

logger = logging.getLogger(__name__)

Handler = Callable[[Servable, Any, float | None], Awaitable[Any]]


class Core:
    """Answers requests, whatever transport they came by.

    Args:
        manager: Knows the versions.
        metrics: Counts.
        max_calls: Most gRPC calls at the same time; more are refused. REST has a limit
            of its own, where requests wait.
    """

    def __init__(self, manager: Manager, metrics: Metrics, max_calls: int) -> None:
        self.manager = manager
        self.metrics = metrics
        self._max_calls = max_calls
        self._num_grpc_calls = 0

    async def predict(
        self, request: Any, entrypoint: str, seconds: float | None
    ) -> Any:
        """Answer a PredictRequest within so many seconds."""
        spec = _spec(request)
        with self._account(spec.name, "Predict", entrypoint):
            return await self._infer(inference.predict, spec, request, seconds)

    async def classify(
        self, request: Any, entrypoint: str, seconds: float | None
    ) -> Any:
        """Answer a ClassificationRequest within so many seconds."""
        spec = _spec(request)
        with self._account(spec.name, "Classify", entrypoint):
            return await self._infer(inference.classify, spec, request, seconds)

    async def regress(
        self, request: Any, entrypoint: str, seconds: float | None
    ) -> Any:
        """Answer a RegressionRequest within so many seconds."""
        spec = _spec(request)
        with self._account(spec.name, "Regress", entrypoint):
            return await self._infer(inference.regress, spec, request, seconds)

    async def multi_inference(
        self, request: Any, entrypoint: str, seconds: float | None
    ) -> Any:
        """Answer a MultiInferenceRequest within so many seconds."""
        inference.check_multi_inference(request)
        spec = request.tasks[0].model_spec
        with self._account(spec.name, "MultiInference", entrypoint):
            return await self._infer(inference.multi_inference, spec, request, seconds)

    def metadata(self, request: Any) -> Any:
        """Answer a GetModelMetadataRequest."""
        spec = _spec(request)
        inference.check_metadata(request)
        with self.manager.hold(spec) as servable:
            return inference.metadata(servable, request)

    async def _infer(
        self, handler: Handler, spec: Any, request: Any, seconds: float | None
    ) -> Any:
        deadline = None
        if seconds is not None:
            deadline = asyncio.get_running_loop().time() + seconds
        with self.manager.hold(spec) as servable:
            return await handler(servable, request, deadline)

    @contextmanager
    def _account(self, model_name: str, api: str, entrypoint: str) -> Iterator[None]:
        if entrypoint == "GRPC" and self._num_grpc_calls >= self._max_calls:
            self._count(model_name, api, entrypoint, "RESOURCE_EXHAUSTED", 0.0)
            raise exhausted(
                f"Too many calls at once; --grpc_max_threads is {self._max_calls}"
            )
        self._num_grpc_calls += entrypoint == "GRPC"
        started = time.perf_counter()
        status = "OK"
        try:
            yield
        except StatusError as error:
            status = error.code.name
            raise
        except asyncio.CancelledError:
            status = "CANCELLED"
            raise
        except Exception as error:
            status = "INTERNAL"
            logger.exception("%s of model %s failed", api, model_name)
            raise internal("internal error; the server's log has more") from error
        finally:
            self._num_grpc_calls -= entrypoint == "GRPC"
            self._count(
                model_name, api, entrypoint, status, time.perf_counter() - started
            )

    def _count(
        self, model_name: str, api: str, entrypoint: str, status: str, seconds: float
    ) -> None:
        # Only names that are configured: any other would fill the memory on request.
        if model_name in self.manager.model_names:
            self.metrics.record(model_name, api, entrypoint, status, seconds)


def _spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec
