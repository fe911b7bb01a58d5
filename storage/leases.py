"""A lock on object storage: one process at a time holds it, until it dies or lets go.

Where the store obeys conditions, the lock is one object that its holder renews
(`_Object`). Else each process writes a ticket, and the lowest number is served next, as
in Lamport's bakery (`_Tickets`): this needs a list that shows what has been written.

A holder that does not renew for `LEASE_SECONDS` is taken for dead. Each process
measures this by its own clock, so clocks may differ. A holder calls `confirm` right
before the step that others can see: it fails if the lock was taken over meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any, Protocol

from graft.storage import atomic, conditional, files
from graft.storage.drivers import StorageError
from graft.storage.paths import join, parent_of

LEASE_SECONDS = 60.0
"""A holder that has not renewed the lock for so long is taken for dead."""
WAIT_SECONDS = 900.0
"""So long a process waits for a holder that is alive."""
_POLL_SECONDS = 0.25
_RENEWALS = 4


class LeaseLostError(StorageError):
    """Another process took the lock over, since this one did not renew it in time."""


class Lease(Protocol):
    """A lock that is held."""

    def confirm(self) -> None:
        """Renew the lock.

        Raises:
            LeaseLostError: Another process holds it now.
        """


@contextlib.contextmanager
def held(path: str) -> Iterator[Lease]:
    """Hold the lock at a URI. Wait until its holder lets go or is taken for dead.

    Args:
        path: URI of the lock.

    Raises:
        StorageError: Another process held the lock for `WAIT_SECONDS`.
    """
    kind = _Object if conditional.is_honoured(parent_of(path)) else _Tickets
    lease = kind(path)
    try:
        lease.acquire()
    except BaseException:
        # A ticket that stays would keep the others waiting.
        lease.release()
        raise
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(lease, stop), daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        stop.set()
        thread.join()
        lease.release()


def _renew(lease: _Object | _Tickets, stop: threading.Event) -> None:
    while not stop.wait(LEASE_SECONDS / _RENEWALS):
        # A failure shows when the holder calls `confirm`.
        with contextlib.suppress(StorageError):
            lease.confirm()


class _Watch:
    """Tells which holders are dead: those whose state has not changed for long."""

    def __init__(self, path: str, *, is_held: bool = False) -> None:
        self._path = path
        self.is_held = is_held
        self._start = time.monotonic()
        self._seen: dict[str, tuple[Any, float]] = {}

    def is_dead(self, name: str, state: Any) -> bool:
        now = time.monotonic()
        before, since = self._seen.get(name, (None, now))
        if before != state:
            since = now
        self._seen[name] = (state, since)
        return now - since > LEASE_SECONDS

    def pause(self, holder: object) -> None:
        if time.monotonic() - self._start > WAIT_SECONDS:
            raise StorageError(
                f"{self._path!r} has been locked for {WAIT_SECONDS:.0f} s by {holder}. "
                "Wait until that process ends, and run the command again."
            )
        time.sleep(_POLL_SECONDS)


class _Object:
    """The lock as one object, which is written under conditions only."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._name = uuid.uuid4().hex
        self._tag: str | None = None
        self._renewed_at = 0.0
        self._mutex = threading.Lock()

    def acquire(self) -> None:
        watch = _Watch(self._path)
        while True:
            content, tag = conditional.read(self._path)
            holder = _parsed(content)
            is_free = not holder.get("holder") or watch.is_dead("", tag)
            if is_free and self._write(tag, self._name):
                return
            watch.pause(holder.get("who"))

    def confirm(self) -> None:
        with self._mutex:
            # Google Cloud Storage takes one write a second of the same object.
            is_new = time.monotonic() - self._renewed_at < LEASE_SECONDS / _RENEWALS
            if is_new and self._tag == conditional.read(self._path)[1]:
                return
            if self._tag is None or not self._write(self._tag, self._name):
                self._tag = None
                raise _lost(self._path)

    def release(self) -> None:
        with self._mutex, contextlib.suppress(StorageError):
            if self._tag is not None:
                self._write(self._tag, None)

    def _write(self, tag: str | None, holder: str | None) -> bool:
        text = json.dumps({"holder": holder, "who": _who(), "beat": uuid.uuid4().hex})
        self._renewed_at = time.monotonic()
        if not conditional.write(self._path, text.encode(), tag):
            return False
        content, self._tag = conditional.read(self._path)
        return content == text.encode()


class _Tickets:
    """The lock as a folder of tickets, for a store that ignores conditions."""

    def __init__(self, path: str) -> None:
        self._folder = f"{path}.tickets"
        self._name = uuid.uuid4().hex
        self._number = 0
        self._mutex = threading.Lock()

    def acquire(self) -> None:
        watch = _Watch(self._folder)
        self._write()
        others = self._others(watch)
        self._check_ticket()
        self._number = 1 + max((each["number"] for each in others.values()), default=0)
        self._write()
        while first := self._first(watch):
            self._check_ticket()
            self._write()  # Others shall see that this process is alive.
            watch.pause(first)

    def confirm(self) -> None:
        with self._mutex:
            self._check_ticket()
            self._write()
            # A process that stood still while it chose a number may come first now.
            if self._first(_Watch(self._folder, is_held=True)):
                raise _lost(self._folder)

    def release(self) -> None:
        with self._mutex, contextlib.suppress(OSError):
            files.remove_file(join(self._folder, self._name))

    def _write(self) -> None:
        ticket = {"number": self._number, "who": _who(), "beat": uuid.uuid4().hex}
        atomic.write_text(join(self._folder, self._name), json.dumps(ticket))

    def _check_ticket(self) -> None:
        if not files.exists(join(self._folder, self._name)):
            raise _lost(self._folder)

    def _first(self, watch: _Watch) -> str | None:
        """Return who comes before this process; None if nobody does."""
        for name, ticket in self._others(watch).items():
            is_choosing = not ticket["number"] and not watch.is_held
            if is_choosing or (
                0 < ticket["number"]
                and ((ticket["number"], name) < (self._number, self._name))
            ):
                return str(ticket["who"])
        return None

    def _others(self, watch: _Watch) -> dict[str, dict[str, Any]]:
        """Return the tickets of the others that are alive, and remove the dead."""
        found = {}
        for name in files.list_folder(self._folder):
            if name == self._name:
                continue
            path = join(self._folder, name)
            ticket = _parsed(conditional.read(path)[0])
            if not ticket:
                continue  # It was given back.
            if watch.is_dead(name, ticket.get("beat")):
                with contextlib.suppress(OSError):
                    files.remove_file(path)
                continue
            found[name] = {"number": 0, "who": "another process", **ticket}
        return found


def _parsed(content: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(content or b"{}")
    except ValueError:
        return {}  # A damaged lock locks nobody out.
    return value if isinstance(value, dict) else {}


def _who() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _lost(path: str) -> LeaseLostError:
    return LeaseLostError(
        f"Another process took over the lock {path!r}, since this one did not answer "
        f"for {LEASE_SECONDS:.0f} s. Nothing was changed: run the command again."
    )
