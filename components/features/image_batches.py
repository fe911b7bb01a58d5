"""Read, decode and resize the images of a shard, in batches for the engine.

TensorFlow's threads do this while the engine computes. A few batches and one image per
core wait for the engine. A full buffer stops the reader, so memory does not grow with
the shard.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from graft.contract import example_keys
from graft.storage import files, tfrecords
from graft.trainer.preprocessing.image_preprocessing import resize_image
from graft.trainer.preprocessing.normalisation import normalise_pixels
from graft.trainer.preprocessing.spec import PreprocessingSpec

_BATCHES_AHEAD = 2
# Single reads cost more per record. Records may be large, so the batch is small.
_RECORDS_AT_ONCE = 8

_IMAGE = {
    example_keys.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string),
    example_keys.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string),
}

Prepare = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class ImageBatch:
    """A batch of preprocessed images.

    Attributes:
        keys: SHA-256 of each image, 32 bytes.
        pixels: float32 (len(keys), H, W, 3), preprocessed.
    """

    keys: list[bytes]
    pixels: np.ndarray


def trace_preparation(spec: PreprocessingSpec) -> Prepare:
    """Trace the preprocessing of one encoded image. Call it once per process."""
    prepare: Prepare = tf.function(
        lambda encoded: normalise_pixels(resize_image(encoded, spec), spec.scaling),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )
    return prepare


class ImageReader:
    """Read shards, one after another, through one dataset.

    Building a dataset and its threads is expensive. So it is built once, and a queue
    passes the shards to it. Call `close` to end the threads.

    Args:
        prepare: Made by `trace_preparation`.
        batch_size: The engine's batch size.
    """

    def __init__(self, prepare: Prepare, batch_size: int) -> None:
        self._prepare = prepare
        self._batch_size = batch_size
        self._idle: _Stream | None = None

    def read(self, path: str, wanted: set[bytes]) -> Generator[ImageBatch]:
        """Yield the images whose key is in `wanted`, in the order of the file.

        Close the generator if you don't read it to its end.

        Args:
            path: TFRecord of raw examples.
            wanted: SHA-256 of images, 32 bytes each.
        """
        stream = self._idle or _Stream(self._prepare, self._batch_size)
        # Reuse the stream only if this shard is read to its end. Otherwise the rest of
        # this shard would be mixed with the next one.
        self._idle = None
        is_finished = False
        keys = tf.constant([key.hex() for key in wanted], tf.string)
        try:
            stream.wanted.insert(keys, tf.ones_like(keys, tf.int64))
            with files.local_copy(path) as local:
                stream.paths.enqueue((local, tfrecords.compression_of(path)))
                for hashes, pixels in stream.batches:
                    if not len(hashes):
                        break
                    # A view of the tensor's memory: a batch is too large to copy.
                    yield ImageBatch(
                        [bytes.fromhex(key.decode()) for key in hashes.numpy()],
                        np.asarray(memoryview(pixels)),
                    )
            stream.wanted.remove(keys)
            is_finished = True
        except tf.errors.OpError as error:
            # The frames of the tracebacks would keep the iterator alive.
            error.__context__ = None
            raise error.with_traceback(None) from None
        finally:
            if is_finished:
                self._idle = stream
            else:
                stream.close()

    def close(self) -> None:
        """End the threads of a reader that is not reading."""
        stream, self._idle = self._idle, None
        if stream is not None:
            stream.close()


class _Stream:
    """Batches of the shards in a queue. An empty batch ends each shard.

    `close` deletes the iterator and so ends its threads. The garbage collector must not
    do it: in whatever code and process it runs, it would wait for these threads.

    Attributes:
        paths: Queue of (path, compression).
        wanted: Table whose keys are the hashes, in hexadecimal, of images to read.
        batches: Endless iterator of (hashes, pixels). It waits for the queue.
    """

    def __init__(self, prepare: Prepare, batch_size: int) -> None:
        paths = tf.queue.FIFOQueue(1, [tf.string, tf.string], [[], []])
        wanted = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)
        self.paths, self.wanted = paths, wanted
        no_conversion = tf.autograph.experimental.do_not_convert

        # These functions must not refer to `self`. The iterator keeps them, and would
        # so keep itself alive until the garbage collector runs.
        @no_conversion
        def next_path(_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            path, compression = paths.dequeue()
            return path, compression

        @no_conversion
        def parse(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            parsed = tf.io.parse_example(records, _IMAGE)
            keys = parsed[example_keys.CONTENT_HASH_KEY]
            is_wanted = tf.ensure_shape(wanted.lookup(keys) > 0, [None])
            encoded = tf.boolean_mask(parsed[example_keys.IMAGE_KEY], is_wanted)
            return tf.boolean_mask(keys, is_wanted), encoded

        @no_conversion
        def load(key: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return key, prepare(encoded)

        @no_conversion
        def read_shard(path: tf.Tensor, compression: tf.Tensor) -> tf.data.Dataset:
            batches = (
                tf.data.TFRecordDataset(path, compression_type=compression)
                .batch(_RECORDS_AT_ONCE)
                .map(parse)
                .unbatch()
                .map(load, num_parallel_calls=os.cpu_count(), deterministic=True)
                .batch(batch_size)
                .prefetch(_BATCHES_AHEAD)
            )
            end = [
                tf.zeros([0, *spec.shape[1:]], spec.dtype)
                for spec in batches.element_spec
            ]
            return batches.concatenate(tf.data.Dataset.from_tensors(tuple(end)))

        options = tf.data.Options()
        # Otherwise a thread waits for the queue when there is no shard to read.
        options.experimental_optimization.inject_prefetch = False
        # Waking a thread pool costs small ops more than it saves.
        options.threading.max_intra_op_parallelism = 1
        shards = tf.data.Dataset.counter().map(next_path)
        self.batches: Iterator[tuple[tf.Tensor, tf.Tensor]] = iter(
            shards.flat_map(read_shard).with_options(options)
        )

    def close(self) -> None:
        """End the threads, also in the middle of a shard."""
        self.paths.close(cancel_pending_enqueues=True)
        del self.batches
