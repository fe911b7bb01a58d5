"""Publish, roll back, label and prune: the contents of the store afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from graft.components.publishing import audit, store
from graft.components.publishing.labels import read_labels
from graft.components.publishing.production import read_production, served_version
from graft.components.publishing.versions import (
    Version,
    find_damage,
    list_versions,
    read_manifest,
)
from graft.contract.errors import UserError
from graft.storage import atomic, conditional, files

MakeModel = Callable[[str], str]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "store" / "digits")


def push(make_model: MakeModel, folder: str, content: str, **options: object) -> int:
    settings = {"keep_versions": 5, **options}
    return store.publish(
        make_model(content),
        folder,
        {"config": content},
        against=read_production(folder),
        **settings,
    ).number


def roll_back(folder: str, number: int | None, reason: str) -> Version:
    return store.roll_back(folder, number, reason, seen=read_production(folder))


def promote(folder: str, number: int) -> None:
    store.promote(folder, number, seen=read_production(folder), reason="a test")


def numbers(folder: str) -> list[int]:
    return [version.number for version in list_versions(folder)]


def test_a_version_holds_the_model_and_says_what_it_is(
    make_model: MakeModel, folder: str
) -> None:
    first = push(make_model, folder, "a")
    second = push(make_model, folder, "b")
    version = list_versions(folder)[-1]
    assert version.number == second
    assert (
        Path(version.path) / "variables" / "variables.index"
    ).read_text() == "index b"
    assert version.manifest["config"] == "b"
    assert version.manifest["parent_version"] == first
    assert sorted(version.manifest["files"]) == [
        "assets.extra/class_names.txt",
        "saved_model.pb",
        "variables/variables.data",
        "variables/variables.index",
    ]
    assert find_damage(version) == []


def test_the_same_model_again_is_no_new_version(
    make_model: MakeModel, folder: str
) -> None:
    first = push(make_model, folder, "a")
    assert push(make_model, folder, "a") == first
    assert numbers(folder) == [first]
    assert len(audit.read_audit(folder)) == 1


def test_old_versions_go_but_a_labelled_one_stays(
    make_model: MakeModel, folder: str
) -> None:
    stable = push(make_model, folder, "a", keep_versions=2)
    pushed = [
        push(make_model, folder, content, keep_versions=2, label="canary")
        for content in "bcde"
    ]
    assert numbers(folder) == [stable, *pushed[-2:]]
    assert read_labels(folder) == {"stable": stable, "canary": pushed[-1]}
    # A version without a label may be removed.
    promote(folder, pushed[-1])
    last = push(make_model, folder, "f", keep_versions=2)
    assert numbers(folder) == [pushed[-1], last]


def test_what_a_killed_push_left_is_cleared_away(
    make_model: MakeModel, folder: str
) -> None:
    for name in (".1.partial", ".2.removed"):
        (Path(folder) / name / "variables").mkdir(parents=True)
    (Path(folder) / "3").mkdir()  # Without a graph it is not a version, so it stays.
    push(make_model, folder, "a")
    assert sorted(p.name for p in Path(folder).iterdir() if p.is_dir()) == ["1000", "3"]


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda p: (p / "saved_model.pb").write_text("x"), "is not what was published"),
        (lambda p: (p / "variables" / "variables.data").unlink(), "is missing"),
        (lambda p: (p / "more").write_text("x"), "was not published"),
    ],
    ids=["changed", "missing", "added"],
)
def test_damage_is_found(
    make_model: MakeModel, folder: str, harm: Callable[[Path], object], expected: str
) -> None:
    push(make_model, folder, "a")
    (version,) = list_versions(folder)
    harm(Path(version.path))
    assert [expected in text for text in find_damage(version)] == [True]


def test_rollback_serves_the_old_files_under_a_new_number(
    make_model: MakeModel, folder: str
) -> None:
    old = push(make_model, folder, "good")
    bad = push(make_model, folder, "bad")
    version = roll_back(folder, None, "cats became dogs")
    assert version.number > bad
    assert numbers(folder) == [old, bad, version.number]
    graph = Path(version.path) / "saved_model.pb"
    assert graph.read_text() == "graph good"
    assert find_damage(version) == []
    served = served_version(folder)
    assert served is not None
    assert served.number == version.number
    assert version.manifest["config"] == "good"
    line = audit.read_audit(folder)[-1]
    assert line["action"] == "rollback"
    assert (line["from_version"], line["to_version"]) == (bad, old)
    assert line["reason"] == "cats became dogs"


def test_a_model_that_was_rolled_back_is_not_pushed_again(
    make_model: MakeModel, folder: str
) -> None:
    push(make_model, folder, "good")
    push(make_model, folder, "bad")
    roll_back(folder, None, "cats became dogs")
    before = numbers(folder)
    with pytest.raises(UserError, match="rolled back: 'cats became dogs'"):
        push(make_model, folder, "bad")
    assert numbers(folder) == before
    # Not even when the version itself is long gone.
    for content in "vwxyz":
        push(make_model, folder, content, keep_versions=2)
    with pytest.raises(UserError, match="rolled back"):
        push(make_model, folder, "bad")
    # By force it is, and then it is one like any other.
    forced = store.publish(
        make_model("bad"),
        folder,
        {"forced": {"reason": "it was the camera"}},
        against=read_production(folder),
        keep_versions=5,
    )
    assert forced.manifest["forced"] == {"reason": "it was the camera"}
    assert audit.withdrawals(folder) == {}


def test_rolling_back_twice_goes_further_back(
    make_model: MakeModel, folder: str
) -> None:
    for content in "abc":
        push(make_model, folder, content)
    assert roll_back(folder, None, "c").manifest["config"] == "b"
    assert roll_back(folder, None, "b too").manifest["config"] == "a"
    with pytest.raises(UserError, match="no version before"):
        roll_back(folder, None, "a too")


@pytest.mark.parametrize(
    ("number", "reason", "expected"),
    [
        (999, "why not", "There is no version 999. Versions: 1000, 1001."),
        (1001, "why not", "Version 1001 is served already"),
        (1000, " ", "must say why"),
    ],
)
def test_a_rollback_that_makes_no_sense_is_refused(
    make_model: MakeModel, folder: str, number: int, reason: str, expected: str
) -> None:
    push(make_model, folder, "a")
    push(make_model, folder, "b")
    with pytest.raises(UserError, match=expected):
        roll_back(folder, number, reason)
    assert numbers(folder) == [1000, 1001]


def test_a_damaged_version_is_not_gone_back_to(
    make_model: MakeModel, folder: str
) -> None:
    push(make_model, folder, "a")
    push(make_model, folder, "b")
    (Path(folder) / "1000" / "saved_model.pb").write_text("rot")
    with pytest.raises(UserError, match=r"saved_model\.pb is not what was published"):
        roll_back(folder, 1000, "b is bad")
    with pytest.raises(UserError, match="Damaged: 1000;"):
        roll_back(folder, None, "b is bad")


def test_a_canary_is_not_production_until_it_is_promoted(
    make_model: MakeModel, folder: str
) -> None:
    stable = push(make_model, folder, "a")
    canary = push(make_model, folder, "b", label="canary")
    served = served_version(folder)
    assert served is not None
    assert served.number == stable
    config = (Path(folder) / "models.config").read_text()
    assert f'key: "stable" value: {stable}' in config
    assert f'key: "canary" value: {canary}' in config
    assert "num_versions: 2" in config
    promote(folder, canary)
    assert read_labels(folder) == {"stable": canary}
    assert "num_versions: 1" in (Path(folder) / "models.config").read_text()
    with pytest.raises(UserError, match="no version 7"):
        promote(folder, 7)


def test_serving_reads_the_config_that_is_written(
    make_model: MakeModel, folder: str
) -> None:
    from graft.serving.embedded.loading.model_config import (
        read_config_file,
        read_models,
    )

    push(make_model, folder, "a")
    config = read_config_file(Path(folder) / "models.config")
    models = read_models(config)
    assert models["digits"].base_path == Path(folder)
    assert models["digits"].labels == {"stable": 1000}
    assert models["digits"].policy.num_versions == 1


def test_an_audit_line_that_a_kill_prevented_is_written_later(
    make_model: MakeModel, folder: str
) -> None:
    push(make_model, folder, "a")
    log = Path(folder) / audit.AUDIT_NAME
    log.write_text(log.read_text()[:20])  # Cut short in the middle of the line.
    push(make_model, folder, "b")
    lines = audit.read_audit(folder)
    assert [line["version"] for line in lines] == [1000, 1001]
    assert lines[0]["files_hash"] == list_versions(folder)[0].files_hash


@pytest.fixture(params=["s3", "gs", pytest.param("other_gs", marks=pytest.mark.large)])
def remote(request: pytest.FixtureRequest) -> str:
    """A store on each kind of object storage."""
    return f"{request.getfixturevalue(f'{request.param}_folder')}/digits"


def test_on_object_storage_the_graph_is_written_last(
    make_model: MakeModel, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = remote
    written: list[str] = []
    upload, pipe = files.upload, conditional.write

    def note_upload(local: str, path: str) -> None:
        written.append(path.removeprefix(f"{folder}/"))
        upload(local, path)

    def note_write(path: str, content: bytes, tag: str | None) -> bool:
        written.append(path.removeprefix(f"{folder}/"))
        return pipe(path, content, tag)

    monkeypatch.setattr(files, "upload", note_upload)
    monkeypatch.setattr(conditional, "write", note_write)
    number = push(make_model, folder, "a")  # the server looks at the clock, too
    of_version = [name for name in written if name.startswith(f"{number}/")]
    assert of_version[0] == f"{number}/graft_manifest.json"
    assert of_version[-1] == f"{number}/saved_model.pb"
    assert list_versions(folder)[0].manifest["config"] == "a"
    assert find_damage(list_versions(folder)[0]) == []
    # A push that was killed before its graph was there is no version; a day later it
    # goes.
    atomic.write_text(f"{folder}/5/variables/variables.index", "")
    assert numbers(folder) == [number]
    monkeypatch.setattr(time, "time", lambda: 1e6)
    push(make_model, folder, "b")
    assert not files.exists(f"{folder}/5")


def test_a_store_on_object_storage_is_kept_as_a_local_one_is(
    make_model: MakeModel, remote: str
) -> None:
    folder = remote
    for content in "abcd":
        push(make_model, folder, content, keep_versions=3)
    assert len(numbers(folder)) == 3
    back = roll_back(folder, None, "a test")
    assert back.manifest["config"] == "c"
    assert served_version(folder) == back
    assert [line["action"] for line in audit.read_audit(folder)][-1] == "rollback"


def test_the_manifest_is_plain_json(make_model: MakeModel, folder: str) -> None:
    push(make_model, folder, "a")
    path = Path(folder) / "1000" / "graft_manifest.json"
    assert json.loads(path.read_text()) == read_manifest(str(path.parent))
