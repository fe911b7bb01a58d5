"""Dynamic batching: requests that wait for a thread run together.

The scheduling of TensorFlow Serving's shared batch scheduler: tasks gather in the
newest batch of their queue; a batch is ready when it is full or its first task has
waited long enough; a free thread takes the oldest ready batch. With a waiting time of 0
a batch is simply what came in while all threads were busy.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from graft.serving.embedded.contract.status import (
    StatusError,
    exhausted,
    failed_precondition,
    internal,
    invalid,
    unavailable,
)
from graft.serving.embedded.contract.tensors import Array
from graft.serving.embedded.loading.saved_model import SavedModel
from graft.serving.embedded.loading.servable import Caller

logger = logging.getLogger(__name__)


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
    answer: Future[list[Array]]


@dataclass(slots=True)
class _Batch:
    opened: float
    tasks: list[_Task] = field(default_factory=list)
    size: int = 0
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class _Key:
    """What the tasks of a queue have in common."""

    runner: BatchingRunner
    feed_names: tuple[str, ...]
    fetches: tuple[str, ...]


class BatchScheduler:
    """Holds the batches of all models, and runs them on threads of its own.

    Args:
        options: How to gather.
    """

    def __init__(self, options: BatchingOptions) -> None:
        self.options = options
        self._queues: dict[_Key, deque[_Batch]] = {}
        self._is_closed = False
        # Notified when a batch has been opened, or is full.
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"batch_{number}", daemon=True)
            for number in range(options.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, key: _Key, task: _Task) -> None:
        """Put a task into the newest batch of its queue, or into a new one.

        Raises:
            StatusError: UNAVAILABLE, if too many batches wait, or after `close`.
        """
        options = self.options
        with self._changed:
            if self._is_closed:
                raise unavailable("The server is stopping")
            batches = self._queues.setdefault(key, deque())
            last = batches[-1] if batches else None
            if (
                last is None
                or last.is_closed
                or last.size + task.size > options.max_batch_size
            ):
                if len(batches) >= options.max_enqueued_batches:
                    raise unavailable(
                        "The batch scheduling queue to which this task was submitted "
                        f"is full; currently {len(batches)} batches enqueued and "
                        f"max_enqueued_batches is {options.max_enqueued_batches}"
                    )
                if last is not None:
                    last.is_closed = True
                last = _Batch(time.monotonic())
                batches.append(last)
                self._changed.notify()
            last.tasks.append(task)
            last.size += task.size
            if last.size >= options.max_batch_size:
                last.is_closed = True
                self._changed.notify()

    def close(self) -> None:
        """Refuse what waits, and return when what runs is done."""
        with self._changed:
            self._is_closed = True
            waiting = [batch for queue in self._queues.values() for batch in queue]
            self._queues.clear()
            self._changed.notify_all()
        for task in [task for batch in waiting for task in batch.tasks]:
            if task.answer.set_running_or_notify_cancel():
                task.answer.set_exception(unavailable("The server is stopping"))
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        """Run ready batches, oldest first, on this thread."""
        while (taken := self._take()) is not None:
            key, batch = taken
            key.runner.run_batch(batch.tasks, key.fetches)
            del taken, key, batch  # Or an unloaded model would stay until the next.

    def _take(self) -> tuple[_Key, _Batch] | None:
        with self._changed:
            while not self._is_closed:
                wait_seconds = None
                if self._queues:
                    # The first of equals is the queue that was opened first.
                    key = min(self._queues, key=self._ready_at)
                    wait_seconds = self._ready_at(key) - time.monotonic()
                    if wait_seconds <= 0:
                        batches = self._queues[key]
                        batch = batches.popleft()
                        if not batches:  # Or any order of fetches would stay for ever.
                            del self._queues[key]
                        return key, batch
                self._changed.wait(wait_seconds)
        return None

    def _ready_at(self, key: _Key) -> float:
        batch = self._queues[key][0]
        if batch.is_closed:
            return batch.opened
        return batch.opened + self.options.batch_timeout_seconds


class BatchingRunner:
    """Gathers the requests of one version into batches.

    Args:
        model: The loaded model.
        scheduler: Runs the batches.
        on_this_thread: Whether the thread that took a batch also runs its ops, else the
            threads that all models share do. Right where an op has one core, and each
            batch thread one, too: a batch isn't handed from core to core then.
    """

    def __init__(
        self,
        model: SavedModel,
        scheduler: BatchScheduler,
        *,
        on_this_thread: bool = False,
    ) -> None:
        self._model = model
        self._on_this_thread = on_this_thread
        self._scheduler = scheduler
        self._options = scheduler.options

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], caller: Caller
    ) -> list[Array]:
        """Run the graph together with whatever waits at that moment.

        Raises:
            StatusError: UNAVAILABLE if the queue is full, RESOURCE_EXHAUSTED if the
                deadline passes there, INVALID_ARGUMENT if the request can't be batched,
                else as the model fails.
            CancelledError: If the caller goes while the request waits.
        """
        size = _num_rows(feeds)
        if size > self._options.max_batch_size:
            raise invalid(
                f"Task size {size} is larger than maximum input batch size "
                f"{self._options.max_batch_size}"
            )
        task = _Task(feeds, size, caller.deadline, Future())
        key = _Key(self, tuple(sorted(feeds)), tuple(fetches))
        self._scheduler.add(key, task)
        caller.when_gone(task.answer.cancel)
        return task.answer.result()

    def run_batch(self, tasks: Sequence[_Task], fetches: tuple[str, ...]) -> None:
        """Answer the tasks of a batch; whatever happens, each of them."""
        awaited = _drop_late(tasks, time.monotonic())
        if not awaited:
            return
        try:
            timeout_seconds = _longest_wait(awaited, time.monotonic())
            answers = self._compute(awaited, fetches, timeout_seconds)
            for task, answer in zip(awaited, answers, strict=True):
                task.answer.set_result(answer)
        except StatusError as error:
            for task in awaited:
                task.answer.set_exception(StatusError(error.code, error.message))
        except Exception:
            logger.exception("A batch failed")
            for task in awaited:
                task.answer.set_exception(internal("the batch failed"))

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
        outputs = self._model.run(
            feeds, fetches, timeout, on_this_thread=self._on_this_thread
        )
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


def _drop_late(tasks: Sequence[_Task], now: float) -> list[_Task]:
    """Answer the tasks whose time is over, and return those that are still awaited."""
    awaited = []
    for task in tasks:
        if not task.answer.set_running_or_notify_cancel():
            continue  # The client has gone.
        if task.deadline is not None and task.deadline <= now:
            task.answer.set_exception(
                exhausted("Run() timeout exceeded while waiting in batching queue")
            )
        else:
            awaited.append(task)
    return awaited


def _longest_wait(tasks: Sequence[_Task], now: float) -> float | None:
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
