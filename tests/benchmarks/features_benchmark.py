"""Compare BottleneckFeatures with its engine alone and with Keras; measure reruns.

    python tests/benchmarks/features_benchmark.py [speed] [rerun] [memory]
        [--images 2000] [--rerun-images 10000] [--memory-images 50000] [--rounds 3]

The backbone is EfficientNet-Lite0 at 224 pixels. The parts:

`speed`    images per second on CIFAR-10 and on large photographs, of the component, of
           the engine on ready tensors, and of `keras.Model.predict` over a `tf.data`
           pipeline. They take turns. The best round counts.
`rerun`    time of the component in its own process: with an empty store, with the same
           images again, and with a tenth of them new.
`memory`   peak memory of such a process, for all the images and for half of them.

Ratios come from one run. CPU seconds are printed beside wall time, for machines that
run other programs, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SIZE = 224
IMAGES_PER_SHARD = 1000
CHILD = "--child"


@dataclass(frozen=True)
class Cost:
    """Seconds of wall time and of all processors, and GiB of greatest memory."""

    seconds: float
    cpu_seconds: float
    peak_gib: float = 0.0


def main() -> None:
    """Run the chosen parts; all of them by default."""
    parts: dict[str, Callable[[argparse.Namespace, Path], None]] = {
        "speed": measure_speed,
        "rerun": measure_rerun,
        "memory": measure_memory,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rerun-images", type=int, default=10_000)
    parser.add_argument("--memory-images", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(parts):
        parser.error(f"a part is one of {', '.join(parts)}. Received: {unknown}")
    for name in arguments.parts or parts:
        with tempfile.TemporaryDirectory(prefix="graft-bench-") as folder:
            parts[name](arguments, Path(folder))


# --- Parts ----------------------------------------------------------------------------
def measure_speed(arguments: argparse.Namespace, folder: Path) -> None:
    """Compare the component's throughput with its engine's and with Keras's."""
    cifar = write_shards(folder / "cifar", read_cifar(arguments.images))
    _compare("CIFAR-10", cifar, folder, arguments.rounds, with_engine=True)
    santa = write_shards(folder / "santa", read_santa())
    _compare("Santa", santa, folder, arguments.rounds, with_engine=False)


def _compare(
    name: str,
    shards: Sequence[tuple[str, ...]],
    folder: Path,
    rounds: int,
    *,
    with_engine: bool,
) -> None:
    sys.path.insert(0, str(ROOT))
    from graft.components.features import extraction as component
    from graft.components.features.extraction import ExtractShard, Shard
    from graft.components.features.feature_records import read_records
    from graft.trainer.backbones.backbone import build_backbone
    from graft.trainer.config import ModelConfig

    keys = [read_records(metadata).keys for metadata, _, _ in shards]
    keras_model = build_backbone(ModelConfig())
    engine = component._Worker(extraction(str(folder / "none"))).engine
    # Opening a store does not count. Each run gets an empty one.
    workers = []
    for number in range(rounds + 1):
        do_fn = ExtractShard(extraction(str(folder / f"{name}-store-{number}")))
        do_fn.setup()
        do_fn._worker._engine = engine
        workers.append(do_fn)
    # The engine and the reader are built once per process, so they don't count.
    reader = workers[0]._worker.reader
    for do_fn in workers:
        do_fn._worker._reader = reader
    ready = [
        batch.pixels
        for shard, wanted in zip(shards, keys, strict=True)
        for batch in reader.read(shard[1], set(wanted))
    ]

    def run_component() -> None:
        do_fn = workers.pop()
        for shard in shards:
            list(do_fn.process(Shard(*shard)))

    ways: dict[str, Callable[[], object]] = {
        "component": run_component,
        "keras over tf.data": lambda: keras_model.predict(
            plain_dataset([images for _, images, _ in shards]), verbose=0
        ),
    }
    if with_engine:
        ways["engine alone"] = lambda: list(engine.run(iter(ready)))
    best = in_turns(ways, rounds)
    num_images = sum(map(len, keys))
    say(f"{name}: {num_images} images, {os.cpu_count()} cores, {engine.name}")
    for way, cost in best.items():
        say(
            f"  {way:20}{num_images / cost.seconds:8.0f} images/s"
            f"{1000 * cost.cpu_seconds / num_images:8.1f} ms CPU an image"
        )
    mine = best["component"]
    for way, cost in best.items():
        if way != "component":
            say(
                f"  component / {way}: {cost.seconds / mine.seconds:.2f} times the "
                f"throughput ({cost.cpu_seconds / mine.cpu_seconds:.2f} by CPU)"
            )


def measure_rerun(arguments: argparse.Namespace, folder: Path) -> None:
    """Compare a first run, one on the same images, and one with a tenth of them new."""
    images = read_cifar(arguments.rerun_images * 11 // 10)
    new = len(images) // 11
    first, changed = images[new:], images[: len(images) - new]
    costs = {}
    for run, part in (("first", first), ("same", first), ("tenth new", changed)):
        shards = write_shards(folder / run, part)
        costs[run] = run_child(shards, folder / "store")
    say(f"Reruns: {len(first)} CIFAR-10 images, the component's node with Beam")
    for run, cost in costs.items():
        say(
            f"  {run:12}{cost.seconds:8.1f} s{cost.cpu_seconds:8.1f} s CPU: "
            f"{cost.seconds / costs['first'].seconds:.1%} of the first "
            f"({cost.cpu_seconds / costs['first'].cpu_seconds:.1%} by CPU)"
        )


def measure_memory(arguments: argparse.Namespace, folder: Path) -> None:
    """Compare the peak memory on so many images with that on half as many."""
    images = read_cifar(arguments.memory_images)
    peaks = []
    for number, part in enumerate((images[::2], images)):
        shards = write_shards(folder / f"shards-{number}", part)
        cost = run_child(shards, folder / f"store-{number}")
        peaks.append(cost.peak_gib)
        say(f"Memory: {len(part)} images, {cost.peak_gib:.2f} GiB at most")
    say(f"  ratio {peaks[1] / peaks[0]:.3f}")


# --- Ways of computing features -------------------------------------------------------
def extraction(store: str):
    """Return the default extraction of the pipeline."""
    from graft.components.features.extraction import Extraction
    from graft.trainer.config import ModelConfig
    from graft.trainer.preprocessing.spec import PreprocessingSpec

    return Extraction(
        model_json=ModelConfig().model_dump_json(),
        preprocessing_json=PreprocessingSpec(
            height=SIZE, width=SIZE, scaling="lite"
        ).to_json(),
        engine="auto",
        precision="float32",
        store_folder=store,
        class_names=tuple(read_class_names()),
    )


def plain_dataset(files: Sequence[str]):
    """Decode and resize as tutorials do."""
    import tensorflow as tf

    from graft.contract import example_keys

    spec = {example_keys.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}

    def load(record):
        encoded = tf.io.parse_single_example(record, spec)[example_keys.IMAGE_KEY]
        pixels = tf.io.decode_jpeg(encoded, channels=3)
        return (tf.image.resize(pixels, [SIZE, SIZE], "bicubic") - 127.0) / 128.0

    return (
        tf.data.TFRecordDataset(list(files))
        .map(load, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(32)
        .prefetch(tf.data.AUTOTUNE)
    )


def run_child(shards: Sequence[tuple[str, ...]], store: Path) -> Cost:
    """Run the component's Beam job in a process of its own."""
    tasks = store.with_suffix(".json")
    tasks.write_text(json.dumps({"shards": list(shards), "store": str(store)}))
    output = subprocess.run(
        [sys.executable, str(Path(__file__)), CHILD, str(tasks)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    return Cost(**json.loads(output.splitlines()[-1]))


def child(tasks: str) -> None:
    """Extract the shards on Beam, and print time and memory without imports."""
    import apache_beam as beam

    from graft.components.features.extraction import ExtractShard, Shard
    from graft.pipeline.beam_settings import keep_beam_local

    keep_beam_local()
    task = json.loads(Path(tasks).read_text())
    described = extraction(task["store"])
    start = now()
    with beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create([Shard(*shard) for shard in task["shards"]])
            | beam.Reshuffle()
            | beam.ParDo(ExtractShard(described))
        )
    end = now()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    cost = Cost(end.seconds - start.seconds, end.cpu_seconds - start.cpu_seconds, peak)
    say(json.dumps(cost.__dict__))


# --- Images ---------------------------------------------------------------------------
def data_folder() -> Path:
    """Return the folder of real images."""
    named = os.environ.get("GRAFT_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        sys.exit(f"{folder} is not here: GRAFT_TEST_DATA names the real images' folder")
    return folder


def read_cifar(num_images: int) -> list[tuple[str, bytes]]:
    """Return (class name, file) of CIFAR-10 images, the classes in turn."""
    by_class: dict[str, list[bytes]] = {}
    with tarfile.open(data_folder() / "cifar10_train.tar.xz") as archive:
        for name, content in _files(archive):
            of_class = by_class.setdefault(name, [])
            if len(of_class) < -(-num_images // 10):
                of_class.append(content)
    return [
        (name, row)
        for rows in zip(*by_class.values(), strict=True)
        for name, row in zip(by_class, rows, strict=True)
    ][:num_images]


def read_santa() -> list[tuple[str, bytes]]:
    """Return Santa's photographs as (class name, file)."""
    with tarfile.open(data_folder() / "santa.tar") as archive:
        return list(_files(archive))


def _files(archive: tarfile.TarFile) -> Iterable[tuple[str, bytes]]:
    for member in archive:
        file = archive.extractfile(member) if member.isfile() else None
        if file is not None:
            yield Path(member.name).parent.name, file.read()


def read_class_names() -> list[str]:
    """Return the classes of both data sets."""
    cifar = "airplane automobile bird cat deer dog frog horse ship truck".split()
    return sorted([*cifar, "santa", "not_santa"])


def write_shards(
    folder: Path, images: Sequence[tuple[str, bytes]]
) -> list[tuple[str, ...]]:
    """Write examples as ImageExampleGen does; return metadata, images and target."""
    import tensorflow as tf

    from graft.contract import example_keys

    folder.mkdir(parents=True)
    shards = []
    for start in range(0, len(images), IMAGES_PER_SHARD):
        paths = tuple(
            str(folder / f"{kind}-{start:06d}")
            for kind in ("metadata", "images", "features")
        )
        shards.append(paths)
        with (
            tf.io.TFRecordWriter(paths[0]) as metadata,
            tf.io.TFRecordWriter(paths[1]) as whole,
        ):
            part = images[start : start + IMAGES_PER_SHARD]
            for number, (name, encoded) in enumerate(part, start=start):
                example = tf.train.Example()
                feature = example.features.feature
                for key, value in (
                    (
                        example_keys.CONTENT_HASH_KEY,
                        hashlib.sha256(encoded).hexdigest(),
                    ),
                    (example_keys.FILENAME_KEY, f"{name}/{number}.jpg"),
                    (example_keys.CLASS_NAME_KEY, name),
                ):
                    feature[key].bytes_list.value.append(value.encode())
                metadata.write(example.SerializeToString())
                feature[example_keys.IMAGE_KEY].bytes_list.value.append(encoded)
                whole.write(example.SerializeToString())
    return shards


# --- Clocks ---------------------------------------------------------------------------
def now() -> Cost:
    """Read the clocks of wall time and of this process's processors."""
    return Cost(time.monotonic(), time.process_time())


def in_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, Cost]:
    """Run each function once to warm up, then all in turn; return the best of each."""
    for way in ways.values():
        way()
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = now()
            way()
            end = now()
            costs[name].append(
                Cost(
                    *(b - a for a, b in zip(astuple(start), astuple(end), strict=True))
                )
            )
    return {
        name: Cost(
            min(cost.seconds for cost in found),
            min(cost.cpu_seconds for cost in found),
        )
        for name, found in costs.items()
    }


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:2] == [CHILD]:
        child(sys.argv[2])
    else:
        main()
