"""Measure what a retrain with a few new images costs, as a share of the cold run.

    python tests/benchmarks/incremental_benchmark.py [--images 5000] [--new 50]
        [--python PYTHON] [--set KEY=VALUE ...]

The first `graft run` has `--images` images of CIFAR-10, at 64 pixels. The second has
`--new` more, and finds a model in production. Processor time and bytes written are
those of the command and of all its child processes, so other programs on the machine
change them little; wall times are printed for a quiet machine. `--python` runs another
checkout's environment, to compare two versions. With so few test images the gate asks
about all; `--set gate.answers.ask_all_below=0` lets it take a sample.

Most of so small a run is fixed: imports, tracing, loading models. So the two steps that
remember are also measured alone, on the retrain's artifacts, without and with what
earlier runs left. Production is the model of the first run.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from features_benchmark import read_cifar, say
from refit_benchmark import cpu_seconds, read_accuracy, read_nodes

_SETTINGS = ("model.image_size=64", "gate.min_accuracy=0.3")


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Attributes:
        cpu_seconds: Of all its processes.
        written_mib: Written to disks by all its processes.
        seconds: Wall time.
        nodes: Wall time of each node.
        accuracy: On the `test` split.
    """

    cpu_seconds: float
    written_mib: float
    seconds: float
    nodes: dict[str, float]
    accuracy: str


def main() -> None:
    """Run the pipeline twice, and print what both runs took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--new", type=int, default=50)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--runs-only", action="store_true")
    parser.add_argument("--set", action="append", default=[])
    arguments = parser.parse_args()
    images = read_cifar(arguments.images + arguments.new)
    known, new = images[: arguments.images], images[arguments.images :]
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as folder:
        data, output = Path(folder, "data"), Path(folder, "output")
        costs = []
        for part, start in ((known, 0), (new, len(known))):
            write_images(data, part, start)
            command = [
                *(arguments.python, "-m", "graft.pipeline.cli", "run"),
                *("--data", str(data), "--output", str(output)),
            ]
            for setting in (*_SETTINGS, *arguments.set):
                command += ["--set", setting]
            costs.append(run(command))
        if not arguments.runs_only:
            measure_steps(output)
    first, retrain = costs
    say(
        f"{len(known)} images, then {len(new)} more; accuracy {first.accuracy}, then "
        f"{retrain.accuracy}"
    )
    say(f"  {'':20}{'cold run':>12}{'retrain':>12}{'share':>8}")
    for name, unit in (("cpu_seconds", "s"), ("written_mib", "MiB"), ("seconds", "s")):
        one, other = getattr(first, name), getattr(retrain, name)
        say(f"  {name:20}{one:10.1f} {unit:3}{other:10.1f} {unit:3}{other / one:6.0%}")
    for node, seconds in first.nodes.items():
        say(f"  {node:20}{seconds:10.1f} s  {retrain.nodes[node]:10.1f} s")


def measure_steps(output: Path) -> None:
    """Print the processor time of two steps, without and with what is remembered."""
    # Imports take seconds, so they come before what is timed.
    for module in ("evaluation.answers", "quality.measurements"):
        importlib.import_module(f"graft.components.{module}")
    store = str(output / "steps")
    number, anew = timed(lambda: measure_images(output, store))
    _, remembered = timed(lambda: measure_images(output, store))
    say(
        f"DataQuality measures {number} images: {anew:.1f} s, "
        f"remembered: {remembered:.1f} s"
    )
    number, anew = timed(lambda: answer_images(output, store, is_sampled=False))
    _, remembered = timed(lambda: answer_images(output, store, is_sampled=True))
    say(
        f"The gate asks two models about {number} images: {anew:.1f} s, "
        f"sampled and remembered: {remembered:.1f} s"
    )


def measure_images(output: Path, store: str) -> int:
    """Measure all images as DataQuality does; return their number."""
    from graft.components.quality.measurements import Measurements

    shards = zip(
        files_of(output, "ImageExampleGen", "metadata", "*"),
        files_of(output, "ImageExampleGen", "examples", "*"),
        strict=True,
    )
    with Measurements(store, "code") as measurements:
        return sum(len(list(measurements.of_shard(*shard))) for shard in shards)


def answer_images(output: Path, store: str, *, is_sampled: bool) -> int:
    """Find the answers of two models as the gate does; return the number of images.

    They are those of `train`, since the test split is small.
    """
    from graft.components.evaluation.answer_store import AnswerStore
    from graft.components.evaluation.answers import (
        Production,
        find_answers,
        score_features,
    )
    from graft.components.evaluation.config import AnswersConfig
    from graft.components.evaluation.exported_model import LoadedModel
    from graft.storage import hashing

    served = str(min(output.glob("serving/*/[0-9]*"), key=lambda each: each.name))
    candidate = LoadedModel(
        str(latest(output, "Trainer", "model") / "Format-Serving"),
    )
    names = candidate.class_names
    found = find_answers(
        files_of(output, "ImageExampleGen", "examples", "train"),
        candidate=candidate,
        scored=score_features(
            candidate,
            files_of(output, "BottleneckFeatures", "features", "train"),
            AnswersConfig(ask_all_below=0) if is_sampled else AnswersConfig(sample=0),
            "seed",
        ),
        production=Production(
            names,
            lambda: LoadedModel(served),
            AnswerStore(store, hashing.hash_folder(served), len(names)),
        ),
        slice_keys=(),
    )
    candidate.close()
    return len(found.keys)


def files_of(output: Path, node: str, key: str, split: str) -> list[str]:
    """Return the files of a node's latest artifact."""
    folder = latest(output, node, key)
    return [str(each) for each in sorted(folder.glob(f"Split-{split}/*"))]


def latest(output: Path, node: str, key: str) -> Path:
    """Return the folder of a node's latest artifact."""
    folders = output.glob(f"pipelines/*/artifacts/{node}/{key}/*")
    return max(folders, key=lambda each: int(each.name))


def timed(action: Callable[[], int]) -> tuple[int, float]:
    """Return an action's result, and its processor time in seconds."""
    start = time.process_time()
    return action(), time.process_time() - start


def write_images(folder: Path, images: Sequence[tuple[str, bytes]], start: int) -> None:
    """Write images to the folders of their classes."""
    for index, (name, encoded) in enumerate(images, start):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / f"{index:06d}.jpg").write_bytes(encoded)


def run(command: list[str]) -> Cost:
    """Run `graft run` and return what it took."""
    cpu, written, start = cpu_seconds(), bytes_written(), time.monotonic()
    finished = subprocess.run(
        command,
        cwd=tempfile.gettempdir(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    accuracy = read_accuracy(finished.stdout)
    if finished.returncode != 0 or accuracy is None:
        sys.exit(f"graft run failed:\n{finished.stdout}")
    return Cost(
        cpu_seconds() - cpu,
        (bytes_written() - written) / 2**20,
        time.monotonic() - start,
        read_nodes(finished.stdout),
        accuracy,
    )


def bytes_written() -> int:
    """Return the bytes that this process and its ended children wrote to disks."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


if __name__ == "__main__":
    main()
