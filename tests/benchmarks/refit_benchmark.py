"""Compare a retrain with one more class with the first run.

    python tests/benchmarks/refit_benchmark.py [--images 5040] [--new 100]
        [--python PYTHON] [--set KEY=VALUE ...]

The first `graft run` has `--images` images of nine classes of CIFAR-10, with the
default config. The second run has a tenth class of `--new` images, too. It reads the
features of the old images from the store. It also runs the model in production on the
test images, which the first run did not have. "Orchestration" is the time outside of
nodes: start of the process, imports, Beam, metadata, the summary. "cpu" is the
processor time of all processes, which other programs on the machine change little.
"""

from __future__ import annotations

import argparse
import itertools
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from features_benchmark import ROOT, read_cifar, say

_NODE = re.compile(r"^\S (\w+) +(\d+(?:\.\d+)?) s\b", re.MULTILINE)
_ACCURACY = re.compile(r"^Test accuracy +(\S+)", re.MULTILINE)
_NUM_CLASSES = 10


def main() -> None:
    """Run the pipeline twice and print the seconds of each node."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5040)
    parser.add_argument("--new", type=int, default=100)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--set", action="append", default=[])
    arguments = parser.parse_args()
    a_class = -(-arguments.images // (_NUM_CLASSES - 1))
    images = read_cifar(_NUM_CLASSES * max(a_class, arguments.new))
    names = sorted({name for name, _ in images})
    new = names[-1]
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as folder:
        data, output = Path(folder, "data"), Path(folder, "output")
        for name in names[:-1]:
            write_class(data / name, images, a_class)
        first = run(data, output, arguments)
        write_class(data / new, images, arguments.new)
        refit = run(data, output, arguments)
    say(f"Refit: {a_class * len(names[:-1])} images, then {arguments.new} of {new!r}")
    for node in first:
        say(f"  {node:20}{first[node]:8.1f} s{refit[node]:8.1f} s")
    for name in ("all", "cpu"):
        say(f"  refit / first run, {name}: {refit[name] / first[name]:.0%}")


def write_class(folder: Path, images: Iterable[tuple[str, bytes]], number: int) -> None:
    """Write the first images of a class to the folder of its name."""
    folder.mkdir(parents=True)
    of_class = (encoded for name, encoded in images if name == folder.name)
    for index, encoded in enumerate(itertools.islice(of_class, number)):
        (folder / f"{index:04d}.jpg").write_bytes(encoded)


def run(data: Path, output: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Run `graft run`; return seconds per node, of the rest, in all and of CPUs."""
    command = [arguments.python, "-m", "graft.pipeline.cli", "run"]
    for setting in arguments.set:
        command += ["--set", setting]
    start, cpu = time.monotonic(), cpu_seconds()
    finished = subprocess.run(
        [*command, "--data", str(data), "--output", str(output)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - start
    accuracy = read_accuracy(finished.stdout)
    if finished.returncode != 0 or accuracy is None:
        sys.exit(f"graft run failed:\n{finished.stdout}")
    nodes = read_nodes(finished.stdout)
    say(f"accuracy {accuracy}, {seconds:.1f} s")
    return {
        **nodes,
        "orchestration": seconds - sum(nodes.values()),
        "all": seconds,
        "cpu": cpu_seconds() - cpu,
    }


def cpu_seconds() -> float:
    """Return the processor time of ended child processes and their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read_nodes(output: str) -> dict[str, float]:
    """Return the seconds of each node from what `graft run` printed."""
    return {node: float(took) for node, took in _NODE.findall(output)}


def read_accuracy(output: str) -> str | None:
    """Return the accuracy on `test` from what `graft run` printed."""
    found = _ACCURACY.search(output)
    return None if found is None else found[1]


if __name__ == "__main__":
    main()
