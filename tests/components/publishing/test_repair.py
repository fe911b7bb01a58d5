"""A repair brings no model into production that a rollback has withdrawn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graft.components.publishing import audit, store
from graft.components.publishing.damage import find_store_damage, repair
from graft.components.publishing.labels import read_labels
from graft.components.publishing.production import read_production, served_version
from graft.components.publishing.versions import (
    MANIFEST_NAME,
    list_versions,
    read_manifest,
    with_hash,
)
from graft.contract.errors import UserError
from graft.pipeline.cli import app
from graft.serving.model_store import find_versions

RECORD = {"metrics": {"accuracy": 0.9}, "config": {"name": "m"}}


def change_metrics(folder: Path, version: int) -> None:
    """Edit a manifest by hand."""
    path = folder / str(version) / MANIFEST_NAME
    path.write_text(path.read_text().replace("0.9", "0.99"))


def test_a_manifest_gets_its_record_from_a_version_with_the_same_files(
    restored: tuple[Path, int, int],
) -> None:
    folder, first, again = restored
    change_metrics(folder, again)
    assert str(again) in find_store_damage(str(folder))
    (done,) = repair(str(folder)).done
    assert done.endswith(
        f"{MANIFEST_NAME} written again, with the metrics and the config of version "
        f"{first}, which has the same files"
    )
    manifest = read_manifest(str(folder / str(again)))
    assert {key: manifest.get(key) for key in RECORD} == RECORD
    assert manifest["rollback"]["to_version"] == first
    assert "lost" not in manifest
    assert find_store_damage(str(folder)) == {}


@pytest.mark.parametrize("harm", ["changed", "empty"])
def test_a_manifest_whose_record_is_lost_says_so(
    restored: tuple[Path, int, int], harm: str
) -> None:
    folder, first, _ = restored
    middle = first + 1
    if harm == "changed":
        change_metrics(folder, middle)
    else:
        (folder / str(middle) / MANIFEST_NAME).write_text("")
    (done,) = repair(str(folder)).done
    manifest = read_manifest(str(folder / str(middle)))
    assert "metrics" not in manifest
    assert {"config", "metrics"} <= set(manifest["lost"])
    assert f"these fields are lost: {', '.join(manifest['lost'])}" in done
    assert find_store_damage(str(folder)) == {}
    shown = CliRunner().invoke(app, ["models", "--model-dir", str(folder)])
    assert "its metrics are lost" in shown.output


@pytest.mark.parametrize("has_new_hash", [False, True])
def test_a_changed_manifest_gives_no_record_to_another(
    restored: tuple[Path, int, int], has_new_hash: bool
) -> None:
    folder, first, again = restored
    change_metrics(folder, again)
    if has_new_hash:  # So that the audit log alone knows that it was changed.
        path = folder / str(again) / MANIFEST_NAME
        path.write_text(json.dumps(with_hash(json.loads(path.read_text()))))
    # It is mended before the changed one.
    (folder / str(first) / MANIFEST_NAME).write_text("")
    done = repair(str(folder)).done
    assert len([each for each in done if "these fields are lost" in each]) == 2
    for number in (first, again):
        assert "metrics" not in read_manifest(str(folder / str(number)))


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
            str(model), str(folder), RECORD, against=seen, keep_versions=9
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
        # The withdrawn model is the newest one now.
        newest = first + 1
        assert found == [
            f"names what is gone: version {again} (stable); a server that does not "
            f"follow labels serves version {newest} meanwhile"
        ]
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
    # The withdrawn model is the newest: a server without labels would go on with it.
    (left,) = result.notes
    assert result.left == []
    assert f"serves version {first + 1}, the newest: `graft rollback {first} " in left
    *_, line, last = audit.read_audit(str(folder))
    assert (line["action"], line["version"]) == ("promote", first)
    assert f"version {again} is gone" in line["reason"]
    assert any(str(first) in done for done in last["done"])
    for name in ("graft_labels.json", "models.config"):
        (folder / name).unlink()
    served = served_version(str(folder))
    assert served is not None
    assert served.number == first
    seen = read_production(str(folder))
    again = store.roll_back(str(folder), first, "version 3 is gone", seen=seen).number
    assert find_versions(folder).keys() == {first, first + 1, again}
    assert max(find_versions(folder)) == again
    assert list_versions(str(folder))[-1].files_hash == served.files_hash
    with pytest.raises(UserError, match="served already"):
        store.roll_back(str(folder), again, "x", seen=read_production(str(folder)))
