"""Run the pipeline on this machine: BeamDagRunner, metadata in SQLite."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import apache_beam as beam
from apache_beam.utils.shared import Shared
from ml_metadata.metadata_store import ListOptions, MetadataStore, OrderByField
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.beam import beam_dag_runner

from graft.components.canary.early_start import EarlyServer, offered
from graft.components.progress import Progress, watched
from graft.components.publishing.run_view import view_store
from graft.contract.errors import StoreChangedError, UserError
from graft.pipeline.beam_settings import keep_beam_local
from graft.pipeline.config import PipelineConfig
from graft.pipeline.local.early_canary import EarlyCanary
from graft.pipeline.local.metadata_store import LocalMetadata
from graft.pipeline.local.retention import artifacts_in_use
from graft.pipeline.local.run_marks import mark_run
from graft.pipeline.pipeline import create_pipeline

logger = logging.getLogger(__name__)

State = Literal["started", "finished", "cached", "failed"]

_LONG_SECONDS = 1
"""A node that took longer may have made much garbage."""

_YOUNG_COLLECTIONS = 1000
"""Number of collections of younger objects before one of all objects."""


@dataclass(frozen=True)
class NodeEvent:
    """A node began, ended or failed.

    Attributes:
        node: The node's id.
        state: What happened. `cached`: it ended with the result of an earlier run.
        progress: The node's counters.
        seconds: How long the node took; 0 at the beginning.
    """

    node: str
    state: State
    progress: Progress
    seconds: float = 0.0


@dataclass
class _RunMonitor:
    """Collects the events of the nodes of one run."""

    on_event: Callable[[NodeEvent], None] = lambda event: None
    name_run: Callable[[str], None] = lambda run_id: None
    canary: EarlyCanary | None = None
    run_id: str = ""
    failure: BaseException | None = None
    timings: dict[str, float] = field(default_factory=dict)


@beam.typehints.with_input_types(Any)
@beam.typehints.with_output_types(Any)
class _MonitoredNode(beam_dag_runner.PipelineNodeAsDoFn):
    """Runs a node and reports it to the monitor.

    Args:
        shared_monitor: Finds the run's `_RunMonitor`. Beam pickles a node, and a
            display can't be pickled.
        arguments: Those of TFX's node.
    """

    def __init__(self, shared_monitor: Shared, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._shared_monitor = shared_monitor

    def _run_node(self) -> None:
        monitor: _RunMonitor = self._shared_monitor.acquire(_RunMonitor)
        monitor.run_id = _run_id_of(self._pipeline_node)
        monitor.name_run(monitor.run_id)
        if monitor.canary is not None:
            monitor.canary.before(self._node_id, monitor.run_id)
        server = monitor.canary.server if monitor.canary is not None else None
        with watched() as progress, offered(server):

            def tell(state: State) -> float:
                seconds = time.monotonic() - start
                monitor.on_event(NodeEvent(self._node_id, state, progress, seconds))
                return seconds

            start = time.monotonic()
            tell("started")
            try:
                super()._run_node()
            except BaseException as error:
                monitor.failure = error
                tell("failed")
                raise
            if time.monotonic() - start > _LONG_SECONDS:
                _give_memory_back()
            monitor.timings[self._node_id] = tell(self._end_state())

    def _end_state(self) -> State:
        """Return whether the result of the node's last execution is a cached one."""
        store = MetadataStore(self._mlmd_connection_config)
        name = f"{self._pipeline_info.id}.{self._node_id}"
        context = store.get_context_by_type_and_name("node", name)
        if context is None:
            return "finished"
        newest = ListOptions(limit=1, order_by=OrderByField.ID, is_asc=False)
        executions = store.get_executions_by_context(context.id, newest)
        is_cached = any(
            each.last_known_state == mlmd.Execution.CACHED for each in executions
        )
        return "cached" if is_cached else "finished"


def _run_id_of(node: Any) -> str:
    """Return the ID of the run to which a `PipelineNode` belongs."""
    return next(
        str(context.name.field_value.string_value)
        for context in node.contexts.contexts
        if context.type.name == constants.PIPELINE_RUN_CONTEXT_TYPE_NAME
    )


@contextlib.contextmanager
def _all_objects_rarely_collected() -> Iterator[None]:
    """Let Python look for garbage among all objects only after the nodes.

    `_give_memory_back` does that. Otherwise each graph that TensorFlow builds causes
    several such collections, which visit all modules and find little. Young objects
    are collected as often as before.
    """
    before = gc.get_threshold()
    gc.set_threshold(*before[:2], _YOUNG_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _give_memory_back() -> None:
    """Return the free memory of the process to the system.

    All nodes share a process. TensorFlow's graphs are reference cycles, and glibc keeps
    free pages, so the peak of a node would add to that of the others.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def run_locally(
    config: PipelineConfig,
    data_fingerprint: str,
    on_event: Callable[[NodeEvent], None],
    on_retry: Callable[[str], None],
) -> tuple[str, dict[str, float]]:
    """Run every node whose result is not in TFX's cache.

    If another version was put into production after the gate judged the model, the gate
    runs again, at most `push.retry_gate` times. The results of earlier nodes come from
    the cache.

    Args:
        config: The run's config.
        data_fingerprint: See `create_pipeline`.
        on_event: Called when a node begins, ends or fails, from the thread that runs
        it.
        on_retry: Called with the reason before the gate runs again.

    Returns:
        ID of the run, and seconds per node.

    Raises:
        StoreChangedError: Another version is in production than the model was judged
            against. Nothing was pushed.
        UserError: A node found a mistake of the user, or the output folder can't be
            used.
        Exception: What else a node raised.
    """
    if os.path.exists(config.metadata_path):
        LocalMetadata(config.metadata_path)  # Else TFX meets a damaged one.
    for retries_left in range(config.push.retry_gate, -1, -1):
        try:
            return _run_once(config, data_fingerprint, on_event)
        except StoreChangedError as error:
            if not retries_left:
                raise
            logger.warning("%s", error)
            on_retry(f"{error} The gate is asked again now.")
    raise AssertionError("the last attempt returns or raises")


def _run_once(
    config: PipelineConfig,
    data_fingerprint: str,
    on_event: Callable[[NodeEvent], None],
) -> tuple[str, dict[str, float]]:
    """Run the pipeline once; see `run_locally`."""
    pipeline = create_pipeline(
        config,
        data_fingerprint=data_fingerprint,
        look_at_store=functools.partial(view_store, config.resolved_push.model_folder),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            config.metadata_path
        ),
        beam_args=config.all_beam_args,
    )
    # Alive for the whole run: the nodes find this very object.
    shared_monitor = Shared()
    monitor: _RunMonitor = shared_monitor.acquire(lambda: _RunMonitor(on_event))
    runner = beam_dag_runner.BeamDagRunner()
    runner._PIPELINE_NODE_DO_FN_CLS = functools.partial(_MonitoredNode, shared_monitor)
    keep_beam_local()
    try:
        with (
            _all_objects_rarely_collected(),
            EarlyServer(config.canary.start_timeout_seconds) as server,
            artifacts_in_use(config.pipeline_folder),
            mark_run(config.pipeline_folder) as monitor.name_run,
        ):
            if config.canary.enabled:
                monitor.canary = EarlyCanary(server, config.metadata_path)
            runner.run(pipeline)
    except BaseException as error:
        # Beam wraps what a node raised in errors of its own.
        cause = user_error_behind(monitor.failure) or user_error_behind(error)
        if isinstance(cause, StoreChangedError):
            metadata_store = LocalMetadata(config.metadata_path)
            metadata_store.note_failure(monitor.run_id, "production changed")
        if cause is not None:
            raise cause from None
        if monitor.failure is not None:
            raise monitor.failure from None
        raise
    return monitor.run_id, monitor.timings


def user_error_behind(error: BaseException | None) -> UserError | None:
    """Return the user's mistake that caused `error`, if one did."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, UserError):
            return _without_beam_trailer(error)
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _without_beam_trailer(error: UserError) -> UserError:
    """Drop the "[while running ...]" that Beam puts behind a message."""
    text = str(error.args[0]) if error.args else str(error)
    return type(error)(text.partition(" [while running '")[0])
