"""Harm a model store: kills, overlapping changes, and damaged files.

A process of its own, which forks. Its arguments are the store of a model, a folder of
SavedModels to push, and a seed. After each event it checks what must always hold.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from test_damage import HARMS, files_of, serve_and_look
from test_interleaved import check_log, check_production, check_versions

from graft.components.evaluation.baseline import Production
from graft.components.publishing import store
from graft.components.publishing.damage import find_store_damage, repair
from graft.components.publishing.labels import LABELS_NAME
from graft.components.publishing.production import read_production
from graft.components.publishing.versions import list_versions
from graft.contract.errors import UserError

EVENTS = ["kill"] * 100 + ["damage"] * 50 + ["pair"] * 20


class Chaos:
    """The store, and the random choices of one game."""

    def __init__(self, folder: Path, models: Path, seed: int) -> None:
        self.folder = folder
        self.models = sorted(models.iterdir())
        self.random = random.Random(seed)
        self.seconds = 0.1
        self.happened: Counter[str] = Counter()

    def change(self, seen: Production, number: int) -> None:
        """Push, roll back or promote; a refusal is a proper end."""
        generator = random.Random(number)
        folder = str(self.folder)
        model = self.model(generator)
        versions = [version.number for version in list_versions(folder)]
        action = generator.choice(["push", "push", "push", "roll back", "promote"])
        try:
            if action == "push" or len(versions) < 2:
                store.publish(
                    model,
                    folder,
                    {"forced": {"reason": "chaos"}} if generator.random() < 0.1 else {},
                    against=seen,
                    keep_versions=3,
                    label=generator.choice(["stable", "stable", "canary"]),
                )
            elif action == "roll back":
                store.roll_back(folder, None, "chaos", seen=seen)
            else:
                store.promote(folder, generator.choice(versions), seen=seen)
        except UserError:
            return

    def model(self, generator: random.Random) -> str:
        """Return a model whose files no other version has."""
        target = Path(tempfile.mkdtemp()) / "model"
        shutil.copytree(generator.choice(self.models), target)
        (target / "assets.extra").mkdir(exist_ok=True)
        (target / "assets.extra" / "note.txt").write_text(str(generator.random()))
        return str(target)

    def fork(self, seen: Production | None = None) -> int:
        """Begin a change in a process of its own, and return the process' ID."""
        number = self.random.randrange(2**32)
        child = os.fork()
        if not child:
            status = 1
            try:
                self.change(seen or read_production(str(self.folder)), number)
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        return child

    def kill(self) -> None:
        """Kill a change at a random moment; try again if it ended before."""
        is_killed = False
        while not is_killed:
            begun = time.monotonic()
            child = self.fork()
            time.sleep(self.random.uniform(0, 1.5 * self.seconds))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            is_killed = os.WIFSIGNALED(status)
            assert is_killed or status == 0
            # Aim at the middle of the work, however busy the machine is.
            self.seconds *= 1.05 if is_killed else 0.95
            self.seconds = min(self.seconds, 2 * (time.monotonic() - begun) + 0.1)
        self.happened["kill"] += 1

    def pair(self) -> None:
        """Let two changes, which saw the same, overlap."""
        seen = read_production(str(self.folder))
        children = [self.fork(seen), self.fork(seen)]
        for child in children:
            _, status = os.waitpid(child, 0)
            assert status == 0
        self.happened["pair"] += 1

    def damage(self) -> None:
        """Damage a file of a copy of the store; run all commands, and mend it."""
        scratch = Path(tempfile.mkdtemp())
        copy = scratch / "store" / "m"
        # A reader finishes what a kill has left.
        read_production(str(self.folder))
        shutil.copytree(self.folder, copy)
        name = self.random.choice(files_of(copy))
        harm = self.random.choice([*HARMS])
        what = f"{name}: {harm}"
        HARMS[harm](copy / name)
        try:
            serve_and_look(copy, scratch)
            left = "\n".join(repair(str(copy)).left)
            # What can't be mended, as files that only production had, is told.
            found = find_store_damage(str(copy))
            if "is in production and gone" in left:
                # The labels name this version until somebody chooses another.
                found.pop(LABELS_NAME, None)
            assert all(name in left for name in found), (what, found, left)
            seen = read_production(str(copy))
            sound = [version.number for version in list_versions(str(copy))]
            older = [number for number in sound if number < (seen.version or 0)]
            if older:
                store.roll_back(str(copy), older[-1], "mend", seen=seen)
                assert read_production(str(copy)).version not in sound, what
        except BaseException:
            sys.stderr.write(f"damaged {what} in {copy}\n")
            raise
        shutil.rmtree(scratch)
        self.happened["damage"] += 1

    def play(self) -> None:
        """Let all events happen in a random order."""
        self.change(read_production(str(self.folder)), 0)
        events = EVENTS[:]
        self.random.shuffle(events)
        for event in events:
            getattr(self, event)()
            check_production(str(self.folder))
            check_versions(str(self.folder))
            check_log(str(self.folder), [])
            assert list_versions(str(self.folder))
        # The server follows the newest version, which a canary may be.
        folder = str(self.folder)
        store.publish(
            self.model(self.random),
            folder,
            {},
            against=read_production(folder),
            keep_versions=3,
        )
        sys.stdout.write(f"{dict(self.happened)}\n")


if __name__ == "__main__":
    Chaos(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])).play()
