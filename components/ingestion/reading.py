"""Read the images of a list in threads, a few images ahead."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import apache_beam as beam

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.progress import Progress
from graft.storage.paths import is_remote

# These threads wait for a network. They need no core.
_NUM_REMOTE_THREADS = 16
_MOST_LOCAL_THREADS = 8
_IN_FLIGHT_PER_THREAD = 2
_IN_FLIGHT_BYTES = 64 * 2**20
# Handing work to a thread is expensive for a single small image.
_CHUNK_IMAGES = 32
_CHUNK_BYTES = 2 * 2**20
# Smaller files are read without a pool, because threads would wait for Python's lock
# (docs/decisions/0060-measured-choices.md).
_BYTES_WORTH_A_THREAD = 8 << 10
_UNKNOWN_BYTES = 2**20

Result = TypeVar("Result")
Note = TypeVar("Note")
Noted = tuple[ImageRef, Note]
"""An image, and what the caller wants back with its result."""
Done = tuple[ImageRef, Note, Result | ValueError]
"""An image, its note, and its result; the error of a bad image is its result."""


class PooledFn(beam.DoFn):
    """A DoFn with a thread pool. Reading and decoding release Python's lock.

    Attributes:
        large: A lock for images that are decoded one at a time.
    """

    def __init__(self, config: DataConfig, progress: Progress) -> None:
        self._config = config
        self._progress = progress
        self._pool: ThreadPoolExecutor | None = None

    def setup(self) -> None:
        """Start the threads."""
        self.large = threading.Lock()
        self._is_remote = is_remote(self._config.path)
        num_threads = (
            _NUM_REMOTE_THREADS
            if self._is_remote
            else min(_MOST_LOCAL_THREADS, os.cpu_count() or 1)
        )
        self._num_in_flight = _IN_FLIGHT_PER_THREAD * num_threads
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="ingest")

    def teardown(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def in_order(
        self, function: Callable[[ImageRef], Result], images: Iterable[Noted[Note]]
    ) -> Iterator[Done[Note, Result]]:
        """Apply `function` in threads; yield results in order, a few images ahead."""
        if self._pool is None:
            raise RuntimeError("setup() comes before process()")
        waiting: deque[tuple[int, Future[list[Done[Note, Result]]]]] = deque()
        num_bytes = 0
        for chunk, chunk_bytes in _chunks(images):
            num_bytes += chunk_bytes
            while waiting and (
                len(waiting) >= self._num_in_flight or num_bytes > _IN_FLIGHT_BYTES
            ):
                done_bytes, future = waiting.popleft()
                num_bytes -= done_bytes
                yield from future.result()
            is_small = chunk_bytes < _BYTES_WORTH_A_THREAD * len(chunk)
            at_once = is_small and not self._is_remote
            submit = _at_once if at_once else self._pool.submit
            waiting.append((chunk_bytes, submit(_apply, function, chunk)))
        for _, future in waiting:
            yield from future.result()


def _at_once(function: Callable[..., Result], *arguments: Any) -> Future[Result]:
    """Call a function in this thread, and return a future like a pool's."""
    future: Future[Result] = Future()
    future.set_result(function(*arguments))
    return future


def _chunks(images: Iterable[Noted[Note]]) -> Iterator[tuple[list[Noted[Note]], int]]:
    """Split a list into chunks for threads; yield each with its number of bytes."""
    chunk: list[Noted[Note]] = []
    num_bytes = 0
    for image in images:
        chunk.append(image)
        size = image[0].size
        num_bytes += size if size is not None else _UNKNOWN_BYTES
        if len(chunk) >= _CHUNK_IMAGES or num_bytes >= _CHUNK_BYTES:
            yield chunk, num_bytes
            chunk, num_bytes = [], 0
    if chunk:
        yield chunk, num_bytes


def _apply(
    function: Callable[[ImageRef], Result], images: list[Noted[Note]]
) -> list[Done[Note, Result]]:
    """Apply a function to images; the error of a bad image is its result."""
    results: list[Done[Note, Result]] = []
    for ref, note in images:
        try:
            results.append((ref, note, function(ref)))
        except ValueError as error:
            results.append((ref, note, error))
    return results
