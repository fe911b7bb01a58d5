"""What a run computes and what it reads, after changed data, damage and kills."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path
from unittest import mock

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.testing import test_pipeline

from graft.components.features import extraction as extraction_module
from graft.components.features import image_batches
from graft.components.features.extraction import (
    COMPUTED,
    DAMAGED,
    FROM_STORE,
    METRICS_NAMESPACE,
    ExtractShard,
    release_workers,
)
from graft.components.features.image_batches import ImageReader
from graft.components.progress import Count, Progress
from graft.contract.errors import DataError
from graft.storage import atomic, files
from graft.storage.content_store.store import ContentStore
from graft.storage.content_store.store_upkeep import summarise
from graft.trainer.backbones.backbone import build_backbone
from graft.trainer.backbones.feature_engine import OpenVinoEngine

PROGRAM = Path(__file__).with_name("run_extraction.py")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def pictures(make_pictures):
    return make_pictures(24)  # 96: three batches


@pytest.fixture
def one_file_a_batch(monkeypatch):
    monkeypatch.setattr(extraction_module, "FILE_BYTES", 1)


def _store_files(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("*/*.arrow"))


def _same(found, expected) -> None:
    assert found.labels == expected.labels
    for name, value in expected.values.items():
        np.testing.assert_array_equal(found.values[name], value)


# --- Changes of the data --------------------------------------------------------------
def test_what_is_not_new_is_not_computed(
    pictures, make_pictures, write_shard, make_extraction, extract
):
    extraction = make_extraction()
    first = extract(extraction, write_shard(pictures))
    assert first.num_computed == len(pictures)

    relabelled = [replace(each, class_name="rows") for each in pictures]
    found = extract(extraction, write_shard(relabelled))
    assert found.num_computed == 0
    assert set(found.labels.values()) == {extraction.class_names.index("rows")}

    fewer = pictures[::2]
    found = extract(extraction, write_shard(fewer))
    assert found.num_computed == 0
    assert set(found.values) == {each.filename for each in fewer}

    # A class that sorts before the others moves every label, and no feature.
    added = [
        replace(each, class_name="added", filename=f"added/{each.filename}")
        for each in make_pictures(2, 500)
    ]
    more = replace(extraction, class_names=("added", *extraction.class_names))
    found = extract(more, write_shard([*pictures, *added]))
    assert found.num_computed == len(added)
    for each in pictures:
        assert found.labels[each.filename] == first.labels[each.filename] + 1
        np.testing.assert_array_equal(
            found.values[each.filename], first.values[each.filename]
        )
    for each in added:
        assert found.labels[each.filename] == 0


def test_a_class_without_training_images_is_named(
    pictures, write_shard, make_extraction, extract
):
    extraction = make_extraction(class_names=("bars", "rays"))
    with pytest.raises(DataError, match="'checks' has images to evaluate but none"):
        extract(extraction, write_shard(pictures))


def test_a_store_on_s3_gives_a_second_run_what_the_first_computed(
    pictures, make_pictures, write_shard, make_extraction, extract, s3_folder
):
    extraction = make_extraction(store=f"{s3_folder}/features")
    first = extract(extraction, write_shard(pictures))
    assert first.num_computed == len(pictures)
    _same(extract(make_extraction(), write_shard(pictures)), first)
    again = extract(extraction, write_shard(pictures))
    assert again.num_computed == 0
    _same(again, first)
    added = make_pictures(1, 900)
    assert extract(extraction, write_shard([*pictures, *added])).num_computed == len(
        added
    )
    (summary,) = summarise(f"{s3_folder}/features")
    assert summary.num_images == len(pictures) + len(added)
    assert summary.num_damaged == 0


# --- Damage, reported -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("damage", "place"),
    [("truncated", "disk"), ("flipped", "disk"), ("flipped", "bucket")],
)
def test_a_damaged_file_is_computed_anew_and_reported(
    pictures, write_shard, make_extraction, extract, one_file_a_batch, damage, place,
    request, caplog,
):  # fmt: skip
    changes = {}
    if place == "bucket":
        changes["store"] = f"{request.getfixturevalue('s3_folder')}/features"
    extraction, shard = make_extraction(**changes), write_shard(pictures)
    expected = extract(extraction, shard)
    paths = files.files_below(extraction.store_folder)
    victim = [path for path in paths if path.endswith(".arrow")][1]
    content = bytearray(files.read_bytes(victim))
    if damage == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 4
    atomic.write_bytes(victim, bytes(content))

    release_workers()
    pipeline = test_pipeline.TestPipeline()
    _ = pipeline | beam.Create([shard]) | beam.ParDo(ExtractShard(extraction))
    result = pipeline.run()
    result.wait_until_finish()
    counts = {
        counter.key.metric.name: counter.result
        for counter in result.metrics().query(
            beam.metrics.MetricsFilter().with_namespace(METRICS_NAMESPACE)
        )["counters"]
    }
    lost = OpenVinoEngine.batch_size
    assert counts == {FROM_STORE: len(pictures) - lost, COMPUTED: lost, DAMAGED: 1}
    assert f"{victim} is damaged; its content is computed again" in caplog.text
    assert files.exists(f"{victim}.damaged")
    _same(extract(extraction, shard), expected)


# --- Kills, and two at once -----------------------------------------------------------
def _start(folder: Path, extraction, shard, files: int | None) -> subprocess.Popen:
    arguments = folder / f"{Path(shard.target).parent.name}.json"
    arguments.write_text(
        json.dumps(
            {
                "extraction": dataclasses.asdict(extraction),
                "shard": dataclasses.astuple(shard),
                "files": files,
            }
        )
    )
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_kill_in_the_middle_loses_the_unfinished_file_alone(
    pictures, write_shard, make_extraction, extract, tmp_path
):
    extraction, shard = make_extraction(), write_shard(pictures)
    with _start(tmp_path, extraction, shard, files=2) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "in the middle\n"
        os.kill(process.pid, signal.SIGKILL)
    store = Path(extraction.store_folder)
    assert len(_store_files(store)) == 2
    assert len(list(store.glob("*/*.partial"))) == 1
    assert not Path(shard.target).exists()

    found = extract(extraction, shard)
    assert found.num_computed == len(pictures) - 2 * OpenVinoEngine.batch_size
    _same(found, extract(make_extraction(store=str(tmp_path / "other")), shard))


def test_two_runs_at_once_on_one_store_both_end_well(
    pictures, write_shard, make_extraction, extract, tmp_path
):
    extraction = make_extraction(has_graph=False)
    shards = [write_shard(pictures), write_shard(pictures[::-1])]
    processes = [_start(tmp_path, extraction, shard, files=None) for shard in shards]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # both have opened the store while it was empty
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    folder = Path(extraction.store_folder)
    assert not list(folder.glob("*/*.partial"))
    assert not list(folder.glob("*/*.damaged"))
    expected = extract(make_extraction(store=str(tmp_path / "alone")), shards[0])
    for shard in shards:
        again = extract(extraction, shard)
        assert again.num_computed == 0
        assert again.labels == expected.labels
        for name, value in expected.values.items():
            np.testing.assert_allclose(again.values[name], value, atol=1e-4)


# --- On Beam --------------------------------------------------------------------------
def test_a_process_loads_the_backbone_once_and_only_for_what_is_new(
    pictures, write_shard, make_extraction, monkeypatch
):
    loads = []

    def counted(model):
        loads.append(model)
        return build_backbone(model)

    monkeypatch.setattr(extraction_module, "shared_backbone", counted)
    extraction = make_extraction(has_graph=False)
    shards = [write_shard(pictures[start::4]) for start in range(4)]
    for expected_loads in (1, 1):
        progress = Progress()
        progress.expect("images", len(pictures))
        with test_pipeline.TestPipeline(
            options=beam.options.pipeline_options.PipelineOptions(
                ["--direct_running_mode=multi_threading", "--direct_num_workers=2"]
            )
        ) as pipeline:
            do_fn = ExtractShard(extraction, progress)
            _ = pipeline | beam.Create(shards) | beam.ParDo(do_fn)
        assert len(loads) == expected_loads
        assert progress.snapshot()["images"] == Count(96, 96)
        release_workers()


def test_a_waiting_engine_stops_the_reader(pictures, write_shard):
    decoded = tf.Variable(0)

    def prepare(encoded: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([decoded.assign_add(1)]):
            return tf.zeros([2, 2, 3])

    shard = write_shard(pictures)
    wanted = {each.key for each in pictures}
    batches = ImageReader(prepare, batch_size=2).read(shard.images, wanted)
    assert len(next(batches).keys) == 2
    _wait_until_still(decoded)
    # The batch taken, the batches ahead, one being filled, an image per thread: 12 with
    # two threads. TensorFlow fuses decoding with batching, which then read some more on
    # a busy machine.
    assert decoded.numpy() <= len(pictures) // 2
    rest = sum(len(batch.keys) for batch in batches)
    assert rest == len(pictures) - 2
    assert decoded.numpy() == len(pictures)


def test_a_reader_reads_shard_after_shard(pictures, write_shard):
    reader = ImageReader(lambda encoded: tf.zeros([2, 2, 3]), batch_size=2)
    first, second = write_shard(pictures[:5]), write_shard(pictures[5:])

    def keys_of(shard, wanted):
        batches = reader.read(shard.images, wanted)
        return [key for batch in batches for key in batch.keys]

    wanted = {each.key for each in pictures}
    assert keys_of(first, wanted) == [each.key for each in pictures[:5]]
    # The wanted images of one shard don't count for the next.
    last = pictures[-1].key
    assert keys_of(second, {last}) == [last]
    assert keys_of(second, set()) == []
    # Stopping half-way, or before the start, does not affect the next shard.
    next(reader.read(first.images, wanted))
    reader.read(first.images, wanted).close()
    assert keys_of(second, wanted) == [each.key for each in pictures[5:]]
    with pytest.raises(tf.errors.NotFoundError):
        keys_of(replace(first, images=first.images + "-missing"), wanted)
    assert keys_of(first, {last, pictures[0].key}) == [pictures[0].key]


@pytest.mark.parametrize("end", ["close", "stop", "error", "drop"])
def test_the_end_of_a_reader_needs_no_garbage_collector(
    pictures, write_shard, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Closing, stopping and errors delete the iterator, and so end its threads."""
    iterators = []
    original = image_batches._Stream

    def spy(*arguments):
        stream = original(*arguments)
        iterators.append(weakref.ref(stream.batches))
        return stream

    monkeypatch.setattr(image_batches, "_Stream", spy)
    shard, wanted = write_shard(pictures), {each.key for each in pictures}
    gc.collect()
    gc.disable()
    try:
        reader = ImageReader(lambda encoded: tf.zeros([2, 2, 3]), batch_size=2)
        match end:
            case "stop":
                batches = reader.read(shard.images, wanted)
                next(batches)
                batches.close()
            case "error":
                with pytest.raises(tf.errors.NotFoundError, match="-missing") as caught:
                    list(reader.read(shard.images + "-missing", wanted))
                assert caught.value is not None  # it does not keep the iterator
            case _:
                list(reader.read(shard.images, wanted))
                list(reader.read(shard.images, wanted))
                (iterator,) = iterators
                assert iterator() is not None  # one for both shards
                if end == "close":
                    reader.close()
                del reader
        assert [iterator() for iterator in iterators] == [None]
    finally:
        gc.enable()


@pytest.mark.parametrize("is_stopped", [False, True], ids=["whole", "stopped"])
def test_a_node_ends_its_reader(
    pictures, write_shard, make_extraction, monkeypatch, is_stopped: bool
) -> None:
    """The node closes the stream, also if it stops in the middle of a shard."""
    closed = []
    original = image_batches._Stream.close
    monkeypatch.setattr(
        image_batches._Stream,
        "close",
        lambda stream: (original(stream), closed.append(stream)),
    )
    do_fn = ExtractShard(make_extraction())
    do_fn.setup()
    if is_stopped:
        monkeypatch.setattr(extraction_module, "FILE_BYTES", 1)
        monkeypatch.setattr(
            ContentStore, "put", mock.Mock(side_effect=OSError("the disk is full"))
        )
        with pytest.raises(OSError, match="the disk is full"):
            list(do_fn.process(write_shard(pictures)))
    else:
        list(do_fn.process(write_shard(pictures)))
        assert not closed
        do_fn.teardown()
    assert len(closed) == 1
    do_fn.teardown()
    assert len(closed) == 1


def _wait_until_still(number: tf.Variable) -> None:

    last, since = -1, time.monotonic()
    while time.monotonic() - since < 0.5:
        if number.numpy() != last:
            last, since = number.numpy(), time.monotonic()
        time.sleep(0.02)
