"""Compare the whole pipeline with the same work in the style of TFX's example.

    python tests/benchmarks/pipeline_benchmark.py [--images 2000] [--epochs 3]

Both use CIFAR-10 images at 224 pixels and EfficientNet-Lite0. graft also evaluates on a
test split, applies the gate and writes a report. The TFX example pushes its model
without a check.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: Wall time.
        peak_gib: Greatest resident memory of its largest process.
        disk_mib: Size of what it left in its output folder.
    """

    seconds: float
    peak_gib: float
    disk_mib: float


def main() -> None:
    """Measure both, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as scratch:
        folder = Path(scratch)
        data = extract_cifar(folder / "cifar10", arguments.images)
        yardstick = measure(
            [
                *(sys.executable, str(HERE / "tfx_example_style.py"), str(data)),
                *(str(folder / "example"), str(arguments.epochs)),
            ],
            folder / "example",
        )
        graft = measure(
            [
                *(sys.executable, "-m", "graft.pipeline.cli", "run"),
                *("--data", str(data), "--output", str(folder / "graft")),
            ],
            folder / "graft",
        )
    sys.stdout.write(
        f"{arguments.images} CIFAR-10 images, 224 px, {os.cpu_count()} cores\n"
        f"{'':24}{'seconds':>10}{'peak GiB':>10}{'disk MiB':>10}\n"
    )
    for name, cost in (("graft", graft), ("TFX example's way", yardstick)):
        sys.stdout.write(
            f"{name:24}{cost.seconds:10.1f}{cost.peak_gib:10.2f}{cost.disk_mib:10.0f}\n"
        )
    sys.stdout.write(
        f"{'ratio':24}{graft.seconds / yardstick.seconds:10.2f}"
        f"{graft.peak_gib / yardstick.peak_gib:10.2f}"
        f"{graft.disk_mib / yardstick.disk_mib:10.2f}\n"
    )


def extract_cifar(target: Path, num_images: int) -> Path:
    """Unpack CIFAR-10 images, the same number of each class."""
    named = os.environ.get("GRAFT_TEST_DATA")
    source = Path(named) if named else ROOT.parent / "shared" / "data"
    archive = source / "cifar10_train.tar.xz"
    if not archive.is_file():
        sys.exit(
            f"{archive} is not here: set GRAFT_TEST_DATA to the folder of real images"
        )
    counts: dict[str, int] = {}
    with tarfile.open(archive) as file:
        for member in file:
            if not member.isfile():
                continue
            name = Path(member.name).parent.name
            if counts.get(name, 0) >= num_images // 10:
                continue
            counts[name] = counts.get(name, 0) + 1
            content = file.extractfile(member)
            if content is not None:
                path = target / name / Path(member.name).name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    return target


def measure(command: list[str], output: Path) -> Cost:
    """Run a command and return its cost; stop if it fails."""
    output.mkdir(parents=True, exist_ok=True)
    log = output.parent / f"{output.name}.log"
    start = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command} failed:\n{log.read_text(errors='replace')[-3000:]}")
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    cost = Cost(seconds, usage.ru_maxrss / 2**20, size / 2**20)
    shutil.rmtree(output)
    return cost


if __name__ == "__main__":
    main()
