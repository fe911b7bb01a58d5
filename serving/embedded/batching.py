"""Dynamic batching: requests that wait for a thread run together.

The scheduling of TensorFlow Serving's shared batch scheduler, on one event loop: tasks
gather in the newest batch of their queue; a batch is ready when it is full or its first
task has waited long enough; a free thread takes the oldest ready batch. With a waiting
time of 0 a batch is simply what came in while all threads were busy.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from serving.embedded.saved_model import SavedModel
from serving.embedded.status import (
    StatusError,
    exhausted,
    failed_precondition,
    internal,
    invalid,
    unavailable,
)
from serving.embedded.tensors import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingOptions:
    """TensorFlow Serving's batching parameters, with its defaults."""

    max_batch_size: int = 1000
    """Most rows in a batch."""
    batch_timeout_seconds: float = 0.0
    """Longest wait of a batch for more rows while a thread is free."""
    max_enqueued_batches: int = 10
    """Most batches that wait; what comes then is refused."""
    num_batch_threads: int = 1
    """Batches that run at the same time."""
    allowed_batch_sizes: tuple[int, ...] = ()
    """Sizes that a batch is padded to, ascending; any size if empty."""
    pad_variable_length_inputs: bool = False
    """Whether rows of different shapes are padded to a common one."""

    def __post_init__(self) -> None:
        """Refuse what the binary refuses.

        Raises:
            ValueError: If a number is out of its range.
        """
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be positive. Received: {getattr(self, name)}"
                )
        if self.batch_timeout_seconds < 0:
            raise ValueError(
                "`batch_timeout_micros` must not be negative. Received: "
                f"{self.batch_timeout_seconds * 1e6:.0f}"
            )
        sizes = self.allowed_batch_sizes
        if sizes and sizes[-1] != self.max_batch_size:
            raise ValueError(
                f"Last entry in allowed_batch_sizes must match max_batch_size; last "
                f"entry was {sizes[-1]}; expected {self.max_batch_size}"
            )
        if list(sizes) != sorted(set(sizes)) or (sizes and sizes[0] < 1):
            raise ValueError(
                "allowed_batch_sizes entries must be positive and monotonically "
                f"increasing. Received: {list(sizes)}"
            )

    def padded_size(self, size: int) -> int:
        """Return the allowed size that `size` rows are padded to."""
        return next((each for each in self.allowed_batch_sizes if each >= size), size)


@dataclass(slots=True)
class _Task:
    feeds: Mapping[str, Array]
    size: int
    deadline: float | None
    done: asyncio.Future[list[Array]]


@dataclass(slots=True)
class _Batch:
    opened: float
    tasks: list[_Task] = field(default_factory=list)
    size: int = 0
    is_closed: bool = False


@dataclass(slots=True)
class _Queue:
    """Batches of one combination of feeds and fetches."""

    key: tuple[tuple[str, ...], tuple[str, ...]]
    batches: deque[_Batch] = field(default_factory=deque)


class BatchingRunner:
    """Gathers the requests of one version into batches.

    Args:
        model: The loaded model.
        options: How to gather.
        pool: Threads for the runs, `options.num_batch_threads` or more.
    """

    def __init__(
        self, model: SavedModel, options: BatchingOptions, pool: ThreadPoolExecutor
    ) -> None:
        self._model = model
        self._options = options
        self._pool = pool
        self._queues: dict[tuple[tuple[str, ...], tuple[str, ...]], _Queue] = {}
        self._num_running = 0
        self._timer: asyncio.TimerHandle | None = None
        self._runs: set[asyncio.Task[None]] = set()

    async def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], deadline: float | None
    ) -> list[Array]:
        """Run the graph together with whatever waits at that moment.

        Raises:
            StatusError: UNAVAILABLE if the queue is full, RESOURCE_EXHAUSTED if the
                deadline passes there, INVALID_ARGUMENT if the request can't be batched,
                else as the model fails.
        """
        loop = asyncio.get_running_loop()
        size = _num_rows(feeds)
        options = self._options
        if size > options.max_batch_size:
            raise invalid(
                f"Task size {size} is larger than maximum input batch size "
                f"{options.max_batch_size}"
            )
        key = (tuple(sorted(feeds)), tuple(fetches))
        queue = self._queues.setdefault(key, _Queue(key))
        task = _Task(feeds, size, deadline, loop.create_future())
        last = queue.batches[-1] if queue.batches else None
        if last is None or last.is_closed or last.size + size > options.max_batch_size:
            if len(queue.batches) >= options.max_enqueued_batches:
                raise unavailable(
                    "The batch scheduling queue to which this task was submitted is "
                    f"full; currently {len(queue.batches)} batches enqueued and "
                    f"max_enqueued_batches is {options.max_enqueued_batches}"
                )
            if last is not None:
                last.is_closed = True
            last = _Batch(loop.time())
            queue.batches.append(last)
        last.tasks.append(task)
        last.size += size
        last.is_closed = last.size >= options.max_batch_size
        self._dispatch(loop)
        return await task.done

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give ready batches to free threads, oldest first."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._num_running < self._options.num_batch_threads:
            waiting = [queue for queue in self._queues.values() if queue.batches]
            if not waiting:
                return
            ready_at, _, queue = min(
                (self._ready_at(queue.batches[0]), number, queue)
                for number, queue in enumerate(waiting)
            )
            if ready_at > loop.time():
                self._timer = loop.call_at(ready_at, self._dispatch, loop)
                return
            batch = queue.batches.popleft()
            if not queue.batches:  # Or any order of fetches would stay for ever.
                del self._queues[queue.key]
            self._num_running += 1
            run = loop.create_task(self._run_batch(batch, queue.key[1]))
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)

    def _ready_at(self, batch: _Batch) -> float:
        if batch.is_closed:
            return batch.opened
        return batch.opened + self._options.batch_timeout_seconds

    async def _run_batch(self, batch: _Batch, fetches: tuple[str, ...]) -> None:
        loop = asyncio.get_running_loop()
        tasks = _drop_late(batch.tasks, loop.time())
        try:
            if tasks:
                timeout_seconds = _longest_wait(tasks, loop.time())
                answers = await loop.run_in_executor(
                    self._pool, self._compute, tasks, fetches, timeout_seconds
                )
                for task, answer in zip(tasks, answers, strict=True):
                    if not task.done.done():
                        task.done.set_result(answer)
        except StatusError as error:
            for task in tasks:
                if not task.done.done():
                    task.done.set_exception(StatusError(error.code, error.message))
        except Exception:
            for task in tasks:
                if not task.done.done():
                    task.done.set_exception(internal("the batch failed"))
            raise
        finally:
            self._num_running -= 1
            self._dispatch(loop)

    def _compute(
        self, tasks: list[_Task], fetches: tuple[str, ...], timeout: float | None
    ) -> list[list[Array]]:
        """Merge, run, split; on a thread of the pool."""
        size = sum(task.size for task in tasks)
        padded = self._options.padded_size(size)
        feeds = {
            name: self._merge([task.feeds[name] for task in tasks], padded - size)
            for name in tasks[0].feeds
        }
        outputs = self._model.run(feeds, fetches, timeout)
        for name, output in zip(fetches, outputs, strict=True):
            if not output.ndim or output.shape[0] != padded:
                raise failed_precondition(
                    f"Batched output tensor {name} has no row per input row: expected "
                    f"{padded}, got shape {list(output.shape)}"
                )
        answers = []
        start = 0
        for task in tasks:
            answers.append([output[start : start + task.size] for output in outputs])
            start += task.size
        return answers

    def _merge(self, arrays: list[Array], num_padding: int) -> Array:
        first = arrays[0]
        if any(array.dtype != first.dtype for array in arrays):
            raise failed_precondition(
                "Tensors with name must have matching types to be batched together"
            )
        if any(array.shape[1:] != first.shape[1:] for array in arrays):
            if not self._options.pad_variable_length_inputs:
                raise failed_precondition(
                    "Tensors with name must have shapes that are equal but for the "
                    "first dimension if pad_variable_length_inputs is off. Received: "
                    + ", ".join(str(list(array.shape)) for array in arrays[:8])
                )
            arrays = _pad_inner(arrays)
        if num_padding:
            arrays = [*arrays, np.repeat(arrays[0][:1], num_padding, axis=0)]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _num_rows(feeds: Mapping[str, Array]) -> int:
    sizes = set()
    for array in feeds.values():
        if not array.ndim:
            raise invalid("Batching input tensors must have at least one dimension")
        sizes.add(array.shape[0])
    if len(sizes) != 1:
        raise invalid(
            "Batching input tensors supplied in a given call must have equal "
            f"0th-dimension size. Received: {sorted(sizes)}"
        )
    return int(sizes.pop())


def _drop_late(tasks: list[_Task], now: float) -> list[_Task]:
    """Answer the tasks whose time is over, and return those that are still awaited."""
    awaited = []
    for task in tasks:
        if task.done.done():
            continue  # The client has gone.
        if task.deadline is not None and task.deadline <= now:
            task.done.set_exception(
                exhausted("Run() timeout exceeded while waiting in batching queue")
            )
        else:
            awaited.append(task)
    return awaited


def _longest_wait(tasks: list[_Task], now: float) -> float | None:
    deadlines = [task.deadline for task in tasks]
    latest = max((each for each in deadlines if each is not None), default=None)
    if latest is None or None in deadlines:
        return None
    return latest - now


def _pad_inner(arrays: list[Array]) -> list[Array]:
    """Pad all but the first dimension to the largest, with an array's first value."""
    ranks = {array.ndim for array in arrays}
    if len(ranks) != 1:
        raise failed_precondition("Tensors of different rank can't be padded")
    inner = np.max([array.shape[1:] for array in arrays], axis=0)
    padded = []
    for array in arrays:
        shape = (array.shape[0], *(int(length) for length in inner))
        fill = array.flat[0] if array.size else np.zeros((), array.dtype)[()]
        larger = np.full(shape, fill, array.dtype)
        larger[tuple(slice(0, length) for length in array.shape)] = array
        padded.append(larger)
    return padded
