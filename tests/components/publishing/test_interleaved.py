"""Runs, rollbacks, promotes, blesses and kills in any order: hypothesis plays them.

What is served was judged against what it replaced, or was forced with a reason, and the
audit log tells every change in its order. A kill comes before any single step on the
disk, and nothing that the killed process would do afterwards is done.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from graft.components.evaluation.baseline import Production
from graft.components.publishing import audit, production, store
from graft.components.publishing.production import read_production
from graft.components.publishing.versions import find_damage, list_versions
from graft.contract.errors import UserError
from graft.storage import conditional, drivers, files, leases

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink"}


class Killed(BaseException):
    """The process is dead: nothing catches this, and nothing is written any more."""


class Killer:
    """Kills an operation before its n-th change of the disk below a folder."""

    def __init__(self) -> None:
        self.folder = ""
        self.steps_left: int | None = None
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.steps_left is None or (event != "open" and event not in _STEPS):
            return
        path = arguments[0]
        if event == "open" and not (arguments[2] or 0) & _WRITING:
            return
        if not isinstance(path, str | bytes | os.PathLike):
            return
        if not os.fsdecode(path).startswith(self.folder):
            return
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Killed

    def play(self, operation: Callable[[], object], steps: int | None) -> object:
        """Run an operation; None as its answer if it was killed or refused."""
        self.steps_left = steps
        try:
            return operation()
        except (Killed, UserError):
            return None
        finally:
            self.steps_left = None


KILLER = Killer()
# Most operations are not killed. One has some 40 steps.
KILLS = st.one_of(st.none(), st.none(), st.integers(0, 45))
CONTENTS = st.sampled_from("abcd")


class Store(RuleBasedStateMachine):
    """A store, and what people and runs do with it."""

    views = Bundle("views")
    """What a run or an operator saw of production, some time ago."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = Path(tempfile.mkdtemp(prefix="graft-interleaved-"))
        self.folder = str(self.scratch / "store" / "m")
        KILLER.folder = self.folder
        self.done: list[tuple[str, int]] = []

    def teardown(self) -> None:
        shutil.rmtree(self.scratch)

    def model(self, content: str) -> str:
        folder = self.scratch / content
        if not folder.exists():
            (folder / "variables").mkdir(parents=True)
            (folder / "saved_model.pb").write_text(f"graph {content}")
            (folder / "variables" / "variables.index").write_text(content)
        return str(folder)

    @rule(target=views)
    def look(self) -> Production:
        return read_production(self.folder)

    @rule(
        seen=views,
        content=CONTENTS,
        label=st.sampled_from(["stable", "stable", "canary"]),
        is_forced=st.sampled_from([False, False, False, True]),
        kill=KILLS,
    )
    def push(
        self,
        seen: Production,
        content: str,
        label: str,
        is_forced: bool,
        kill: int | None,
    ) -> None:
        record = {"forced": {"reason": "I say so"}} if is_forced else {}
        before = len(audit.read_audit(self.folder))
        version = KILLER.play(
            lambda: store.publish(
                self.model(content),
                self.folder,
                record,
                against=seen,
                keep_versions=3,
                label=label,
            ),
            kill,
        )
        if version is not None and len(audit.read_audit(self.folder)) > before:
            self.note_last()

    @rule(seen=views, kill=KILLS, number=st.one_of(st.none(), st.integers(0, 4)))
    def roll_back(self, seen: Production, kill: int | None, number: int | None) -> None:
        versions = [version.number for version in list_versions(self.folder)]
        target = None
        if number is not None and versions:
            target = versions[number % len(versions)]
        done = KILLER.play(
            lambda: store.roll_back(self.folder, target, "it is bad", seen=seen), kill
        )
        if done is not None:
            self.note_last()

    @rule(
        seen=views,
        kill=KILLS,
        number=st.integers(0, 4),
        reason=st.sampled_from(["", "", "it is better"]),
    )
    def promote(
        self, seen: Production, kill: int | None, number: int, reason: str
    ) -> None:
        versions = [version.number for version in list_versions(self.folder)]
        if not versions:
            return

        def operation() -> bool:
            store.promote(
                self.folder, versions[number % len(versions)], seen=seen, reason=reason
            )
            return True

        if KILLER.play(operation, kill):
            self.note_last()

    def note_last(self) -> None:
        line = audit.read_audit(self.folder)[-1]
        self.done.append((line["action"], line["version"]))

    @invariant()
    def no_server_sees_a_torn_version(self) -> None:
        check_versions(self.folder)

    @invariant()
    def what_is_served_was_judged_against_what_it_replaced(self) -> None:
        check_production(self.folder)

    @invariant()
    def the_audit_log_is_complete_and_in_order(self) -> None:
        check_log(self.folder, self.done)


def check_versions(folder: str) -> None:
    for version in list_versions(folder):
        assert find_damage(version) == []


def check_production(folder: str) -> None:
    """Follow the audit log: each line of production replaced what it was judged by."""
    # A reader finishes what a kill has left, before it decides anything.
    now = read_production(folder)
    before: tuple[int | None, str | None] = (None, None)
    for line in audit.read_audit(folder):
        if not audit.changes_production(line):
            continue
        judged = line.get("judged_against") or {}
        against = (judged.get("version"), judged.get("files_hash"))
        if line["action"] == "rollback":
            assert line["reason"]
            assert line["from_version"] == before[0]
        elif line.get("forced"):
            assert line["forced"]["reason"]
        elif line["version"] != before[0]:
            assert against == before, f"{line} replaced {before}"
        before = (line["version"], line["files_hash"])
    assert before[0] == now.version


def check_log(folder: str, done: list[tuple[str, int]]) -> None:
    read_production(folder)
    lines = audit.read_lines(folder)
    assert None not in lines
    told = [line for line in lines if line is not None]
    assert len({line["id"] for line in told}) == len(told)
    assert [line["time"] for line in told] == sorted(line["time"] for line in told)
    actions = iter([(line["action"], line["version"]) for line in told])
    assert all(each in actions for each in done), (done, told)
    added = [line for line in told if line["action"] in ("publish", "rollback")]
    numbers = [line["version"] for line in added]
    assert numbers == sorted(set(numbers))
    assert {version.number for version in list_versions(folder)} <= set(numbers)


def play(num_examples: int, *, shrinks: bool = True) -> None:
    run_state_machine_as_test(
        Store,
        settings=settings(
            max_examples=num_examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            print_blob=True,
            phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
        ),
    )


def test_nothing_unjudged_is_served_and_the_log_tells_all() -> None:
    play(100)


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_nothing_unjudged_is_served_in_many_orders() -> None:
    """Large: six times as many orders as in the test above."""
    play(600)


def test_without_the_comparison_the_game_finds_a_violation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        store,
        "check_unchanged",
        lambda folder, seen, **texts: production.production_now(folder),
    )
    with pytest.raises(AssertionError):
        play(200, shrinks=False)


def test_without_the_note_of_a_change_a_kill_loses_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store.journal, "begin", lambda *_: None)
    with pytest.raises(AssertionError):
        play(200, shrinks=False)


class Staller:
    """Lets one thread stand still before its n-th change of an object store."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.thread: threading.Thread | None = None
        self.steps_left = 0
        self.stands = threading.Event()
        self.goes_on = threading.Event()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._driver, name)
        # `graft.storage.conditional` writes by the drivers' requests.
        writes = {"call_s3": "put_object", "call": "POST"}
        changes = ("pipe_file", "put_file", "rm_file", "cp_file", *writes)
        if name not in changes:
            return attribute

        def step(*arguments: Any, **options: Any) -> Any:
            is_write = name not in writes or arguments[0] == writes[name]
            return self.step(attribute, is_write, *arguments, **options)

        return step

    def step(self, function: Any, is_write: bool, *arguments: Any, **rest: Any) -> Any:
        # A process of its own would not hold this lock while it stands still.
        if (
            is_write
            and not conditional._MEMORY.locked()
            and threading.current_thread() is self.thread
        ):
            self.steps_left -= 1
            if self.steps_left == -1:
                self.stands.set()
                assert self.goes_on.wait(30)
        return function(*arguments, **rest)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("s3", marks=pytest.mark.large),
        pytest.param("gs", marks=pytest.mark.large),
        pytest.param("other_gs", marks=pytest.mark.large),
    ]
)
def remote(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Staller]:
    """A store on object storage, where holders are soon taken for dead."""
    folder = str(request.getfixturevalue(f"{request.param}_folder"))
    staller = Staller(drivers.driver_of(folder)[0])
    connect = functools.lru_cache(lambda scheme, process: staller)
    monkeypatch.setattr(drivers, "_connect", connect)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(leases, "_POLL_SECONDS", 0.01)
    # A process that stands still renews nothing.
    monkeypatch.setattr(leases, "_renew", lambda lease, stop: None)
    conditional.is_honoured(folder)
    if folder.startswith("memory"):
        write = conditional.write

        def write_step(*arguments: Any) -> bool:
            return bool(staller.step(write, True, *arguments))

        monkeypatch.setattr(conditional, "write", write_step)
    return folder, staller


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("operation", ["push", "promote", "rollback"])
def test_a_process_that_stands_still_at_any_step_harms_nobody(
    remote: tuple[str, Staller], make_model: Callable[[str], str], operation: str
) -> None:
    """With `large` on S3 and Google Cloud Storage, too: a change there takes long."""
    root, staller = remote

    def push(folder: str, content: str, **options: Any) -> None:
        seen = read_production(folder)
        model = make_model(content)
        store.publish(model, folder, {}, against=seen, keep_versions=9, **options)

    num_steps = 0
    is_finished = False
    while not is_finished:
        folder = f"{root}/{num_steps}/m"
        push(folder, "a")
        push(folder, "b")
        push(folder, "c", label="canary")
        seen = read_production(folder)
        canary = list_versions(folder)[-1].number

        def act(folder: str = folder, canary: int = canary, seen: Any = seen) -> None:
            try:
                if operation == "push":
                    model = make_model("d")
                    store.publish(model, folder, {}, against=seen, keep_versions=9)
                elif operation == "promote":
                    store.promote(folder, canary, seen=seen)
                else:
                    store.roll_back(folder, None, "b is bad", seen=seen)
            except UserError:
                pass  # It lost the lock, or production is another now.

        staller.steps_left = num_steps
        staller.stands.clear()
        staller.goes_on.clear()
        staller.thread = threading.Thread(target=act)
        staller.thread.start()
        while staller.thread.is_alive() and not staller.stands.wait(0.01):
            pass
        is_finished = not staller.stands.is_set()
        if not is_finished:
            # The other process finishes or drops what the first one has begun.
            push(folder, "e")
        staller.goes_on.set()
        staller.thread.join()
        # The next change clears away what is left.
        push(folder, "f")
        check_versions(folder)
        check_production(folder)
        check_log(folder, [])
        contents = [
            files.read_text(f"{version.path}/saved_model.pb")
            for version in list_versions(folder)
        ]
        assert len(contents) == len(set(contents)) or operation == "rollback"
        assert ("graph e" in contents) is not is_finished
        num_steps += 1
    assert num_steps >= 8
