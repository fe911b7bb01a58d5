"""Merge the requests of a batch, run the graph once, and split its outputs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np

from graft.serving.embedded.batching.options import BatchingOptions
from graft.serving.embedded.batching.scheduler import BatchScheduler, QueueKey, Task
from graft.serving.embedded.contract.servable import Caller
from graft.serving.embedded.contract.status import (
    StatusError,
    exhausted,
    failed_precondition,
    internal,
    invalid,
)
from graft.serving.embedded.contract.tensors import Array
from graft.serving.embedded.loading.saved_model import SavedModel

logger = logging.getLogger(__name__)


class BatchingRunner:
    """Runs the requests of one version in batches.

    Args:
        model: The loaded model.
        scheduler: Runs the batches.
        options: The batching parameters of this version.
        on_this_thread: Whether the batch thread also runs the ops, and not the threads
            that all models share. Use it if each op has one core: the batch then stays
            on one core.
    """

    def __init__(
        self,
        model: SavedModel,
        scheduler: BatchScheduler,
        options: BatchingOptions,
        *,
        on_this_thread: bool = False,
    ) -> None:
        self._model = model
        self._on_this_thread = on_this_thread
        self._scheduler = scheduler
        self.options = options

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], caller: Caller
    ) -> list[Array]:
        """Run the graph in a batch with other waiting requests.

        Raises:
            StatusError: UNAVAILABLE if the queue is full, RESOURCE_EXHAUSTED if the
                deadline passes there, INVALID_ARGUMENT if the request can't be batched,
                else as the model fails.
            CancelledError: If the caller has gone while the request waits.
        """
        size = _num_rows(feeds)
        if size > self.options.max_batch_size:
            raise invalid(
                f"Task size {size} is larger than maximum input batch size "
                f"{self.options.max_batch_size}"
            )
        rows = self.options.batch_rows
        if size <= rows:
            return self._submit(feeds, size, fetches, caller).result()
        answers = [
            self._submit(
                {name: array[start : start + rows] for name, array in feeds.items()},
                min(rows, size - start),
                fetches,
                caller,
            )
            for start in range(0, size, rows)
        ]
        parts = [answer.result() for answer in answers]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def _submit(
        self,
        feeds: Mapping[str, Array],
        size: int,
        fetches: Sequence[str],
        caller: Caller,
    ) -> Future[list[Array]]:
        """Queue rows that fit into one batch, and return their answer to come."""
        task = Task(feeds, size, caller.deadline, Future())
        key = QueueKey(self, tuple(sorted(feeds)), tuple(fetches))
        self._scheduler.add(key, task)
        caller.when_gone(task.answer.cancel)
        return task.answer

    def run_batch(self, tasks: Sequence[Task], fetches: tuple[str, ...]) -> None:
        """Answer each task of a batch, with an error if the batch fails."""
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
        self, tasks: list[Task], fetches: tuple[str, ...], timeout: float | None
    ) -> list[list[Array]]:
        """Merge the inputs, run the graph and split the outputs."""
        size = sum(task.size for task in tasks)
        padded = self.options.padded_size(size)
        feeds = {
            name: self._merge(name, [task.feeds[name] for task in tasks], padded - size)
            for name in tasks[0].feeds
        }
        outputs = self._model.run(
            feeds, fetches, timeout, on_this_thread=self._on_this_thread
        )
        for output in outputs:
            if not output.ndim:
                raise failed_precondition("Batched output tensor has 0 dimensions")
            if output.shape[0] != padded:
                raise failed_precondition(
                    "Batched output tensor's 0th dimension does not equal the sum of "
                    "the 0th dimension sizes of the input tensors"
                )
        answers = []
        start = 0
        for task in tasks:
            answers.append([output[start : start + task.size] for output in outputs])
            start += task.size
        return answers

    def _merge(self, name: str, arrays: list[Array], num_padding: int) -> Array:
        first = arrays[0]
        if any(array.dtype != first.dtype for array in arrays):
            raise failed_precondition(
                f"Tensors with name '{name}' must have matching types to be batched "
                "together"
            )
        if any(array.shape[1:] != first.shape[1:] for array in arrays):
            if not self.options.pad_variable_length_inputs:
                raise failed_precondition(
                    f"Tensors with name '{name}' from different tasks have different "
                    "shapes and padding is turned off. Set pad_variable_length_inputs "
                    "to true, or ensure that all tensors with the same name have equal "
                    "dimensions starting with the first dim."
                )
            arrays = _pad_inner(arrays)
        if num_padding:
            arrays = [*arrays, np.repeat(arrays[0][:1], num_padding, axis=0)]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _num_rows(feeds: Mapping[str, Array]) -> int:
    sizes = set()
    for array in feeds.values():
        if not array.ndim:
            raise invalid(
                "Batching Run() input tensors must have at least one dimension"
            )
        sizes.add(array.shape[0])
    if len(sizes) != 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return int(sizes.pop())


def _drop_late(tasks: Sequence[Task], now: float) -> list[Task]:
    """Fail the tasks past their deadline, and return those that are still awaited."""
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


def _longest_wait(tasks: Sequence[Task], now: float) -> float | None:
    deadlines = [task.deadline for task in tasks]
    latest = max((each for each in deadlines if each is not None), default=None)
    if latest is None or None in deadlines:
        return None
    return latest - now


def _pad_inner(arrays: list[Array]) -> list[Array]:
    """Pad all dimensions but the first to the largest, with an array's first value."""
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
