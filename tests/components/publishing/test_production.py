"""Nothing unjudged comes into production: what has changed since is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from graft.components.evaluation.baseline import Production
from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.publishing import audit, store
from graft.components.publishing.config import PushConfig
from graft.components.publishing.executor import PUSH_KEY, RECORD_KEY, Executor
from graft.components.publishing.production import read_production, served_version
from graft.components.publishing.versions import hash_files, list_versions
from graft.contract.errors import StoreChangedError, UserError
from graft.storage import files

MakeModel = Callable[[str], str]

pytestmark = pytest.mark.usefixtures("clock")


# A change on S3 takes a second, so the main cases alone run there.
on_every_store = pytest.mark.parametrize(
    "folder", ["local", "memory", "s3", "gs"], indirect=True
)


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each kind: what holds for one must hold for all."""
    if request.param == "local":
        return str(tmp_path / "store" / "digits")
    return f"{request.getfixturevalue(f'{request.param}_folder')}/digits"


@pytest.fixture
def push(make_model: MakeModel, folder: str) -> Callable[..., int]:
    """Push a model that was judged against `against`; by default what is served."""

    def publish(content: str, against: Production | None = None, **rest: Any) -> int:
        options = {"record": {}, "keep_versions": 9, **rest}
        record = options.pop("record")
        seen = against or read_production(folder)
        return store.publish(
            make_model(content), folder, record, against=seen, **options
        ).number

    return publish


Push = Callable[..., int]


def served(folder: str) -> int:
    version = served_version(folder)
    assert version is not None
    return version.number


@on_every_store
def test_of_two_runs_on_an_empty_store_one_pushes(folder: str, push: Push) -> None:
    empty = read_production(folder)
    assert empty.describe() == "no model"
    first = push("cats and dogs", empty)
    with pytest.raises(StoreChangedError) as caught:
        push("digits", empty)
    assert str(caught.value).startswith(
        "Nothing was pushed: the model was judged against no model, but version "
        f"{first} is served now (publish by "
    )
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 4
    assert [version.number for version in list_versions(folder)] == [first]
    assert len(audit.read_audit(folder)) == 1


@on_every_store
def test_nothing_is_pushed_over_a_rollback_made_meanwhile(
    folder: str, push: Push
) -> None:
    push("a")
    push("b")
    judged = read_production(folder)
    back = store.roll_back(folder, None, "b is bad", seen=judged)
    with pytest.raises(StoreChangedError, match=rf"{back.number} is served now \(roll"):
        push("c", judged)
    assert served(folder) == back.number
    again = push("c", read_production(folder))
    assert served(folder) == again


def test_production_that_went_away_and_came_back_is_noticed(
    folder: str, push: Push
) -> None:
    first = push("a")
    judged = read_production(folder)
    second = push("b", label="canary")
    assert read_production(folder) == judged
    for number in (second, first):
        store.promote(folder, number, seen=read_production(folder), reason="a try")
    assert served(folder) == judged.version
    with pytest.raises(StoreChangedError, match=r"changed since \(promote by"):
        push("c", judged)


def test_a_canary_that_comes_and_goes_invalidates_no_verdict(
    folder: str, push: Push
) -> None:
    push("a")
    judged = read_production(folder)
    push("b", label="canary")
    push("c", judged)
    assert audit.read_audit(folder)[-1]["judged_against"]["version"] == judged.version


def test_a_canary_is_promoted_over_what_it_was_judged_against(
    folder: str, push: Push
) -> None:
    first = push("a")
    canary = push("b", label="canary")
    store.promote(folder, canary, seen=read_production(folder))
    assert served(folder) == canary
    line = audit.read_audit(folder)[-1]
    assert (line["action"], line["judged_against"]["version"]) == ("promote", first)


@on_every_store
def test_a_canary_that_was_judged_against_another_needs_a_reason(
    folder: str, push: Push
) -> None:
    push("a")
    canary = push("b", label="canary")
    now = push("c")
    with pytest.raises(StoreChangedError, match=rf"version {now} is served now"):
        store.promote(folder, canary, seen=read_production(folder))
    assert served(folder) == now
    store.promote(folder, canary, seen=read_production(folder), reason="it is better")
    assert served(folder) == canary
    assert audit.read_audit(folder)[-1]["forced"]["reason"] == "it is better"


def test_what_was_rolled_back_is_promoted_with_a_reason_only(
    folder: str, push: Push
) -> None:
    push("a")
    bad = push("b")
    store.roll_back(folder, None, "cats became dogs", seen=read_production(folder))
    with pytest.raises(UserError, match="was rolled back: 'cats became dogs'"):
        store.promote(folder, bad, seen=read_production(folder))


@pytest.mark.parametrize("command", ["rollback", "promote", "bless"])
def test_an_operator_acts_on_what_they_saw(
    folder: str, push: Push, command: str
) -> None:
    first = push("a")
    push("b")
    seen = read_production(folder)
    now = push("c")
    before = audit.read_audit(folder)
    with pytest.raises(StoreChangedError, match=rf"but version {now} is served now"):
        if command == "rollback":
            store.roll_back(folder, None, "why not", seen=seen)
        elif command == "promote":
            store.promote(folder, first, seen=seen, reason="why not")
        else:
            push("d", seen, record={"forced": {"reason": "why not"}})
    assert served(folder) == now
    assert audit.read_audit(folder) == before


@pytest.fixture
def run_pusher(
    make_model: MakeModel, folder: str, tmp_path: Path
) -> Callable[..., Any]:
    """Run Pusher's executor on a blessed model: `run_pusher("a", verdict_against)`.

    `judged` is the content of the model that the gate saw, if it is another.
    """

    def run(
        content: str,
        against: Production | None,
        candidate: str,
        judged: str | None = None,
    ) -> Any:
        blessing = standard_artifacts.ModelBlessing()
        blessing.uri = str(tmp_path / "blessing")
        blessing.set_int_custom_property("blessed", 1)
        Path(blessing.uri).mkdir(exist_ok=True)
        files = hash_files(make_model(judged or content))
        verdict = Verdict(True, (), {}, judged_files=files)
        if against is not None:
            verdict = replace(verdict, judged_against=against.to_dict())
        (Path(blessing.uri) / VERDICT_FILE).write_text(verdict.to_json())
        model = standard_artifacts.Model()
        model.uri = str(tmp_path / f"trained {content} {len(list(tmp_path.iterdir()))}")
        Path(model.uri).mkdir()
        Path(make_model(content)).rename(Path(model.uri) / "Format-Serving")
        pushed = standard_artifacts.PushedModel()
        pushed.uri = str(tmp_path / f"pushed {content}")
        destination, _, name = folder.rpartition("/")
        push = PushConfig(destination=destination, model_name=name)
        record = {"pipeline": "p", "data_fingerprint": "f", "candidate_key": candidate}
        custom = {PUSH_KEY: push.model_dump_json(), RECORD_KEY: json.dumps(record)}
        Executor().Do(
            {"model": [model], "model_blessing": [blessing]},
            {"pushed_model": [pushed]},
            {"custom_config": json_utils.dumps(custom)},
        )
        return pushed

    return run


def test_pusher_fails_if_production_is_another(
    folder: str, run_pusher: Callable[..., Any]
) -> None:
    empty = read_production(folder)
    assert run_pusher("a", empty, "k1").get_int_custom_property("pushed") == 1
    with pytest.raises(StoreChangedError, match="judged against no model"):
        run_pusher("b", empty, "k2")
    assert len(list_versions(folder)) == 1


def test_pusher_fails_on_files_that_the_gate_did_not_judge(
    folder: str, run_pusher: Callable[..., Any]
) -> None:
    empty = read_production(folder)
    with pytest.raises(UserError, match=r"saved_model.pb is not what was judged.*away"):
        run_pusher("a", empty, "k1", judged="b")
    assert list_versions(folder) == []


def test_a_model_that_is_in_production_is_not_called_pushed(
    folder: str, run_pusher: Callable[..., Any]
) -> None:
    first = run_pusher("a", read_production(folder), "k")
    again = run_pusher("a", read_production(folder), "k")
    assert first.get_int_custom_property("was_published") == 0
    assert again.get_int_custom_property("was_published") == 1
    assert again.get_string_custom_property("pushed_version") == str(served(folder))
    assert len(list_versions(folder)) == 1


def test_two_runs_of_one_candidate_push_it_once(
    folder: str, run_pusher: Callable[..., Any]
) -> None:
    empty = read_production(folder)
    run_pusher("a", empty, "k")
    pushed = run_pusher("a with other bits", empty, "k")
    assert pushed.get_int_custom_property("pushed") == 0
    assert pushed.get_int_custom_property("twin_version") == served(folder)
    reason = pushed.get_string_custom_property("not_pushed_reason")
    assert reason.startswith(
        f"version {served(folder)}, which another run made of the same data"
    )
    assert len(list_versions(folder)) == 1


def test_pusher_fails_on_a_store_that_cannot_be_read(
    folder: str, run_pusher: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TFX's cache would keep a push that was only refused."""
    empty = read_production(folder)
    run_pusher("a", empty, "k1")
    seen, read_text = read_production(folder), files.read_text

    def deny(path: str) -> str:
        if path.endswith(audit.AUDIT_NAME):
            raise PermissionError(13, "Permission denied", path)
        return read_text(path)

    monkeypatch.setattr(files, "read_text", deny)
    with pytest.raises(UserError, match=r"can't be read: .* Permission denied"):
        run_pusher("b", seen, "k2")


def test_a_verdict_that_does_not_tell_is_not_pushed(
    folder: str, run_pusher: Callable[..., Any]
) -> None:
    with pytest.raises(UserError, match="does not tell what the model was judged"):
        run_pusher("a", None, "k")
    assert list_versions(folder) == []
