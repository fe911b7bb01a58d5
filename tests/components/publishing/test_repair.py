"""A repair brings no model into production that a rollback has withdrawn."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graft.components.publishing import audit, store
from graft.components.publishing.damage import find_store_damage, repair
from graft.components.publishing.labels import read_labels
from graft.components.publishing.production import read_production, served_version
from graft.contract.errors import UserError
from graft.pipeline.cli import app


@pytest.fixture
def restored(tmp_path: Path) -> tuple[Path, int, int]:
    """A store, rolled back from c to the files of b: its folder, b, and b restored."""
    folder = tmp_path / "m"

    def push(content: str) -> int:
        model = tmp_path / content
        model.mkdir()
        (model / "saved_model.pb").write_text(f"graph {content}")
        seen = read_production(str(folder))
        return store.publish(
            str(model), str(folder), {}, against=seen, keep_versions=9
        ).number

    first, _ = push("b"), push("c")
    seen = read_production(str(folder))
    again = store.roll_back(str(folder), None, "c is bad", seen=seen)
    return folder, first, again.number


@pytest.mark.parametrize("harm", ["version", "graph"])
@pytest.mark.parametrize("others", [(), ("graft_labels.json", "models.config")])
def test_a_repair_puts_no_withdrawn_model_into_production(
    restored: tuple[Path, int, int], harm: str, others: tuple[str, ...]
) -> None:
    folder, first, again = restored
    if harm == "graph":  # Nor can it be restored.
        (folder / str(first) / "saved_model.pb").write_text("other")
        (folder / str(again) / "saved_model.pb").unlink()
    else:
        shutil.rmtree(folder / str(again))
    for name in others:
        (folder / name).unlink()
    verify = ["models", "--model-dir", str(folder), "--verify"]
    assert isinstance(CliRunner().invoke(app, verify).exception, UserError)
    if not others:
        found = find_store_damage(str(folder))["graft_labels.json"]
        assert found == [f"names what is gone: version {again} (stable)"]
    result = repair(str(folder))
    labels = read_labels(str(folder))
    if harm == "graph":
        # No sound version has its files, so a person chooses.
        assert labels == ({} if others else {"stable": again})
        assert any(
            f"version {again} is in production and gone" in s for s in result.left
        )
        assert (folder / str(again)).is_dir()
        return
    assert labels == {"stable": first}
    assert find_store_damage(str(folder)) == {}
    *_, line, last = audit.read_audit(str(folder))
    assert (line["action"], line["version"]) == ("promote", first)
    assert f"version {again} is gone" in line["reason"]
    assert any(str(first) in done for done in last["done"])
    for name in ("graft_labels.json", "models.config"):
        (folder / name).unlink()
    served = served_version(str(folder))
    assert served is not None
    assert served.number == first
