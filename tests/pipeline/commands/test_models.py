"""`graft models` and `graft rollback` as an operator uses them in an emergency."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from graft.components.publishing import store
from graft.components.publishing.production import read_production, served_version
from graft.components.publishing.versions import list_versions
from graft.pipeline import cli
from graft.pipeline.commands.models import _print_log

Graft = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with three versions of the model m."""
    path = tmp_path / "store" / "m"
    for content in "abc":
        model = tmp_path / content
        model.mkdir()
        (model / "saved_model.pb").write_text(content)
        seen = read_production(str(path))
        store.publish(str(model), str(path), {}, against=seen, keep_versions=5)
    return path


@pytest.fixture
def graft(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Graft:
    """Run the command line: exit status, lines of the output, and the error."""

    def run(*arguments: object) -> tuple[int, list[str], str]:
        words = [*map(str, arguments)]
        if "--model-dir" not in words:
            words += ["--model-dir", str(folder)]
        monkeypatch.setattr(sys, "argv", ["graft", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        status = ended.value.code or 0
        out, error = capsys.readouterr()
        assert isinstance(status, int)
        return status, out.splitlines(), error

    return run


def served(folder: Path) -> int:
    version = served_version(str(folder))
    assert version is not None
    return version.number


def test_a_rollback_stops_unless_the_version_that_was_seen_is_served(
    folder: Path, graft: Graft
) -> None:
    first, _, third = [version.number for version in list_versions(str(folder))]
    status, _, error = graft(
        "rollback", "--reason", "it is bad", "--if-served", str(first)
    )
    assert status == 4
    assert f"`--if-served` says {first}, but version {third} is served." in error
    assert served(folder) == third
    status, out, _ = graft("rollback", "--reason", "bad", "--if-served", str(third))
    assert status == 0
    assert f"takes the place of {third}." in out[0]


def test_a_withdrawn_version_is_marked_with_the_reason(
    folder: Path, graft: Graft
) -> None:
    third = served(folder)
    status, _, _ = graft("rollback", "--reason", "owls became cats")
    assert status == 0
    _, out, _ = graft("models")
    marked = [
        line for line in out if "withdrawn by a rollback: owls became cats" in line
    ]
    assert [line.split()[0] for line in marked] == [str(third)]


def test_versions_and_log_have_local_times_as_runs_have(
    graft: Graft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "XYZ-11:30")
    time.tzset()
    try:
        shown = [graft("models")[1], graft("models", "--log")[1]]
    finally:
        monkeypatch.undo()
        time.tzset()
    now = datetime.now(timezone(timedelta(hours=11, minutes=30))).replace(tzinfo=None)
    for line in itertools.chain(*shown):
        (text,) = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line)
        age = now - datetime.fromisoformat(text)
        assert timedelta(0) <= age + timedelta(seconds=1) < timedelta(hours=1)


def test_a_promotion_of_what_was_not_judged_needs_a_reason(
    folder: Path, graft: Graft
) -> None:
    first, _, third = [version.number for version in list_versions(str(folder))]
    status, _, error = graft("models", "--promote", first)
    assert status == 4
    assert f"was judged against no model, but version {third} is served now" in error
    status, _, _ = graft("models", "--promote", first, "--reason", "it was better")
    assert (status, served(folder)) == (0, first)
    _, out, _ = graft("models", "--log")
    assert out[-1].endswith(f"promote {first}: forced: it was better")


def test_damage_is_named_passed_over_and_mended(folder: Path, graft: Graft) -> None:
    first, second, third = [version.number for version in list_versions(str(folder))]
    (folder / str(second) / "graft_manifest.json").write_text("")
    (folder / "graft_labels.json").write_text('{"stable": ')
    with (folder / "graft_audit.jsonl").open("a") as log:
        log.write("[]\n")
    status, out, error = graft("models", "--verify")
    assert status == 1
    assert f"{second}  its manifest is empty  graft_manifest.json is empty" in out
    assert "graft_labels.json  holds no valid JSON" in out
    assert "graft_audit.jsonl  has unreadable lines: 4" in out
    assert f"graft: Damaged: {second}, graft_labels.json, graft_audit.jsonl." in error
    status, out, _ = graft("rollback", "--reason", "c is bad")
    assert status == 0
    assert f"has the files of {first} and takes the place of {third}." in out[0]
    assert out[1] == f"Passed over, since they are damaged: {second}."
    status, out, _ = graft("models", "--repair")
    assert status == 0
    begin = f"done: version {second}: graft_manifest.json written again; these fields"
    assert any(line.startswith(f"{begin} are lost: config,") for line in out)
    assert any("its metrics are lost" in line for line in out)
    _, out, _ = graft("models", "--log")
    assert "repair: " in out[-1]
    assert f"version {second}: graft_manifest.json written again" in out[-1]
    status, out, error = graft("models", "--verify")
    assert (status, error) == (0, "")
    assert all("sound" in line for line in out)


def test_a_store_without_a_sound_version_is_still_shown(
    folder: Path, graft: Graft
) -> None:
    for version in list_versions(str(folder)):
        (Path(version.path) / "saved_model.pb").unlink()
    status, out, _ = graft("models", "--verify")
    assert status == 1
    assert len([line for line in out if "holds no saved_model.pb" in line]) == 3


def test_a_repair_that_leaves_damage_fails(folder: Path, graft: Graft) -> None:
    """A script must not take production for mended."""
    *_, served_version = list_versions(str(folder))
    (Path(served_version.path) / "saved_model.pb").write_bytes(b"damaged")
    status, out, error = graft("models", "--repair")
    assert status == 1
    assert any(line.startswith("left: ") for line in out)
    assert "The repair left damage" in error
    assert "graft rollback" in error
    assert graft("models", "--verify")[0] == 1
    assert graft("rollback", "--reason", "damaged")[0] == 0
    assert graft("models", "--repair")[0] == 0


def test_the_log_tells_what_force_passed_over(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    forced = {"reason": "demo", "refusals": ["gate: accuracy 0.7 is below 0.9"]}
    with (folder / "graft_audit.jsonl").open("a") as log:
        line = {"time": "t", "user": "u", "action": "publish", "version": 7}
        log.write(json.dumps({**line, "forced": forced}) + "\n")
    _print_log(str(folder))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "t  u  publish 7: forced: demo; gate: accuracy 0.7 is below 0.9"


@pytest.mark.parametrize("is_number_given", [True, False])
def test_a_rollback_works_when_the_served_version_is_gone(
    folder: Path, graft: Graft, *, is_number_given: bool
) -> None:
    """Also if one version is left, which takes its place for servers without labels."""
    first, second, third = list_versions(str(folder))
    for gone in (second, third):
        shutil.rmtree(gone.path)
    words = [first.number] if is_number_given else []
    status, _, error = graft("rollback", *words, "--reason", "it is gone")
    assert (status, error) == (0, "")
    _, newest = list_versions(str(folder))
    assert newest.files_hash == first.files_hash
    assert served(folder) == newest.number > third.number
    assert newest.manifest["rollback"]["from_version"] == third.number
    assert newest.manifest["rollback"]["withdrawn"] == [third.files_hash]
    assert graft("models", "--verify")[0] == 0


def test_a_withdrawn_version_is_named_when_no_other_is_left(
    folder: Path, graft: Graft
) -> None:
    first, second, third = list_versions(str(folder))
    assert graft("rollback", first.number, "--reason", "c is bad")[0] == 0
    fourth = list_versions(str(folder))[-1]
    assert graft("rollback", "--reason", "a is bad")[0] == 0
    fifth = list_versions(str(folder))[-1]
    assert fifth.files_hash == second.files_hash
    status, _, error = graft("rollback", "--reason", "b is bad")
    assert status == 1
    named = f"{fourth.number}, {third.number}, {first.number} "
    assert f"rolled back before: {named}({fourth.number}: 'a is bad')" in error
    for gone in (fifth, second):
        shutil.rmtree(gone.path)
    (Path(fourth.path) / "saved_model.pb").write_text("damaged")
    status, _, error = graft("rollback", "--reason", "b is gone")
    assert status == 1
    assert f"rolled back before: {third.number}, {first.number} " in error
    command = error.partition("`graft ")[2].partition("`")[0].split()
    assert command[:2] == ["rollback", str(third.number)]
    assert graft(*command)[0] == 0
    assert list_versions(str(folder))[-1].files_hash == third.files_hash


@pytest.mark.parametrize("name", ["0", "007", "2000000000", str(2**62 - 1)])
def test_a_version_without_a_line_in_the_log_is_repaired(
    folder: Path, graft: Graft, name: str
) -> None:
    *_, third = list_versions(str(folder))
    shutil.copytree(third.path, folder / name)
    status, out, error = graft("models", "--verify")
    assert status == 1
    assert f"has no line for: {int(name)}" in "".join(out)
    status, out, error = graft("models", "--repair")
    assert (status, error) == (0, "")
    assert "Nothing is damaged." not in out
    assert graft("models", "--verify")[0] == 0


def test_a_copy_of_a_store_is_told_which_folder_its_config_names(
    folder: Path, graft: Graft, tmp_path: Path
) -> None:
    status, out, _ = graft("models", "--verify")
    assert (status, [line for line in out if "base_path" in line]) == (0, [])
    moved = folder.rename(tmp_path / "store" / "moved")
    moved.parent.joinpath("m").symlink_to(moved)
    assert not any("base_path" in line for line in graft("models", "--verify")[1])
    moved.parent.joinpath("m").unlink()
    copied = folder.parent / "other" / "m"
    shutil.copytree(moved, copied)
    for option in ("--verify", "--repair"):
        status, out, _ = graft("models", option, "--model-dir", copied)
        assert status == 0
        note = next(line for line in out if line.startswith("note: models.config has"))
        assert f'base_path: "{folder}"' in note
        assert repr(str(copied)) in note
    (copied / "models.config").unlink()
    graft("models", "--repair", "--model-dir", copied)
    assert f'base_path: "{copied}"' in (copied / "models.config").read_text()
    status, out, _ = graft("models", "--verify", "--model-dir", copied)
    assert (status, [line for line in out if "base_path" in line]) == (0, [])


@pytest.mark.parametrize("number", [2**63 - 1, 2**63 - 2, 2**62])
def test_a_folder_with_a_great_number_stops_a_rollback(
    folder: Path, graft: Graft, number: int
) -> None:
    """Else later versions would find no greater number that a server takes."""
    *_, third = list_versions(str(folder))
    shutil.copytree(third.path, folder / str(number))
    before = {path.name for path in folder.iterdir()}
    status, _, error = graft("rollback", "--reason", "it is bad")
    assert status == 1
    assert f"has the version {number}" in error
    assert {path.name for path in folder.iterdir()} == before
    assert served(folder) == third.number


def test_the_list_tells_what_answers_requests_without_a_label(
    folder: Path, graft: Graft
) -> None:
    first, _, third = [version.number for version in list_versions(str(folder))]
    _, out, _ = graft("models")
    assert not any("without a label" in line for line in out)
    graft("models", "--promote", first, "--reason", "it was better")
    _, out, _ = graft("models")
    assert "answers requests without a label" in out[-1]
    assert out[-1].startswith(str(third))
