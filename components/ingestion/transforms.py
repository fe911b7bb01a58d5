"""The Beam transforms of ingestion: hash possible copies; read, check and write shards.

Workers exchange names of list files, counts and quarantined images. The bytes of an
image never leave the worker that read them. So memory does not grow with the data.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, NamedTuple, TypeVar

import apache_beam as beam
import tensorflow as tf

from graft.components.ingestion.readability import examine
from graft.components.ingestion.shards import EXAMPLES, METADATA, ShardFolders
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef, printable, read_bytes
from graft.components.ingestion.sources.splitting import choose_split
from graft.components.progress import Progress
from graft.contract import example_keys
from graft.contract.image_signatures import has_image_signature
from graft.storage import atomic, files, hashing
from graft.storage.paths import is_remote
from graft.trainer.decoding.from_bytes import ImageHeader, check_pixels

METRICS_NAMESPACE = "graft.ImageExampleGen"

QUARANTINED_TAG = "quarantined"

# These threads wait for a network. They need no core.
_NUM_REMOTE_THREADS = 16
_MOST_LOCAL_THREADS = 8
_IN_FLIGHT_PER_THREAD = 2
_IN_FLIGHT_BYTES = 64 * 2**20
# Handing work to a thread is expensive for a single small image.
_CHUNK_IMAGES = 32
_CHUNK_BYTES = 2 * 2**20
# Smaller files are read without a pool, because threads would wait for Python's lock
# (docs/decisions/0060-measured-choices.md).
_BYTES_WORTH_A_THREAD = 8 << 10
_UNKNOWN_BYTES = 2**20
# Larger images are decoded one at a time, to limit memory.
_LARGE_IMAGE_PIXELS = 16_000_000

Result = TypeVar("Result")


class ShardTask(NamedTuple):
    """The images of one shard.

    Attributes:
        list_path: File of one `ImageRef` per line.
        begin: Position of its first line in the list of all images.
        number: Number of the shard, from 0.
        total: Number of shards.
    """

    list_path: str
    begin: int
    number: int
    total: int


class Quarantined(NamedTuple):
    """An image that can't be used.

    Attributes:
        filename: Name in the data set, printable.
        class_name: Class name.
        reason: Why it can't be used.
        num_bytes: Size of the file; None if it is not known.
    """

    filename: str
    class_name: str
    reason: str
    num_bytes: int | None


class ShardCounts(NamedTuple):
    """Counts of one written shard.

    Attributes:
        images: Split, class name, and number of images.
        num_bytes: Size of the encoded images.
        rare: Position and content hash of each image of a rare class.
    """

    images: list[tuple[str, str, int]]
    num_bytes: int
    rare: list[tuple[int, str]]


class CheckedImage(NamedTuple):
    """A readable image."""

    encoded: bytes
    content_hash: str
    header: ImageHeader


class HashImages(beam.PTransform):
    """Hash images: ShardTasks in, lists of (position among all, SHA-256 or None) out.

    None means that the file can't be read or has no image signature. Such files don't
    count as copies of each other.
    """

    def __init__(self, config: DataConfig, progress: Progress) -> None:
        super().__init__()
        self._config = config
        self._progress = progress

    def expand(self, tasks: beam.PCollection) -> beam.PCollection:
        """Apply it to a collection of `ShardTask`."""
        return tasks | "Hash" >> beam.ParDo(_HashImagesFn(self._config, self._progress))


class WriteShards(beam.PTransform):
    """Read, check and write images: ShardTasks in, ShardCounts and Quarantined out.

    Each task becomes two files per split: with and without the images' bytes. A file
    gets its final name when it is complete.

    Example:
        shards = tasks | WriteShards(config, folders, rare_classes, progress)
        counts, bad = shards.counts, shards[QUARANTINED_TAG]
    """

    def __init__(
        self,
        config: DataConfig,
        folders: ShardFolders,
        rare_classes: frozenset[str],
        progress: Progress,
    ) -> None:
        super().__init__()
        self._fn = _WriteShardFn(config, folders, rare_classes, progress)

    def expand(self, tasks: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Apply it to a collection of `ShardTask`."""
        return tasks | "ReadCheckWrite" >> beam.ParDo(self._fn).with_outputs(
            QUARANTINED_TAG, main="counts"
        )


def read_list(path: str) -> Iterator[ImageRef]:
    """Read the images of a list file."""
    with files.open_for_reading(path) as file:
        for line in file:
            yield ImageRef.from_json(line)


class WriteJson(beam.PTransform):
    """Write the elements of a small collection as one JSON list, in any order."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, values: beam.PCollection) -> beam.PCollection:
        """Apply it to a collection of JSON values."""
        return (
            values
            | "Gather" >> beam.combiners.ToList()
            | "Write" >> beam.Map(_write_json, self._path)
        )


def to_example(image: CheckedImage, ref: ImageRef) -> tuple[bytes, bytes]:
    """Serialize an image as a tf.Example with and without its bytes.

    Returns:
        The whole example, and the same without `example_keys.IMAGE_KEY`.
    """
    example = tf.train.Example()
    feature = example.features.feature
    for key, text in (
        (example_keys.FORMAT_KEY, image.header.format),
        (example_keys.FILENAME_KEY, printable(ref.name)),
        (example_keys.CLASS_NAME_KEY, ref.class_name),
        (example_keys.CONTENT_HASH_KEY, image.content_hash),
        (example_keys.SOURCE_KEY, printable(ref.source)),
        *(
            (example_keys.COLUMN_PREFIX + column, value)
            for column, value in ref.columns
        ),
    ):
        feature[key].bytes_list.value.append(text.encode())
    feature[example_keys.HEIGHT_KEY].int64_list.value.append(image.header.height)
    feature[example_keys.WIDTH_KEY].int64_list.value.append(image.header.width)
    metadata = example.SerializeToString(deterministic=True)
    feature[example_keys.IMAGE_KEY].bytes_list.value.append(image.encoded)
    return example.SerializeToString(deterministic=True), metadata


class _PooledFn(beam.DoFn):
    """A DoFn with a thread pool. Reading and decoding release Python's lock."""

    def __init__(self, config: DataConfig, progress: Progress) -> None:
        self._config = config
        self._progress = progress
        self._pool: ThreadPoolExecutor | None = None

    def setup(self) -> None:
        self._large = threading.Lock()
        self._is_remote = is_remote(self._config.path)
        num_threads = (
            _NUM_REMOTE_THREADS
            if self._is_remote
            else min(_MOST_LOCAL_THREADS, os.cpu_count() or 1)
        )
        self._num_in_flight = _IN_FLIGHT_PER_THREAD * num_threads
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="ingest")

    def teardown(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _in_order(
        self, function: Callable[[ImageRef], Result], refs: Iterable[ImageRef]
    ) -> Iterator[tuple[ImageRef, Result | ValueError]]:
        """Apply `function` in threads; yield results in order, a few images ahead."""
        if self._pool is None:
            raise RuntimeError("setup() comes before process()")
        waiting: deque[tuple[int, Future[list[tuple[ImageRef, Any]]]]] = deque()
        num_bytes = 0
        for chunk, chunk_bytes in _chunks(refs):
            num_bytes += chunk_bytes
            while waiting and (
                len(waiting) >= self._num_in_flight or num_bytes > _IN_FLIGHT_BYTES
            ):
                done_bytes, future = waiting.popleft()
                num_bytes -= done_bytes
                yield from future.result()
            is_small = chunk_bytes < _BYTES_WORTH_A_THREAD * len(chunk)
            at_once = is_small and not self._is_remote
            submit = _at_once if at_once else self._pool.submit
            waiting.append((chunk_bytes, submit(_apply, function, chunk)))
        for _, future in waiting:
            yield from future.result()


def _at_once(function: Callable[..., Result], *arguments: Any) -> Future[Result]:
    """Call a function in this thread, and return a future like a pool's."""
    future: Future[Result] = Future()
    future.set_result(function(*arguments))
    return future


def _chunks(refs: Iterable[ImageRef]) -> Iterator[tuple[list[ImageRef], int]]:
    """Split a list into chunks for threads; yield each with its number of bytes."""
    chunk: list[ImageRef] = []
    num_bytes = 0
    for ref in refs:
        chunk.append(ref)
        num_bytes += ref.size if ref.size is not None else _UNKNOWN_BYTES
        if len(chunk) >= _CHUNK_IMAGES or num_bytes >= _CHUNK_BYTES:
            yield chunk, num_bytes
            chunk, num_bytes = [], 0
    if chunk:
        yield chunk, num_bytes


def _apply(
    function: Callable[[ImageRef], Result], refs: list[ImageRef]
) -> list[tuple[ImageRef, Result | ValueError]]:
    """Apply a function to images; the error of a bad image is its result."""
    results: list[tuple[ImageRef, Result | ValueError]] = []
    for ref in refs:
        try:
            results.append((ref, function(ref)))
        except ValueError as error:
            results.append((ref, error))
    return results


class _HashImagesFn(_PooledFn):
    def process(self, task: ShardTask) -> Iterator[list[tuple[int, str | None]]]:
        found: list[tuple[int, str | None]] = []
        results = self._in_order(self._hash, read_list(task.list_path))
        for position, (_, result) in enumerate(results, start=task.begin):
            found.append((position, None if isinstance(result, ValueError) else result))
            self._progress.advance("files compared")
        yield found

    def _hash(self, ref: ImageRef) -> str:
        encoded = read_bytes(ref, self._config.max_file_bytes)
        if not has_image_signature(encoded):
            raise ValueError("not an image")
        return hashing.hash_bytes(encoded)


class _WriteShardFn(_PooledFn):
    def __init__(
        self,
        config: DataConfig,
        folders: ShardFolders,
        rare_classes: frozenset[str],
        progress: Progress,
    ) -> None:
        super().__init__(config, progress)
        self._folders = folders
        self._rare_classes = rare_classes
        self._num_written = beam.metrics.Metrics.counter(
            METRICS_NAMESPACE, "images_written"
        )
        self._num_quarantined = beam.metrics.Metrics.counter(
            METRICS_NAMESPACE, "images_quarantined"
        )

    def process(self, task: ShardTask) -> Iterator[Any]:
        images: Counter[tuple[str, str]] = Counter()
        num_bytes = 0
        rare: list[tuple[int, str]] = []
        with self._folders.writers(task.number, task.total) as writers:
            checked = self._in_order(self._check, read_list(task.list_path))
            for position, (ref, image) in enumerate(checked, start=task.begin):
                self._progress.advance("images")
                if isinstance(image, ValueError):
                    self._num_quarantined.inc()
                    yield beam.pvalue.TaggedOutput(
                        QUARANTINED_TAG,
                        Quarantined(
                            printable(ref.name), ref.class_name, str(image), ref.size
                        ),
                    )
                    continue
                split = choose_split(
                    image.content_hash, ref.splits, self._config.splits
                )
                whole, metadata = to_example(image, ref)
                writers[EXAMPLES, split].write(whole)
                writers[METADATA, split].write(metadata)
                self._num_written.inc()
                images[split, ref.class_name] += 1
                num_bytes += len(image.encoded)
                if ref.class_name in self._rare_classes and len(ref.splits) > 1:
                    rare.append((position, image.content_hash))
        counts = [(split, name, number) for (split, name), number in images.items()]
        yield ShardCounts(sorted(counts), num_bytes, rare)

    def _check(self, ref: ImageRef) -> CheckedImage:
        encoded = read_bytes(ref, self._config.max_file_bytes)
        header, num_pixels = examine(encoded, self._config.max_pixels)
        with self._large if num_pixels > _LARGE_IMAGE_PIXELS else nullcontext():
            check_pixels(encoded, header.format)
        return CheckedImage(encoded, hashing.hash_bytes(encoded), header)


def _write_json(value: object, path: str) -> None:
    """Write a value as a JSON file, atomically."""
    atomic.write_text(path, json.dumps(value))
