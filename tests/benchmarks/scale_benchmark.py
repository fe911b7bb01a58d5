"""Time and memory of each step for ten thousand, a hundred thousand, a million items.

    python tests/benchmarks/scale_benchmark.py --items 10000 100000
    python tests/benchmarks/scale_benchmark.py --items 1000000 --steps store-index
    python tests/benchmarks/scale_benchmark.py --report

The thumbnails are synthetic JPEG files of 32 x 32 pixels in ten folders. The features
are synthetic, too: 1,280 numbers an image, ten classes, in a store as that of
BottleneckFeatures. Each step runs in a process of its own. Its seconds are processor
time, with child processes. Its memory is the growth from before the step to the peak;
pages of mapped files count, too.

The results are collected in docs/plots/scale.json. `--report` prints them as a table
and draws docs/plots/scale.svg.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from many_classes_benchmark import synthetic
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "plots" / "scale.json"
PLOT = ROOT / "docs" / "plots" / "scale.svg"
_CLASSES, _WIDTH = 10, 1280
_PIXELS, _CELLS = 32, 8
_PART = 20_000
"""Images of a shard, as in ImageExampleGen."""
_NOT_TRAIN = 10
"""One image of so many is in `eval`."""


def main() -> None:
    """Run the steps, or report what they took."""
    parser = argparse.ArgumentParser(description="Time and memory by number of items.")
    parser.add_argument("--items", type=int, nargs="+", default=[10_000])
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS)
    parser.add_argument("--folder", type=Path, help="Folder for thumbnails and so on.")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--prepare", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.report:
        report()
        return
    if arguments.prepare:
        step, folder, number = arguments.prepare
        STEPS[step](Path(folder), int(number))
        return
    if arguments.run:
        step, folder, number = arguments.run
        _say(json.dumps(_measured(step, Path(folder), int(number))))
        return
    for number in arguments.items:
        with tempfile.TemporaryDirectory(
            prefix="graft-scale-", dir=arguments.folder
        ) as folder:
            for step in arguments.steps:
                _keep(_run(step, folder, number))


def _run(step: str, folder: str, number: int) -> dict[str, Any]:
    # What the preparation leaves in its process would hide what the step takes.
    for way in ("--prepare", "--run"):
        done = subprocess.run(
            [sys.executable, __file__, way, step, folder, str(number)],
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    _say(json.dumps(found))
    return found


def _keep(found: dict[str, Any]) -> None:
    """Add a result, in place of an older one of the same step and number."""
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else []
    is_same = [(each["step"], each["items"]) for each in kept]
    key = (found["step"], found["items"])
    kept = [each for each, other in zip(kept, is_same, strict=True) if other != key]
    kept.append(found)
    kept.sort(key=lambda each: (list(STEPS).index(each["step"]), each["items"]))
    lines = ",\n ".join(json.dumps(each) for each in kept)
    RESULTS.write_text(f"[{lines}]\n", "utf-8")


def _measured(step: str, folder: Path, number: int) -> dict[str, Any]:
    """Run a step that is prepared, and return what it took."""
    run = STEPS[step](folder, number)
    before = _kib("VmRSS")
    used, started = _processor_seconds(), time.monotonic()
    # The peak so far is that of the preparation.
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    facts = run() or {}
    return {
        "step": step,
        "items": number,
        "seconds": round(_processor_seconds() - used, 2),
        "wall_seconds": round(time.monotonic() - started, 2),
        "mib": round((_kib("VmHWM") - before) / 1024, 1),
        **facts,
    }


def _processor_seconds() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(kind) for kind in kinds]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


Facts = dict[str, Any] | None
Step = Callable[[Path, int], Callable[[], Facts]]
"""Prepares a step in a folder, for so many items, and returns what runs it. What it has
prepared before, in another process, it leaves as it is."""


def _ingestion(folder: Path, number: int) -> Callable[[], Facts]:
    """ImageExampleGen: list, find equal files, check, split, and write examples."""
    import apache_beam as beam

    from graft.components.ingestion.ingest import OutputFolders, ingest
    from graft.components.ingestion.sources.config import DataConfig

    photos = folder / "photos"
    is_prepared = photos.exists()
    for place, content in enumerate(() if is_prepared else _thumbnails(number)):
        target = photos / f"class {place % _CLASSES}"
        if place < _CLASSES:
            target.mkdir(parents=True)
        (target / f"{place:09d}.jpg").write_bytes(content)
    outputs = OutputFolders(
        *(str(folder / "ingested" / each) for each in OutputFolders._fields)
    )
    config = DataConfig(path=str(photos))
    return lambda: {"written": ingest(config, outputs, beam.Pipeline).num_written}


def _thumbnails(number: int) -> Iterator[bytes]:
    rng = np.random.default_rng(0)
    for _ in range(number):
        cells = rng.integers(0, 256, (_CELLS, _CELLS, 3), np.uint8)
        image = Image.fromarray(cells).resize((_PIXELS, _PIXELS))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG")
        yield buffer.getvalue()


def _features(folder: Path, number: int) -> Callable[[], Facts]:
    """BottleneckFeatures on the examples of `ingestion`, at 32 pixels."""
    del number
    from graft.components.features.extraction import (
        Extraction,
        ExtractShard,
        Shard,
        release_workers,
    )
    from graft.pipeline.config import PipelineConfig
    from graft.pipeline.pipeline import preprocessing_spec

    config = PipelineConfig.model_validate(
        {
            "name": "scale",
            "data": {"path": "photos"},
            "model": {"preset": "efficientnet_lite0", "image_size": _PIXELS},
        }
    )
    extract = ExtractShard(
        Extraction(
            model_json=config.model.model_dump_json(exclude={"head", "output"}),
            preprocessing_json=preprocessing_spec(config).to_json(),
            engine=config.features.engine,
            precision=config.features.precision,
            store_folder=str(folder / "store"),
            class_names=tuple(f"class {each}" for each in range(_CLASSES)),
            artifact=str(folder / "features"),
        )
    )
    ingested = folder / "ingested"
    shards = []
    for path in sorted((ingested / "metadata").glob("Split-*/*")):
        target = folder / "features" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        images = ingested / "examples" / path.parent.name / path.name
        shards.append(Shard(str(path), str(images), str(target), True))

    def run() -> None:
        extract.setup()
        for shard in shards:
            list(extract.process(shard))
        release_workers()

    return run


def _near_copies(folder: Path, number: int) -> Callable[[], Facts]:
    """DataQuality's search for near-copies, on the signatures of the thumbnails."""
    del folder
    from graft.components.quality.image_statistics import measure_image
    from graft.components.quality.near_copies import find_copies
    from graft.components.quality.signature import SIGNATURE, Signatures

    rows = np.empty(number, SIGNATURE)
    for place, content in enumerate(_thumbnails(number)):
        rows[place] = measure_image(content).signature
    signatures = Signatures(rows, max_distance=0.15, min_contrast=2)
    return lambda: {"not_compared": int(find_copies(signatures).num_not_compared)}


def _store_index(folder: Path, number: int) -> Callable[[], Facts]:
    """Open a store of features: its files are verified, its keys are kept."""
    from graft.storage.content_store.store import ContentStore

    where = folder / "keys"
    if not where.exists():
        written = ContentStore(str(where), {"of": "scale"}).open()
        for start in range(0, number, _PART):
            keys = _keys(start, min(start + _PART, number))
            written.put(keys, np.zeros((len(keys), 8), np.float32))

    def run() -> Facts:
        return {"keys": len(ContentStore(str(where), {"of": "scale"}).open())}

    return run


def _training(reading: str) -> Step:
    """Trainer on synthetic features, by the way that is named."""

    def prepare(folder: Path, number: int) -> Callable[[], Facts]:
        from graft.trainer.config import ModelConfig, TrainingConfig
        from graft.trainer.loops.feature_source import FeatureSource
        from graft.trainer.loops.streamed_heads import fit_stored_features

        artifact = folder / "synthetic"
        if not artifact.exists():
            _write_features(folder, number)

        def run() -> Facts:
            fitted = fit_stored_features(
                FeatureSource.of([str(artifact / "Split-train" / "*")]),
                FeatureSource.of([str(artifact / "Split-eval" / "*")]),
                model=ModelConfig(),
                training=TrainingConfig.model_validate({"feature_reading": reading}),
                num_classes=_CLASSES,
                feature_shape=(_WIDTH,),
            )
            best = max(fitted.history["eval_accuracy"])
            return {"solver": fitted.facts.solver, "eval_accuracy": round(best, 4)}

        return run

    return prepare


def _write_features(folder: Path, number: int) -> None:
    """Write a store, and an artifact whose records refer to it."""
    import tensorflow as tf

    from graft.contract import example_keys
    from graft.storage.content_store.references import refer
    from graft.storage.content_store.store import ContentStore

    store = ContentStore(str(folder / "synthetic-store"), {"of": "scale"}).open()
    artifact = folder / "synthetic"
    names: set[str] = set()
    with contextlib.ExitStack() as stack:
        for start in range(0, number, _PART):
            keys = _keys(start, min(start + _PART, number))
            values, labels = synthetic(_CLASSES, len(keys), _WIDTH, start)
            store.put(keys, values)
            files, rows = store.places(keys)
            names.update(files)
            writers = {}
            for split in ("train", "eval"):
                path = artifact / f"Split-{split}" / f"data-{start:09d}"
                path.parent.mkdir(parents=True, exist_ok=True)
                writers[split] = stack.enter_context(tf.io.TFRecordWriter(str(path)))
            for place, key in enumerate(keys):
                example = tf.train.Example()
                feature = example.features.feature
                hexadecimal = key.hex().encode()
                feature[example_keys.CONTENT_HASH_KEY].bytes_list.value[:] = [
                    hexadecimal
                ]
                feature[example_keys.LABEL_KEY].int64_list.value[:] = [labels[place]]
                feature[example_keys.FEATURES_FILE_KEY].bytes_list.value[:] = [
                    files[place].encode()
                ]
                feature[example_keys.FEATURES_ROW_KEY].int64_list.value[:] = [
                    rows[place]
                ]
                split = "eval" if place % _NOT_TRAIN == 0 else "train"
                writers[split].write(example.SerializeToString())
            stack.pop_all().close()
    refer(str(artifact), str(folder / "synthetic-store"), names)


def _keys(first: int, last: int) -> list[bytes]:
    return [hashlib.sha256(str(each).encode()).digest() for each in range(first, last)]


STEPS: dict[str, Step] = {
    "ingestion": _ingestion,
    "features": _features,
    "features-again": _features,
    "near-copies": _near_copies,
    "store-index": _store_index,
    "training-memory": _training("memory"),
    "training-stream": _training("stream"),
}


def report() -> None:
    """Print the results as a table, and draw them."""
    kept = json.loads(RESULTS.read_text("utf-8"))
    numbers = sorted({each["items"] for each in kept})
    found = {(each["step"], each["items"]): each for each in kept}
    heads = " | ".join(f"{number:,}" for number in numbers)
    _say(f"| Step | {heads} |\n|---|{'---|' * len(numbers)}")
    for step in STEPS:
        cells = [_cell(found.get((step, number))) for number in numbers]
        if any(cells):
            _say(f"| `{step}` | {' | '.join(cells)} |")
    _draw([step for step in STEPS if any(key[0] == step for key in found)], found)


def _cell(found: dict[str, Any] | None) -> str:
    return f"{found['seconds']:,.0f} s, {found['mib']:,.0f} MiB" if found else ""


def _draw(steps: Sequence[str], found: dict[tuple[str, int], dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "graft", "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, key, title in (
        (axes[0], "seconds", "Processor seconds"),
        (axes[1], "mib", "Memory at the peak, MiB"),
    ):
        for step in steps:
            points = sorted(
                (number, each[key])
                for (name, number), each in found.items()
                if name == step
            )
            axis.loglog(*zip(*points, strict=True), marker="o", label=step)
        axis.set(title=title, xlabel="Items")
        axis.grid(alpha=0.3)
    axes[1].legend(fontsize="small")
    figure.savefig(PLOT, metadata={"Date": None})


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
