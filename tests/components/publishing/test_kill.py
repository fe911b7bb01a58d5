"""kill -9 at random moments of publishing, while somebody polls the store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# In a process of its own, which forks: a child that publishes costs milliseconds, not
# the seconds of an import.
SCRIPT = '''
import os, random, shutil, signal, sys, time
from pathlib import Path
from graft.components.publishing import audit, store
from graft.components.publishing.production import read_production
from graft.components.publishing.versions import (
    Version, find_damage, list_versions, read_manifest)

root, num_kills = Path(sys.argv[1]), int(sys.argv[2])
folder = str(root / "store" / "digits")
random.seed(0)

def make_model(content):
    model = root / "model"
    shutil.rmtree(model, ignore_errors=True)
    for index in range(6):
        path = model / "variables" / f"part-{index}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.randbytes(1) * 100_000 + str(content).encode())
    (model / "saved_model.pb").write_text(f"graph {content}")
    return str(model)

def publish(content):
    store.publish(
        str(root / "model"), folder, {"n": content},
        against=read_production(folder), keep_versions=3)

def poll(stop):
    """See every numbered folder, as a server would, and check that it is whole."""
    seen, torn = set(), []
    while not stop.exists():
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if not name.isdecimal() or name in seen:
                continue
            try:
                version = Version(int(name), path, read_manifest(path))
                damage = find_damage(version)
            except (OSError, ValueError):
                damage = ["it can't be read"]
            # A version on its way out vanishes as a whole, under our eyes.
            if damage and os.path.exists(path):
                torn.append((name, damage))
            seen.add(name)
        time.sleep(0.0005)
    (root / "polled").write_text(f"{len(seen)} {torn}")
    os._exit(0)

make_model(0)
start = time.monotonic()
publish(0)
duration = time.monotonic() - start
stop = root / "stop"
poller = os.fork()
if not poller:
    poll(stop)

finished = 0
for content in range(1, num_kills + 1):
    before = {v.number for v in list_versions(folder)}
    make_model(content)
    child = os.fork()
    if not child:
        publish(content)
        os._exit(0)
    time.sleep(random.uniform(0, 1.3 * duration))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    versions = list_versions(folder)
    # Production is never without a model, and what it had last is still there.
    assert versions and versions[-1].number >= max(before), (before, versions)
    is_finished = versions[-1].number > max(before)
    finished += is_finished
    # Aim at the middle of the work, whatever else the machine does.
    duration *= 0.95 if is_finished else 1.05

make_model("last")
publish("last")
time.sleep(0.1)
stop.touch()
os.waitpid(poller, 0)
left = [n for n in os.listdir(folder) if n.endswith((".partial", ".removed"))]
versions = list_versions(folder)
audited = {line["version"] for line in audit.read_audit(folder)}
print("finished", finished, "of", num_kills)
print("polled", (root / "polled").read_text())
assert not left, left
assert versions[-1].manifest["n"] == "last"
assert len(versions) == 3, versions
assert not any(find_damage(version) for version in versions)
assert {version.number for version in versions} <= audited
'''


def test_two_hundred_kills_and_no_torn_version(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), "200"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    finished = int(done.stdout.split("finished ")[1].split()[0])
    # Some were killed before the rename, some after it: otherwise nothing was tested.
    assert 10 <= finished <= 190, done.stdout
    num_seen, torn = (tmp_path / "polled").read_text().split(" ", 1)
    assert torn == "[]"
    assert int(num_seen) >= 10
