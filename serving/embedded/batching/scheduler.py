"""The queues of batches, and the threads that run them.

The algorithm of TensorFlow Serving's shared batch scheduler. A task joins the newest
batch of its queue. A batch is ready when it is full, or when its first task has waited
for the timeout. A free thread takes the oldest ready batch. With a timeout of 0, a
batch holds the tasks that arrived while all threads were busy.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from graft.serving.embedded.batching.options import BatchingOptions
from graft.serving.embedded.contract.status import unavailable
from graft.serving.embedded.contract.tensors import Array


@dataclass(slots=True)
class Task:
    """One request that waits for its batch."""

    feeds: Mapping[str, Array]
    size: int
    deadline: float | None
    answer: Future[list[Array]]


@dataclass(slots=True)
class _Batch:
    """Requests that will run together."""

    opened: float
    tasks: list[Task] = field(default_factory=list)
    size: int = 0
    is_closed: bool = False


class BatchRunner(Protocol):
    """Runs the batches of one version."""

    @property
    def options(self) -> BatchingOptions:
        """The version's batching parameters."""

    def run_batch(self, tasks: Sequence[Task], fetches: tuple[str, ...]) -> None:
        """Set the answer of each task."""


@dataclass(frozen=True, slots=True)
class QueueKey:
    """What all tasks of a queue have in common: only these can run together."""

    runner: BatchRunner
    feed_names: tuple[str, ...]
    fetches: tuple[str, ...]


class BatchScheduler:
    """Queues the batches of all models, and runs them on its own threads.

    Args:
        num_threads: Batches that run at the same time.
    """

    def __init__(self, num_threads: int) -> None:
        self._queues: dict[QueueKey, deque[_Batch]] = {}
        self._is_closed = False
        # Notified when a batch is opened or full.
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"batch_{number}", daemon=True)
            for number in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, key: QueueKey, task: Task) -> None:
        """Put a task into the newest batch of its queue, or into a new one.

        Raises:
            StatusError: UNAVAILABLE, if too many batches wait, or after `close`.
        """
        options = key.runner.options
        with self._changed:
            if self._is_closed:
                raise unavailable("The server is stopping")
            batches = self._queues.setdefault(key, deque())
            last = batches[-1] if batches else None
            if (
                last is None
                or last.is_closed
                or last.size + task.size > options.batch_rows
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
            if last.size >= options.batch_rows:
                last.is_closed = True
                self._changed.notify()

    def close(self) -> None:
        """Refuse waiting tasks, and return when the running batches are done."""
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
            del taken, key, batch  # They would keep an unloaded model in memory.

    def _take(self) -> tuple[QueueKey, _Batch] | None:
        with self._changed:
            while not self._is_closed:
                wait_seconds = None
                if self._queues:
                    # Of equal queues, `min` takes the one that was opened first.
                    key = min(self._queues, key=self._ready_at)
                    wait_seconds = self._ready_at(key) - time.monotonic()
                    if wait_seconds <= 0:
                        batches = self._queues[key]
                        batch = batches.popleft()
                        if not batches:  # Keys come from requests: don't collect them.
                            del self._queues[key]
                        return key, batch
                self._changed.wait(wait_seconds)
        return None

    def _ready_at(self, key: QueueKey) -> float:
        batch = self._queues[key][0]
        if batch.is_closed:
            return batch.opened
        return batch.opened + key.runner.options.batch_timeout_seconds
