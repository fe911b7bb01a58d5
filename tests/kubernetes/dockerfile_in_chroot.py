"""Execute kubernetes/Dockerfile in a Debian root, without a Docker engine.

    python tests/kubernetes/dockerfile_in_chroot.py BASE FOLDER [NAME=VALUE ...]

`BASE` is a folder made by `debootstrap --variant=minbase trixie BASE`. Each stage of
the Dockerfile becomes a folder below `FOLDER`, the last one `FOLDER/final`.
`NAME=VALUE` is a --build-arg. chroot needs root. Instructions that our Dockerfile does
not use are refused. The program prints the time and the added bytes of each one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

CONTEXT = Path(__file__).resolve().parents[2]
AUTHORITIES = "tmp/authorities.crt"
"""The host's certificate authorities in the root, for registries behind a proxy."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info")
TO_LAST_STAGE = "final"


@dataclass
class Stage:
    """A root that is being filled, and the settings so far.

    Attributes:
        root: Its folder.
        env: ARG and ENV.
        workdir: WORKDIR.
        user: USER, as `uid:gid`.
        command: ENTRYPOINT and CMD.
    """

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)

    def run(self, *words: str, env: dict[str, str] | None = None) -> None:
        """Run a program in the root as the stage's user.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        uid, _, gid = self.user.partition(":")
        setting = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.env, **(env or {})}
        if (self.root / AUTHORITIES).exists():
            setting["SSL_CERT_FILE"] = f"/{AUTHORITIES}"
        subprocess.run(
            [
                *("unshare", "--mount", "--fork", "sh", "-c"),
                'r=$0 u=$1; shift; mount -t proc proc "$r/proc"; '
                'mount --rbind /dev "$r/dev"; '
                'exec /usr/sbin/chroot --userspec="$u" --groups=0 "$r" sh -c '
                '\'cd "$0" && exec "$@"\' "$@"',
                *(str(self.root), f"{uid}:{gid or 0}", self.workdir, *words),
            ],
            check=True,
            env=setting,
        )

    def path(self, inside: str) -> Path:
        """Return where a path of the container lies on the host."""
        return self.root / os.path.join(self.workdir, inside).lstrip("/")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return (instruction, arguments) of a Dockerfile, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = []
    for line in joined.splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            found.append((name.upper(), rest.strip()))
    return found


def build(
    dockerfile: Path, base: Path, folder: Path, build_args: dict[str, str]
) -> Stage:
    """Carry out all instructions and return the last stage.

    Args:
        dockerfile: What is carried out; its context is the repository.
        base: The root that every `FROM ${BASE}` begins with.
        folder: Where stages go; must not exist.
        build_args: Values of ARGs.

    Raises:
        ValueError: An instruction that is not known here.
        subprocess.CalledProcessError: A RUN failed.
    """
    folder.mkdir(parents=True)
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    total = 0
    for name, rest in instructions(dockerfile.read_text(encoding="utf-8")):
        start = time.monotonic()
        if name == "FROM":
            stage_name = rest.partition(" AS ")[2].strip() or TO_LAST_STAGE
            root = folder / stage_name
            subprocess.run(["cp", "-a", str(base), str(root)], check=True)
            stage = stages[stage_name] = Stage(root)
            authorities = os.environ.get("SSL_CERT_FILE")
            if authorities:
                shutil.copy(authorities, root / AUTHORITIES)
                (root / AUTHORITIES).chmod(0o644)
            total = _size(root)
        elif name == "RUN":
            stage.run("/bin/sh", "-c", rest)
        elif name == "COPY":
            _copy(stage, rest, stages)
        elif name == "WORKDIR":
            stage.workdir = rest
            stage.path("").mkdir(parents=True, exist_ok=True)
        elif name == "ARG":
            key, _, value = rest.partition("=")
            stage.env[key] = build_args.get(key, value)
        elif name == "ENV":
            stage.env |= dict(word.split("=", 1) for word in shlex.split(rest))
        elif name == "USER":
            stage.user = rest
        elif name in ("ENTRYPOINT", "CMD"):
            stage.command += json.loads(rest)
        elif name != "LABEL":
            raise ValueError(f"{name} is not known to this program")
        if name in ("FROM", "RUN", "COPY"):
            grown, total = _size(stage.root) - total, _size(stage.root)
            seconds = time.monotonic() - start
            what = f"{name} {rest}"[:70]
            grown = total if name == "FROM" else grown
            sys.stdout.write(f"{seconds:7.1f} s {grown / 1e6:8.1f} MB  {what}\n")
            sys.stdout.flush()
    (stage.root / AUTHORITIES).unlink(missing_ok=True)
    sys.stdout.write(f"The image: {_size(stage.root) / 1e6:.0f} MB unpacked.\n")
    return stage


def _copy(stage: Stage, rest: str, stages: dict[str, Stage]) -> None:
    words = shlex.split(rest)
    source = CONTEXT
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *names, target = words
    for name in names:
        path = source / name.lstrip("/")
        place = stage.path(target)
        if path.is_dir():
            shutil.copytree(
                path,
                place,
                symlinks=True,
                dirs_exist_ok=True,
                ignore=LEFT_OUT if source == CONTEXT else None,
            )
        else:
            folder = place if target.endswith("/") else place.parent
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def _size(root: Path) -> int:
    command = ["du", "-s", "-x", "--block-size=1", "--apparent-size", str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[0])


if __name__ == "__main__":
    build(
        CONTEXT / "kubernetes" / "Dockerfile",
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        dict(word.split("=", 1) for word in sys.argv[3:]),
    )
