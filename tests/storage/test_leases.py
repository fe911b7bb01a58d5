"""The lock on object storage: one holder, whatever dies or ignores conditions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from graft.storage import atomic, conditional, files, leases
from graft.storage.drivers import StorageError


@pytest.fixture(
    params=[
        *("s3", "gs", "memory", "s3 without conditions", "memory without conditions"),
        pytest.param("other_gs", marks=pytest.mark.large),
    ]
)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A lock on each kind of store, with and without conditions."""
    kind = request.param.partition(" ")[0]
    if request.param != kind:
        monkeypatch.setattr(conditional, "is_honoured", lambda folder: False)
    monkeypatch.setattr(leases, "_POLL_SECONDS", 0.01)
    return f"{request.getfixturevalue(f'{kind}_folder')}/lock"


@pytest.fixture
def soon_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holders are taken for dead after a second."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 1.0)


def in_threads(function: Callable[[], None], number: int) -> None:
    threads = [threading.Thread(target=function) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_one_holds_it_at_a_time(path: str) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(3):
            with leases.held(path):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.01)
                inside.pop()

    in_threads(work, 4)
    assert len(most) == 12
    assert set(most) == {1}


def die_holding(path: str) -> leases._Object | leases._Tickets:
    """Acquire the lock as a process that is killed, or stands still, from then on."""
    honoured = conditional.is_honoured(path.rpartition("/")[0])
    lease = leases._Object(path) if honoured else leases._Tickets(path)
    lease.acquire()
    return lease


@pytest.mark.usefixtures("soon_dead")
def test_the_lock_of_a_dead_holder_is_taken_over(path: str) -> None:
    dead = die_holding(path)
    start = time.monotonic()
    with leases.held(path) as lease:
        assert time.monotonic() - start > 1
        # It was no dead process: it stood still, and goes on now.
        with pytest.raises(leases.LeaseLostError, match="took over the lock"):
            dead.confirm()
        lease.confirm()
        dead.release()
        lease.confirm()


@pytest.mark.usefixtures("soon_dead")
def test_a_holder_that_works_for_long_keeps_it(path: str) -> None:
    order: list[str] = []

    def second() -> None:
        with leases.held(path):
            order.append("second")

    with leases.held(path) as lease:
        other = threading.Thread(target=second)
        other.start()
        time.sleep(2.5)
        lease.confirm()
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_after_a_long_wait_the_holder_is_named(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "WAIT_SECONDS", 0.2)
    die_holding(path)
    with (
        pytest.raises(StorageError, match=r"locked for 0 s by process \d+ on"),
        leases.held(path),
    ):
        pass
    # Only the dead holder's ticket is left.
    if files.exists(f"{path}.tickets"):
        assert len(files.list_folder(f"{path}.tickets")) == 1


@pytest.mark.usefixtures("soon_dead")
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"holder": 3}'])
@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_damaged_lock_locks_nobody_out(
    request: pytest.FixtureRequest, kind: str, content: bytes
) -> None:
    path = f"{request.getfixturevalue(f'{kind}_folder')}/lock"
    atomic.write_bytes(path, content)
    with leases.held(path):
        pass
    assert files.exists(path)
