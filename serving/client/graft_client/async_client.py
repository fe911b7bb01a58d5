"""The client for asyncio: requests, deadlines and retries as in `client`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
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


class AsyncPredictionClient(BaseClient):
    """A client for asyncio; the arguments are those of `BaseClient`."""

    @staticmethod
    def _open(target: str, credentials: Any, options: ChannelOptions) -> Any:
        if credentials is None:
            return grpc.aio.insecure_channel(target, options=options)
        return grpc.aio.secure_channel(target, credentials, options=options)

    async def predict(self, images: Iterable[bytes]) -> list[Prediction]:
        """Classify encoded images.

        Raises:
            PredictionError: At the first image that the model refuses.
            CallError: If the call fails as a whole: no server, no model, no time.
        """
        return [raise_refusal(each) async for each in self.predict_each(images)]

    async def predict_each(self, images: Iterable[bytes]) -> AsyncIterator[Outcome]:
        """Classify encoded images; a refused one yields its error in its place.

        Raises:
            CallError: If the call fails as a whole: no server, no model, no time.
        """
        pending: deque[asyncio.Task[list[Outcome]]] = deque()
        try:
            for chunk in self._chunks(images):
                pending.append(asyncio.ensure_future(self._predict_chunk(chunk)))
                if len(pending) >= self._concurrency:
                    for outcome in await pending.popleft():
                        yield outcome
            while pending:
                for outcome in await pending.popleft():
                    yield outcome
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def model_status(self) -> Mapping[int, int]:
        """Return the state number of each version that the server lists.

        Raises:
            CallError: If the server can't be reached, or has no such model.
        """
        response = await self._call(self._status_call, self._status_request())
        return {s.version: s.state for s in response.model_version_status}

    async def _predict_chunk(self, chunk: wire.Chunk) -> list[Outcome]:
        exchange = self._exchange(chunk)
        reply: Any = None
        while True:
            try:
                request = exchange.send(reply)
            except StopIteration as end:
                return cast("list[Outcome]", end.value)
            try:
                reply = await self._call(self._predict_call, request)
            except CallError as error:
                reply = error

    async def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return await method(request, timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            raise to_call_error(error) from error

    async def close(self) -> None:
        """Close the connection; this fails requests in flight."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncPredictionClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
