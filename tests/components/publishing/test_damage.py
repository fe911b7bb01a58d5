"""One damaged file stops nothing: each file of a store, alone and in pairs.

Files are emptied, cut, overwritten, removed, and replaced by folders. Then everything
runs that reads a store. `large` takes all pairs, the other test a seeded sample.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from tfx.types import standard_artifacts
from typer.testing import CliRunner

from graft.components.evaluation.baseline import Production, read_baseline
from graft.components.evaluation.baseline import read_production as read_judged
from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.publishing import audit, store
from graft.components.publishing.damage import find_store_damage, repair
from graft.components.publishing.drift import DRIFT_FILE, write_drift
from graft.components.publishing.last_run import NOTES_FILE, note_run
from graft.components.publishing.production import read_production, served_version
from graft.components.publishing.run_view import view_store
from graft.components.publishing.served_model import ServedModel
from graft.components.publishing.versions import (
    find_damage,
    hash_files,
    list_versions,
    with_hash,
)
from graft.contract.errors import StoreChangedError, UserError
from graft.pipeline.cli import app
from graft.pipeline.commands.bless import publish_run
from graft.pipeline.kubeflow.cluster.run_triggers import read_drift_report
from graft.pipeline.local.run_history import Run
from graft.serving import model_store
from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.loading.model_config import find_versions, read_config_file
from graft.storage import atomic

SEED = 20261129
MakeModel = Callable[[str], str]


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


HARMS: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(
        path.read_bytes()[: -len(path.read_bytes()) // 2]
    ),
    "an empty list": lambda path: path.write_text("[]"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00\n" * 9),
    "a folder": _replace_by_folder,
    "removed": lambda path: path.unlink(),
}


def _link_to(target: str) -> Callable[[Path], object]:
    def link(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return link


def _replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _replace_by_socket(path: Path) -> None:
    path.unlink()
    os.mknod(path, stat.S_IFSOCK | 0o600)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a pipe": _replace_by_pipe,
    "a socket": _replace_by_socket,
    "a device": _link_to("/dev/zero"),
    "a link to nowhere": _link_to("/nonexistent/file"),
    "a link to itself": lambda path: _link_to(path.name)(path),
    "huge": lambda path: os.truncate(path, 1 << 40),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three versions and a canary; version a was restored."""
    root = tmp_path_factory.mktemp("sound")
    folder = str(root / "store" / "m")

    def model(content: str) -> str:
        path = root / content
        (path / "variables").mkdir(parents=True, exist_ok=True)
        (path / "saved_model.pb").write_text(f"graph {content}")
        (path / "variables" / "variables.index").write_text(f"index {content}")
        return str(path)

    for content, label in (("a", "stable"), ("b", "stable"), ("c", "canary")):
        store.publish(
            model(content),
            folder,
            {"metrics": {"accuracy": 0.9}, "candidate_key": content},
            against=read_production(folder),
            keep_versions=9,
            label=label,
        )
    store.roll_back(folder, None, "b is bad", seen=read_production(folder))
    store.publish(
        model("d"), folder, {}, against=read_production(folder), keep_versions=9
    )
    run(Path(folder))
    return Path(folder)


def run(folder: Path) -> None:
    """Do what a run does beside pushing: look, and leave its notes."""
    view_store(str(folder), "a", "gate")
    verdict = Verdict(True, (), {}, baseline={"version": 1, "files_hash": "f"})
    write_drift(str(folder), verdict, is_production=False, data_fingerprint="f")
    note_run(
        str(folder),
        pipeline="p",
        blessing="b",
        data_fingerprint="f",
        data_profile=None,
    )


def files_of(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    )


def numbers(folder: Path) -> list[int]:
    return [version.number for version in list_versions(str(folder))]


def invoke(*arguments: object) -> int:
    """Run a command in this process; a trace instead of a message fails the test."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(
        result.exception, SystemExit | UserError
    ):
        raise result.exception
    return 0 if result.exception is None else 1


def serve_and_look(folder: Path, scratch: Path) -> None:
    """Run what reads a store and changes nothing."""
    for option in ((), ("--log",), ("--verify",)):
        invoke("models", "--model-dir", folder, *option)
    model = standard_artifacts.Model()
    model.uri = str(scratch / "fetched")
    Path(model.uri).mkdir()
    ServedModel(
        destination=str(folder.parent), model_name="m"
    ).executor_spec.executor_class().Do(
        {},
        {"model": [model]},
        {"destination": str(folder.parent), "model_name": "m", "version": -1},
    )
    baseline, judged = read_baseline(model), read_judged(model)
    assert judged == read_production(str(folder))
    assert (None if baseline is None else baseline.version) == judged.version
    read_drift_report(folder / DRIFT_FILE) if (folder / DRIFT_FILE).is_file() else None
    model_store.find_versions(folder)
    find_versions(folder)
    config = folder / "models.config"
    try:
        read_config_file(config)
    except StatusError as error:
        assert _reason_not_read(config) in str(error)


def _reason_not_read(config: Path) -> str:
    """Return what a server says of a config that it can't read."""
    try:
        config.stat()
    except FileNotFoundError:
        return "No such file"
    except OSError:  # A link to itself.
        pass
    return "Invalid protobuf file"


def check(sound: Path, scratch: Path, harms: dict[str, str]) -> None:
    """Harm a copy of the store, and run everything on it."""
    folder = scratch / "store" / "m"
    shutil.copytree(sound, folder)
    for name, harm in harms.items():
        (HARMS | NO_FILES)[harm](folder / name)
    hurt_versions = {int(name.split("/")[0]) for name in harms if name[0].isdecimal()}
    serve_and_look(folder, scratch)
    # Every damage is named.
    found = find_store_damage(str(folder))
    for name, harm in harms.items():
        is_told = name.split("/")[0] in found
        may_go = (name in (DRIFT_FILE, NOTES_FILE) and harm == "removed") or (
            name == NOTES_FILE and harm == "an empty list"
        )
        assert is_told or may_go, f"{name} {harm}: {found}"
    # What is in production stays what it was, if only its graph is still there.
    served = served_version(str(folder))
    newest = max(number for number in numbers(sound))
    if newest in numbers(folder):
        assert served is not None
        assert served.number == newest, harms
    run(folder)
    # An emergency rollback goes to the newest sound version.
    after = scratch / "after" / "m"
    after.parent.mkdir()
    # Unlike `shutil`, it copies pipes and holes.
    subprocess.run(["cp", "-a", str(folder), str(after)], check=True)
    roll_back_works(after, sound, hurt_versions)
    # A repair mends or sets aside, and loses nothing.
    found = find_store_damage(str(folder))
    result = repair(str(folder))
    assert bool(result.done or result.left) is bool(found)
    left = find_store_damage(str(folder))
    is_vouched = audit.AUDIT_NAME not in harms
    unknown = {name.split("/")[0] for name in harms if "manifest" in name}
    if newest not in numbers(folder):
        # No other version has the files of the one in production.
        assert any(
            "Put another in its place" in sentence for sentence in result.left
        ), result
        unknown |= {"graft_labels.json", "models.config"}
        is_vouched = False
    assert set(left) <= {str(newest), *(set() if is_vouched else unknown)}, result
    assert bool(left) is bool(result.left)
    for _ in range(2):
        push_again(folder, scratch)
    assert find_store_damage(str(folder)).keys() <= left.keys()


def roll_back_works(folder: Path, sound: Path, hurt: set[int]) -> None:
    a, b, _, restored, newest = numbers(sound)
    withdrawn = {b} if audit.withdrawals(str(folder)) else set()
    sound_targets = {a, restored, b} - hurt - withdrawn
    status = invoke("rollback", "--model-dir", folder, "--reason", "emergency")
    if newest in numbers(folder) and not sound_targets:
        assert status == 1
        return
    if newest in numbers(folder) or sound_targets & set(numbers(folder)):
        served = served_version(str(folder))
        assert served is not None
        if status == 0:
            assert find_damage(served) == []
            assert served.manifest["rollback"]["reason"] == "emergency"
        if newest in numbers(folder):
            assert status == 0, (hurt, sound_targets)


def other_commands_work(sound: Path, damaged: Path, scratch: Path, name: str) -> None:
    """Promote the canary, bless a run with and without force, and predict.

    Args:
        sound: The store before the damage.
        damaged: The store.
        scratch: Folder for copies of it.
        name: The damaged file.
    """
    canary, newest = numbers(sound)[2], numbers(sound)[-1]

    def copy(command: str) -> Path:
        folder = scratch / command / "m"
        shutil.copytree(damaged, folder)
        return folder

    folder = copy("promote")
    promote = ("models", "--model-dir", folder, "--promote", canary, "--reason", "x")
    if invoke(*promote) == 0:
        served = served_version(str(folder))
        assert served is not None
        assert served.number == canary
        assert find_damage(served) == []
    else:
        assert name.startswith(f"{canary}/")
    judged = read_production(str(sound))
    for reason in ("", "emergency"):
        folder = copy(f"bless {reason}")
        run_of_model = blessed_run(scratch / f"run {reason}", folder, judged)
        try:
            version, _ = publish_run(run_of_model, scratch, [], reason)
        except StoreChangedError:
            # Nothing tells whether production is still what the verdict saw.
            assert not reason
            assert name.startswith((str(newest), audit.AUDIT_NAME)), name
        else:
            assert read_production(str(folder)).version == version
    photo = scratch / "photo.png"
    Image.new("RGB", (8, 8)).save(photo)
    # The models of this store are no models.
    assert invoke("predict", photo, "--model-dir", damaged) == 1


def blessed_run(folder: Path, store_folder: Path, judged: Production) -> Run:
    """Return a run whose model was judged against `judged`, and blessed."""
    model = folder / "trained" / "Format-Serving"
    model.mkdir(parents=True)
    (model / "saved_model.pb").write_text("graph of a run")
    verdict = Verdict(
        True,
        (),
        {},
        judged_against=judged.to_dict(),
        judged_files=hash_files(str(model)),
    )
    (folder / VERDICT_FILE).write_text(verdict.to_json())
    push = {"destination": str(store_folder.parent), "model_name": "m"}
    return Run(
        1,
        "id",
        datetime.now(UTC),
        1.0,
        "complete",
        {},
        {"Evaluator.evaluation": str(folder), "Trainer.model": str(model.parent)},
        config={"name": "p", "push": push},
    )


def push_again(folder: Path, scratch: Path) -> None:
    model = scratch / "more"
    model.mkdir(exist_ok=True)
    (model / "saved_model.pb").write_text(f"graph of {random.random()}")
    seen = read_production(str(folder))
    version = store.publish(str(model), str(folder), {}, against=seen, keep_versions=9)
    served = served_version(str(folder))
    assert served is not None
    assert served.number == version.number
    assert audit.read_audit(str(folder))[-1]["version"] == version.number


@pytest.mark.parametrize("knows_hashes", [False, True])
def test_a_manifest_that_was_changed_is_no_longer_sound(
    sound: Path, tmp_path: Path, knows_hashes: bool
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(sound, folder)
    second, newest = numbers(folder)[1], numbers(folder)[-1]
    for number in (second, newest):
        path = folder / str(number) / "graft_manifest.json"
        manifest = json.loads(path.read_text())
        manifest["metrics"] = {"accuracy": 0.12}
        if knows_hashes:  # The audit log still knows the hash.
            manifest = with_hash(manifest)
        path.write_text(json.dumps(manifest))
    said = "what graft_audit.jsonl says" if knows_hashes else "what was published"
    expected = [f"graft_manifest.json is not {said}"]
    assert find_store_damage(str(folder)) == {
        str(second): expected,
        str(newest): expected,
    }
    # The files of production are sound: the gate still compares with them.
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "fetched")
    ServedModel(
        destination=str(tmp_path), model_name="m"
    ).executor_spec.executor_class().Do(
        {},
        {"model": [model]},
        {"destination": str(tmp_path), "model_name": "m", "version": -1},
    )
    baseline = read_baseline(model)
    assert baseline is not None
    assert baseline.failure is None
    result = repair(str(folder))
    assert not result.left
    assert find_store_damage(str(folder)) == {}
    assert "metrics" not in list_versions(str(folder))[1].manifest


def test_a_manifest_of_an_older_version_says_that_its_hash_is_unknown(
    sound: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(sound, folder)
    for path in folder.glob("*/graft_manifest.json"):
        manifest = json.loads(path.read_text())
        for key in ("manifest_hash", "sizes"):
            del manifest[key]
        path.write_text(json.dumps(manifest))
    log = folder / audit.AUDIT_NAME
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        line.pop("manifest_hash", None)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = CliRunner().invoke(app, ["models", "--verify", "--model-dir", str(folder)])
    assert done.exit_code == 0, done.output
    said = "sound; the hash of its manifest was not recorded"
    assert done.output.count(said) == len(numbers(folder))
    assert repair(str(folder)).done == []


def singles(folder: Path) -> list[dict[str, str]]:
    return [{name: harm} for name in files_of(folder) for harm in HARMS]


def pairs(folder: Path) -> list[dict[str, str]]:
    return [
        {first: harm, second: other}
        for first, second in itertools.combinations(files_of(folder), 2)
        for harm, other in itertools.product(HARMS, HARMS)
    ]


def check_all(sound: Path, tmp_path: Path, cases: list[dict[str, str]]) -> None:
    for number, harms in enumerate(cases):
        scratch = tmp_path / str(number)
        try:
            check(sound, scratch, harms)
        except BaseException as error:
            raise AssertionError(f"after {harms}: {error!r}") from error
        shutil.rmtree(scratch)


def test_one_damaged_file_stops_nothing(sound: Path, tmp_path: Path) -> None:
    check_all(sound, tmp_path, singles(sound))


@pytest.mark.parametrize("count", [40, pytest.param(None, marks=pytest.mark.large)])
def test_one_damaged_file_stops_no_other_command(
    sound: Path, tmp_path: Path, count: int | None
) -> None:
    """With `large` every harm of every file; else a sample."""
    cases = singles(sound)
    chosen = random.Random(SEED).sample(cases, count or len(cases))
    for number, harms in enumerate(chosen):
        ((name, harm),) = harms.items()
        scratch = tmp_path / str(number)
        folder = scratch / "store" / "m"
        shutil.copytree(sound, folder)
        HARMS[harm](folder / name)
        try:
            other_commands_work(sound, folder, scratch, name)
        except BaseException as error:
            raise AssertionError(f"after {harms}: {error!r}") from error
        shutil.rmtree(scratch)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("harm", NO_FILES)
@pytest.mark.parametrize("count", [3, pytest.param(None, marks=pytest.mark.large)])
def test_what_blocks_or_never_ends_stops_nothing(
    sound: Path, tmp_path: Path, harm: str, count: int | None
) -> None:
    """With `large` every file of the store, and of one version; else a sample."""
    second = numbers(sound)[1]
    names = [name for name in files_of(sound) if not name[0].isdecimal()]
    names += [name for name in files_of(sound) if name.startswith(str(second))]
    chosen = random.Random(f"{SEED} {harm}").sample(names, count or len(names))
    check_all(sound, tmp_path, [{name: harm} for name in chosen])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("harm", [*NO_FILES, "a folder"])
def test_a_lock_that_is_no_file_stops_nothing(
    sound: Path, tmp_path: Path, harm: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(sound, folder)
    (HARMS | NO_FILES)[harm](folder / ".lock")
    assert invoke("models", "--model-dir", folder, "--repair") == 0
    assert invoke("rollback", "--model-dir", folder, "--reason", "emergency") == 0
    served = served_version(str(folder))
    assert served is not None
    assert served.manifest["rollback"]["reason"] == "emergency"


def test_two_damaged_files_stop_nothing(sound: Path, tmp_path: Path) -> None:
    check_all(sound, tmp_path, random.Random(SEED).sample(pairs(sound), 20))


def test_a_killed_repair_loses_no_line(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the log tells which models were rolled back, and who promoted what."""
    folder = tmp_path / "m"
    shutil.copytree(sound, folder)
    log = folder / audit.AUDIT_NAME
    log.write_text("cut sho\n" + log.read_text())
    before = audit.read_audit(str(folder))
    withdrawn = audit.withdrawals(str(folder))
    assert withdrawn

    class Killed(BaseException):
        pass

    def die(path: str, text: str) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write_text", die)
        with pytest.raises(Killed):
            repair(str(folder))
    assert audit.withdrawals(str(folder)) == withdrawn
    assert any(
        "unreadable lines kept as text" in done for done in repair(str(folder)).done
    )
    first, *others, last = audit.read_audit(str(folder))
    assert first == {"action": "unreadable", "text": "cut sho"}
    assert others == before
    assert last["action"] == "repair"
    _, copy = sorted(
        p for p in folder.iterdir() if p.name.startswith(f".{log.name}.damaged")
    )
    assert copy.read_text().startswith("cut sho\n")


@pytest.mark.parametrize(
    ("kind", "harm"),
    [
        pytest.param("gs", b"", id="gs-empty"),
        pytest.param("gs", b"[]", id="gs-[]"),
        pytest.param("gs", b"\xff\n", id="gs-no text"),
        # The emulated S3 takes seconds for each; `large` has the other two.
        pytest.param("s3", b"", id="s3-empty", marks=pytest.mark.large),
        pytest.param("s3", b"[]", id="s3-[]"),
        pytest.param("s3", b"\xff\n", id="s3-no text", marks=pytest.mark.large),
    ],
)
def test_a_damaged_store_on_object_storage_is_rolled_back_and_mended(
    make_model: MakeModel, request: pytest.FixtureRequest, kind: str, harm: bytes
) -> None:
    folder = f"{request.getfixturevalue(f'{kind}_folder')}/m"
    for content in "abc":
        seen = read_production(folder)
        store.publish(make_model(content), folder, {}, against=seen, keep_versions=9)
    first, second, third = [version.number for version in list_versions(folder)]
    damaged = [
        f"{second}/graft_manifest.json",
        "graft_labels.json",
        "graft_audit.jsonl",
        "models.config",
    ]
    for name in damaged:
        atomic.write_bytes(f"{folder}/{name}", harm)
    found = find_store_damage(folder)
    assert set(found) == {str(second), *damaged[1:]}
    assert read_production(folder).version == third
    back = store.roll_back(folder, None, "c is bad", seen=read_production(folder))
    assert back.manifest["rollback"]["to_version"] == first
    assert back.manifest["rollback"]["passed_over"] == [second]
    # Neither the log nor another version knows the files of the second version.
    result = repair(folder)
    assert any(f"{second} can't be mended: renamed to" in done for done in result.done)
    assert find_store_damage(folder) == {}
    assert read_production(folder).version == back.number


@pytest.mark.large
@pytest.mark.timeout(7200)
def test_no_two_damaged_files_stop_anything(sound: Path, tmp_path: Path) -> None:
    """Large: all pairs of files, each with every pair of harms."""
    check_all(sound, tmp_path, pairs(sound))
