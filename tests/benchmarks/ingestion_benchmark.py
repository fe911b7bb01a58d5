"""Compare the cost of ingestion with that of another version of graft.

    python tests/benchmarks/ingestion_benchmark.py [photographs] [png] [jpeg] [names]
        [--other TREE] [--images 10000] [--names 50000] [--rounds 5]

TREE is a checkout of the other version with its `.venv`, as `git worktree add TREE
COMMIT`, and `make setup` in it, make one. Without it, only this version is measured.

The two versions take turns, each in a process of its own, on the same files. What is
measured is processor time, which other programs disturb less than time by the clock.
Medians of the rounds are compared. The parts:

`photographs`  JPEG files of the archives santa.tar and cats_vs_dogs.tar
`png`, `jpeg`  images of CIFAR-10
`names`        files of one pixel, with names of several kinds: their cost is that of
               names, more than that of pixels

Three steps are told apart: `fingerprint` before a run, `list` (the images of the data
set, a part of `ingest`) and `ingest`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CHILD = "--child"
STEPS = ("fingerprint", "list", "ingest")
_MODULES = (
    {
        "config": "graft.components.ingestion.sources.config",
        "fingerprint": "graft.components.ingestion.fingerprint",
        "listing": "graft.components.ingestion.listing",
        "ingest": "graft.components.ingestion.ingest",
    },
    {  # up to November 2026
        "config": "components.image_example_gen.config",
        "fingerprint": "components.image_example_gen.fingerprint",
        "listing": "components.image_example_gen.listing",
        "ingest": "components.image_example_gen.ingestion",
    },
)


def main() -> None:
    """Measure the chosen parts; all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(_DATA))
    parser.add_argument("--other", type=Path, help="Checkout of another version.")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--names", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(_DATA):
        parser.error(f"a part is one of {', '.join(_DATA)}. Received: {unknown}")
    for part in arguments.parts or _DATA:
        with tempfile.TemporaryDirectory(prefix="graft-bench-") as folder:
            for name, data, number in _DATA[part](Path(folder), arguments):
                compare(name, data, number, arguments)


def compare(name: str, data: Path, number: int, arguments: argparse.Namespace) -> None:
    """Print the microseconds of each step for an image, and their ratios."""
    trees = [ROOT, *([arguments.other.resolve()] if arguments.other else [])]
    costs: dict[Path, list[dict[str, float]]] = {tree: [] for tree in trees}
    for each in range(arguments.rounds):
        # Neither version is always the first.
        for tree in trees if each % 2 else reversed(trees):
            costs[tree].append(measure_in_process(tree, data))
    _tell(f"{name}: {number:,} images, {arguments.rounds} rounds, processor time")
    for step in STEPS:
        own, *other = (
            statistics.median(cost[step] for cost in costs[tree]) * 1e6 / number
            for tree in trees
        )
        line = f"  {step:12}{own:9.1f} us for each image"
        if other:
            line += f", other version {other[0]:9.1f} us: ratio {own / other[0]:.2f}"
        _tell(line)


def measure_in_process(tree: Path, data: Path) -> dict[str, float]:
    """Measure the version in a checkout; return the processor seconds of each step."""
    python = tree / ".venv" / "bin" / "python"
    finished = subprocess.run(
        [str(python), str(Path(__file__).resolve()), CHILD, str(data)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        sys.exit(f"Ingestion by {python} failed:\n{finished.stderr[-3000:]}")
    costs: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return costs


def measure(data: str) -> None:
    """Print the processor seconds of each step, by the version that is imported."""
    modules = _import_version()
    config = modules["config"].DataConfig(path=data)
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as scratch:
        # The first use traces graphs and starts Beam.
        first = Path(scratch, "first")
        _write_plain_images(first)
        _ingest(modules, modules["config"].DataConfig(path=str(first)), scratch)
        costs = {}
        for step, action in (
            ("fingerprint", lambda: modules["fingerprint"].fingerprint(config)),
            ("list", lambda: modules["listing"].list_images(config, scratch)),
            ("ingest", lambda: _ingest(modules, config, scratch)),
        ):
            start = time.process_time()
            action()
            costs[step] = time.process_time() - start
    _tell(json.dumps(costs))


def _import_version() -> dict[str, Any]:
    for names in _MODULES:
        try:
            return {key: import_module(name) for key, name in names.items()}
        except ModuleNotFoundError as error:
            if error.name is None or not names["config"].startswith(error.name):
                raise
    sys.exit(f"{os.getcwd()} is no checkout of graft")


def _ingest(modules: dict[str, Any], config: Any, scratch: str) -> None:
    import apache_beam as beam

    outputs = modules["ingest"].OutputFolders(
        *(
            os.path.join(scratch, name)
            for name in ("examples", "metadata", "schema", "quarantine")
        )
    )
    modules["ingest"].ingest(config, outputs, beam.Pipeline)


# --- Data -----------------------------------------------------------------------------
Named = Iterator[tuple[str, Path, int]]


def _photographs(folder: Path, arguments: argparse.Namespace) -> Named:
    number = 0
    for archive, pick in (("santa.tar", "train"), ("cats_vs_dogs.tar", "cats_vs_dogs")):
        for name, content in _read(archive):
            parts = Path(name).parts
            if parts[-3] == pick:
                number += 1
                _write(folder / parts[-2] / f"{number:06d}.jpg", content)
    yield "photographs", folder, number


def _png(folder: Path, arguments: argparse.Namespace) -> Named:
    from PIL import Image

    number = 0
    for number, (name, content) in enumerate(_cifar(arguments.images), 1):
        buffer = io.BytesIO()
        Image.open(io.BytesIO(content)).save(buffer, "PNG")
        _write(folder / name / f"{number:06d}.png", buffer.getvalue())
    yield "CIFAR-10 as PNG", folder, number


def _jpeg(folder: Path, arguments: argparse.Namespace) -> Named:
    number = 0
    for number, (name, content) in enumerate(_cifar(arguments.images), 1):
        _write(folder / name / f"{number:06d}.jpg", content)
    yield "CIFAR-10 as JPEG", folder, number


def _names(folder: Path, arguments: argparse.Namespace) -> Named:
    from PIL import Image

    for kind, name_of in _KINDS.items():
        for index in range(arguments.names):
            buffer = io.BytesIO()
            colour = (index % 256, index // 256 % 256, index // 65536)
            Image.new("RGB", (1, 1), colour).save(buffer, "PNG")
            path = folder / kind / f"class{index % 10}" / f"{name_of(index)}.png"
            _write(path, buffer.getvalue())
        yield f"names such as {name_of(1234)}.png", folder / kind, arguments.names


_KINDS = {
    "numbers": lambda index: f"{index:06d}",
    "camera": lambda index: f"IMG_{index // 10:05d}",
    "hashes": lambda index: hashlib.sha256(str(index).encode()).hexdigest()[:32],
    "words": lambda index: f"class{index % 10}_s_{index // 10:06d}",
}
_DATA = {"photographs": _photographs, "png": _png, "jpeg": _jpeg, "names": _names}


def _write_plain_images(folder: Path) -> None:
    from PIL import Image

    for index in range(60):
        buffer = io.BytesIO()
        image = Image.new("RGB", (8 + index, 8), (index, 0, 0))
        exif = Image.Exif()
        exif[274] = 6  # turned images take another way
        image.save(buffer, ("JPEG", "PNG", "GIF")[index % 3], exif=exif)
        _write(folder / f"class{index % 2}" / f"{index}", buffer.getvalue())


def _cifar(number: int) -> Iterator[tuple[str, bytes]]:
    """Yield class name and content of images, the same number of each class."""
    counts: dict[str, int] = {}
    for name, content in _read("cifar10_train.tar.xz"):
        class_name = Path(name).parent.name
        counts[class_name] = counts.get(class_name, 0) + 1
        if counts[class_name] <= number // 10:
            yield class_name, content


def _read(archive: str) -> Iterator[tuple[str, bytes]]:
    named = os.environ.get("GRAFT_TEST_DATA")
    path = (Path(named) if named else ROOT.parent / "shared" / "data") / archive
    if not path.is_file():
        sys.exit(f"{path} is not here: set GRAFT_TEST_DATA to the folder of images")
    with tarfile.open(path) as file:
        for member in file:
            stream = file.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield member.name, stream.read()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        measure(sys.argv[2])
    else:
        main()
