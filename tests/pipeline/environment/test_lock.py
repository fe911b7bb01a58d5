"""The lock files are complete, hashed, neutral, and agree with setup.py."""

import re

import pytest

from graft.pipeline.environment import lock

LOCKS = [lock.lock_path(extra) for extra in ("", *lock.EXTRAS)]


def test_locks_fulfil_setup_py():
    assert lock.disagreements() == []


@pytest.mark.parametrize(
    ("requirement", "sentence"),
    [
        ("tfx>=99", r"tfx>=99: 1\.21\.\d+ locked for Python 3\.11"),
        ("no_Such.package", r"no_Such\.package: not in requirements\.lock"),
    ],
)
def test_disagreement_is_told(monkeypatch, requirement, sentence):
    wanted = {"": [requirement], "dev": [], "gpu": []}
    monkeypatch.setattr(lock, "requirements", lambda: wanted)
    assert re.match(sentence, lock.disagreements()[0])


def test_the_lock_holds_what_our_own_distributions_require(monkeypatch, tmp_path):
    names = {text.partition(">")[0] for text in lock.our_requirements()}
    assert names == {"grpcio", "protobuf"}
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\ndependencies = [\n    "protobuf>=99",\n]\n')
    monkeypatch.setattr(lock, "OURS", {"graft-client": project})
    assert "protobuf>=99" in lock.disagreements()[0]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_pin_has_hashes_and_no_host(path):
    text = path.read_text()
    blocks = lock.split_blocks(text)
    assert len(blocks) >= 10
    assert all("--hash=sha256:" in block for block in blocks.values())
    assert "://" not in text
    # Nothing is lost between the blocks: each line belongs to one.
    assert "".join(blocks.values()) == text


def test_openvino_can_not_report():
    assert all("openvino-telemetry" not in path.read_text() for path in LOCKS)


def test_markers_choose_one_version_per_python(tmp_path):
    blocks = 'a==1 ; python_full_version < "3.12" \\\n    --hash=x\n'
    blocks += 'a==2 ; python_full_version >= "3.12" \\\n    --hash=y\n'
    path = tmp_path / "requirements.lock"
    path.write_text(blocks)
    assert lock.pinned_versions(path, "3.11") == {"a": "1"}
    assert lock.pinned_versions(path, "3.13") == {"a": "2"}


def test_subtract():
    first = "a==1 \\\n    --hash=x\n    # via b\n"
    whole = first + 'b==2 ; python_version < "3.11" \\\n    --hash=y\n'
    part = "a==1 \\\n    --hash=x\n"
    assert list(lock.split_blocks(whole)) == ["a==1", 'b==2 ; python_version < "3.11"']
    assert lock.subtract(whole, part).startswith("b==2")
    assert lock.subtract(whole, whole) == ""
