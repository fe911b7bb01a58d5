"""Load, serve, replace and unload the versions of the configured models.

The event loop makes all changes; a thread does the loading. Requests run on threads of
their own, and a lock guards what they read. The manager polls each model's folder, and
the version policy chooses the "aspired" versions, those that should be served:

- It loads an aspired version while the old one still serves.
- It unloads a version that is no longer aspired once an aspired one serves, or once no
  version is aspired. Requests in flight end first.
- It retries a version that fails to load. After the last attempt the version stays
  failed until its folder disappears and comes back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.serving.embedded.contract.servable import Caller, Servable
from graft.serving.embedded.contract.status import (
    StatusError,
    cancelled,
    internal,
    not_found,
    unavailable,
    unknown,
)
from graft.serving.embedded.loading.model_config import (
    ModelConfig,
    check_labels,
    find_versions,
    is_list,
    read_models,
)
from graft.serving.embedded.loading.servable import LoadedServable
from graft.serving.embedded.loading.versions import (
    Model,
    State,
    Version,
    find_available,
)

logger = logging.getLogger(__name__)

Load = Callable[[str, int, Path], Awaitable[LoadedServable]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerOptions:
    """Retries of loading, and the check of labels."""

    max_num_load_retries: int = 5
    load_retry_interval_seconds: float = 60.0
    allows_labels_for_unavailable: bool = False


class Manager:
    """Serves the versions that the configured models' folders hold.

    Args:
        load: Loads and warms up one version: name, number, folder.
        options: Retries and labels.
    """

    def __init__(self, load: Load, options: ManagerOptions | None = None) -> None:
        self._load = load
        self._options = options or ManagerOptions()
        self._models: dict[str, Model] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._loading = asyncio.Lock()
        self._configuring = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._has_list = False
        # Guards what requests read: models, versions, labels and states.
        self._lock = threading.RLock()

    # --- Choosing a version ----------------------------------------------------------

    @contextmanager
    def hold(self, spec: Any) -> Iterator[Servable]:
        """Yield the servable that a ModelSpec names, and keep it loaded meanwhile.

        May be called on any thread.

        Raises:
            StatusError: INVALID_ARGUMENT or NOT_FOUND, in TensorFlow Serving's words.
                UNAVAILABLE for a label before any model is configured.
        """
        label = spec.version_label
        if label and spec.name and not self._has_list:
            raise unavailable(f"Model labels does not init yet.{label}")
        with self._lock:
            version = find_available(self._models, spec)
            version.num_requests += 1
        try:
            if version.servable is None:
                raise internal("an available version has no servable")
            yield version.servable
        finally:
            with self._lock:
                version.num_requests -= 1
                is_awaited = (
                    not version.num_requests and version.state is State.UNLOADING
                )
            if is_awaited:
                self._loop.call_soon_threadsafe(self._notify)

    def statuses(self, name: str, number: int | None = None) -> list[Version]:
        """Return all versions of a model that were seen, newest first.

        May be called on any thread.

        Raises:
            StatusError: NOT_FOUND, if there is none.
        """
        with self._lock:
            model = self._models.get(name)
            versions = dict(model.versions) if model else {}
        if number is not None:
            if number not in versions:
                raise not_found(f"Could not find version {number} of model {name}")
            return [versions[number]]
        if not versions:
            raise not_found(f"Could not find any versions of model {name}")
        return [versions[each] for each in sorted(versions, reverse=True)]

    def is_configured(self, name: str) -> bool:
        """Return whether the model is configured; may be called on any thread."""
        model = self._models.get(name)
        return model is not None and not model.is_removed

    # --- Configuring -----------------------------------------------------------------

    async def configure(self, config: Any) -> None:
        """Replace the list of models, and return when each new one is AVAILABLE.

        Raises:
            StatusError: If the config is wrong, and then it has no effect; or if a new
                model fails to load.
        """
        async with self._configuring:
            if not is_list(config, follows_list=self._has_list):
                logger.info("Taking no action for empty config.")
                return
            present = {n for n, model in self._models.items() if not model.is_removed}
            configs = read_models(config, present)
            check_labels(
                configs,
                {name: set(model.available()) for name, model in self._models.items()},
                {name: model.labels for name, model in self._models.items()},
                allows_unavailable=self._options.allows_labels_for_unavailable,
            )
            kind = "model" if self._has_list else "servable"
            self._has_list = True
            with self._lock:
                self._replace_models(configs)
            await self.poll()
            await self._wait_until_available(configs.keys() - present, kind)

    def configure_from_thread(self, config: Any, caller: Caller) -> None:
        """Call `configure` from another thread than the event loop's.

        Raises:
            StatusError: As `configure` does.
            CancelledError: If the caller has gone. Otherwise a model without versions
                would block this configuration and the next ones for ever.
        """
        done = asyncio.run_coroutine_threadsafe(self.configure(config), self._loop)
        caller.when_gone(done.cancel)
        done.result()

    def _replace_models(self, configs: Mapping[str, ModelConfig]) -> None:
        for name, model in self._models.items():
            if name not in configs:
                model.is_removed = True
                model.aspired = {}
                model.labels = {}
                self._reconcile(model)
        for name, entry in configs.items():
            known = self._models.setdefault(name, Model(entry))
            known.config = entry
            known.is_removed = False
            known.labels = dict(entry.labels)

    async def _wait_until_available(self, names: Collection[str], kind: str) -> None:
        """Return when each of these models has a version that is AVAILABLE.

        Raises:
            StatusError: UNKNOWN, as in TensorFlow Serving, if some have failed and the
                others are AVAILABLE.
        """
        while True:
            self._changed.clear()
            reached = {name: self._models[name].reached() for name in sorted(names)}
            if None not in reached.values():
                break
            await self._changed.wait()
        failed = [
            f"{{{{name: {name} version: {version.number}}}{_reason(version)}}}, "
            for name, version in reached.items()
            if version is not None and version.state is State.END
        ]
        if failed:
            raise unknown(
                f"{len(failed)} {kind}(s) did not become available: "
                f"{{{''.join(failed)}}}"
            )

    # --- Polling ---------------------------------------------------------------------

    async def poll_forever(self, interval_seconds: float) -> None:
        """Poll the models' folders at an interval, without end."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await self.poll()
            except Exception:
                logger.exception("Polling failed; the next poll tries again")

    async def poll(self) -> None:
        """Read the models' folders once, and start loading and unloading.

        As in TensorFlow Serving, nothing is done while one of the folders is missing.
        """
        found_by_model: list[tuple[Model, ModelConfig, dict[int, Path]]] = []
        for model in list(self._models.values()):
            if model.is_removed:
                continue
            config = model.config
            found = await asyncio.to_thread(find_versions, config.base_path)
            if found is None:
                logger.warning(
                    "FileSystemStoragePathSource encountered a filesystem access "
                    "error: Could not find base path %s for servable %s",
                    config.base_path,
                    config.name,
                )
                return
            found_by_model.append((model, config, found))
        for model, config, found in found_by_model:
            if model.is_removed or model.config is not config:
                continue  # Another configuration arrived meanwhile.
            _warn_of_missing(config, found)
            model.aspired = config.policy.choose(found)
            self._reconcile(model)

    def _reconcile(self, model: Model) -> None:
        """Start loading aspired versions, and unloading those that may go."""
        with self._lock:
            for number, version in model.versions.items():
                if number not in model.aspired:
                    version.is_gone = True
            for number, path in sorted(model.aspired.items()):
                known = model.versions.get(number)
                if known is None or (known.state is State.END and known.is_gone):
                    known = Version(number, path)
                    model.versions[number] = known
                    known.task = self._start(self._load_version(model, known))
                elif known.state not in (State.UNLOADING, State.END):
                    known.is_gone = False
            serves_aspired = any(
                number in model.aspired for number in model.available()
            )
            # TensorFlow Serving unloads the version of a label before the label moves.
            labelled = set(model.labels.values())
            for number, version in model.versions.items():
                if number in model.aspired:
                    continue
                if version.state is State.AVAILABLE and number in labelled:
                    continue
                if version.state in (State.START, State.LOADING) and version.task:
                    version.task.cancel()
                elif version.state is State.AVAILABLE and (
                    serves_aspired or not model.aspired
                ):
                    version.state = State.UNLOADING
                    self._start(self._unload_version(model, version))

    async def _load_version(self, model: Model, version: Version) -> None:
        name = model.config.name
        retries = self._options.max_num_load_retries
        try:
            for attempt in range(retries + 1):
                version.state = State.LOADING
                try:
                    async with self._loading:
                        logger.info("Loading %s version %d", name, version.number)
                        version.servable = await self._load(
                            name, version.number, version.path
                        )
                    break
                except StatusError as error:
                    version.error = error
                except Exception as error:
                    logger.exception("Loading failed")
                    version.error = internal(f"{type(error).__name__}: {error}")
                logger.error(
                    "Loading %s version %d failed (attempt %d of %d): %s",
                    name,
                    version.number,
                    attempt + 1,
                    retries + 1,
                    version.error,
                )
                if attempt == retries:
                    version.state = State.END
                    return
                self._notify()
                await asyncio.sleep(self._options.load_retry_interval_seconds)
            version.error = None
            version.state = State.AVAILABLE
            logger.info("%s version %d is available", name, version.number)
        except asyncio.CancelledError:
            version.state = State.END
            version.error = version.error or cancelled("Loading of servable cancelled")
            if version.servable is not None:
                version.servable.close()
                version.servable = None
            raise
        finally:
            self._notify()
            if not model.is_removed or version.state is State.AVAILABLE:
                self._reconcile(model)

    async def _unload_version(self, model: Model, version: Version) -> None:
        while version.num_requests:
            self._changed.clear()
            if version.num_requests:
                await self._changed.wait()
        servable, version.servable = version.servable, None
        if servable is not None:
            await asyncio.to_thread(servable.close)
        version.state = State.END
        logger.info("%s version %d is unloaded", model.config.name, version.number)
        self._notify()
        # It may have been asked for again meanwhile.
        self._reconcile(model)

    def _start(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _notify(self) -> None:
        self._changed.set()

    async def close(self) -> None:
        """Stop loading, and free every version."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for model in self._models.values():
            for version in model.versions.values():
                if version.servable is not None:
                    version.servable.close()
                    version.servable = None
                    version.state = State.END


def _reason(version: Version) -> str:
    return f" due to error: {version.error}" if version.error else ""


def _warn_of_missing(config: ModelConfig, found: Mapping[int, Path]) -> None:
    if not found:
        logger.warning(
            "No versions of servable %s found under base path %s. Did you forget to "
            "name your leaf directory as a number (eg. '/1/')?",
            config.name,
            config.base_path,
        )
    missing = set(config.policy.versions) - set(found)
    if missing:
        logger.warning(
            "Versions %s of servable %s are not under base path %s",
            sorted(missing),
            config.name,
            config.base_path,
        )
