"""The view of the store: equal for a repeated run, current after a change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graft.components.publishing import store
from graft.components.publishing.production import read_production
from graft.components.publishing.run_view import StoreView, view_store

MakeModel = Callable[[str], str]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "digits")


@pytest.fixture
def run(make_model: MakeModel, folder: str) -> Callable[..., StoreView]:
    """A run: get the view of the store, then push the model of the candidate key."""

    def push(key: str, judge: str = "gate") -> StoreView:
        view = view_store(folder, key, judge)
        record = {
            "candidate_key": key,
            "judge_key": judge,
            "baseline_version": view.baseline_version,
            "audit_position": view.audit_position,
            "store_state": view.store_state,
        }
        store.publish(
            make_model(key),
            folder,
            record,
            against=read_production(folder),
            keep_versions=5,
        )
        return view

    return push


def test_an_empty_store_has_no_baseline(folder: str) -> None:
    assert view_store(folder, "a", "gate").baseline_version == 0


def test_a_repeated_run_sees_what_the_first_one_saw(
    run: Callable[..., StoreView], folder: str
) -> None:
    first = run("a")
    assert run("a") == first
    second = run("b")
    assert second.baseline_version == 1000
    assert run("b") == second
    assert second != first


def test_another_gate_compares_the_candidate_with_production(
    run: Callable[..., StoreView], folder: str
) -> None:
    first = run("a", "floor 0.8")
    other = run("a", "floor 0.9")
    assert (first.baseline_version, other.baseline_version) == (0, 1000)
    assert read_production(folder).version == 1000
    assert run("a", "floor 0.9") == other
    assert run("a", "floor 0.8") == first


def test_going_back_to_earlier_data_compares_with_production(
    run: Callable[..., StoreView],
) -> None:
    first = run("a")
    run("b")
    again = run("a")
    assert again.baseline_version == 1001
    assert again.store_state != first.store_state


def test_after_a_rollback_a_run_compares_with_what_is_served(
    run: Callable[..., StoreView], folder: str
) -> None:
    run("a")
    run("b")
    version = store.roll_back(folder, None, "b is bad", seen=read_production(folder))
    assert view_store(folder, "b", "gate").baseline_version == version.number
    assert view_store(folder, "c", "gate").baseline_version == version.number


def test_an_emptied_store_is_seen(run: Callable[..., StoreView], folder: str) -> None:
    import shutil

    run("a")
    second = run("b")
    shutil.rmtree(folder)
    assert view_store(folder, "b", "gate").baseline_version == 0
    assert view_store(folder, "b", "gate") != second
