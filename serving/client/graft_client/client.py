"""The blocking client.

It gathers images into requests, keeps a bounded number of them in flight, and gives
each a deadline. gRPC retries with backoff while the server is UNAVAILABLE, and only
then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, cast

import grpc

from graft_client import wire
from graft_client.base_client import (
    BaseClient,
    ChannelOptions,
    Outcome,
    raise_refusal,
    to_call_error,
)
from graft_client.errors import CallError
from graft_client.prediction import Prediction


class PredictionClient(BaseClient):
    """A client whose calls block; the arguments are those of `BaseClient`."""

    @staticmethod
    def _open(target: str, credentials: Any, options: ChannelOptions) -> Any:
        if credentials is None:
            return grpc.insecure_channel(target, options=options)
        return grpc.secure_channel(target, credentials, options=options)

    def __init__(self, target: str, **settings: Any) -> None:
        super().__init__(target, **settings)
        self._pool = ThreadPoolExecutor(self._concurrency, "prediction-client")

    def predict(self, images: Iterable[bytes]) -> list[Prediction]:
        """Classify encoded images.

        Raises:
            PredictionError: At the first image that the model refuses.
            CallError: If the call fails as a whole: no server, no model, no time.
        """
        return [raise_refusal(outcome) for outcome in self.predict_each(images)]

    def predict_each(self, images: Iterable[bytes]) -> Iterator[Outcome]:
        """Classify encoded images; a refused one yields its error in its place.

        `images` may be a generator over more images than fit into memory: it is read
        only as far as requests are in flight.

        Raises:
            CallError: If the call fails as a whole: no server, no model, no time.
        """
        pending: deque[Future[list[Outcome]]] = deque()
        try:
            for chunk in self._chunks(images):
                pending.append(self._pool.submit(self._predict_chunk, chunk))
                if len(pending) > self._concurrency:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    def model_status(self) -> Mapping[int, int]:
        """Return the state number of each version that the server lists.

        Raises:
            CallError: If the server can't be reached, or has no such model.
        """
        response = self._call(self._status_call, self._status_request())
        return {s.version: s.state for s in response.model_version_status}

    def _predict_chunk(self, chunk: wire.Chunk) -> list[Outcome]:
        exchange = self._exchange(chunk)
        reply: Any = None
        while True:
            try:
                request = exchange.send(reply)
            except StopIteration as end:
                return cast("list[Outcome]", end.value)
            try:
                reply = self._call(self._predict_call, request)
            except CallError as error:
                reply = error

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            raise to_call_error(error) from error

    def close(self) -> None:
        """Close the connection; this fails requests in flight."""
        self._channel.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> PredictionClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
