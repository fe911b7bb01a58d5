"""A real SavedModel with the contract's signatures, and real servers over it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLASS_NAMES = ("red", "green", "blue")

# Built in a process of its own: the tests' process needs no TensorFlow API.
BUILD = '''
import sys
import tensorflow as tf
from graft.contract import example_keys, signature_names

NAMES = ["red", "green", "blue"]

class Colours(tf.Module):
    """Tells which channel of an image is the strongest."""

    def __init__(self, slope):
        super().__init__()
        self.slope = tf.Variable(slope, dtype=tf.float32)

    def scores(self, images):
        def mean_colour(image):
            pixels = tf.io.decode_image(image, channels=3, expand_animations=False)
            return tf.reduce_mean(tf.cast(pixels, tf.float32), [0, 1]) / 255.0
        means = tf.map_fn(mean_colour, images, fn_output_signature=tf.float32)
        return tf.nn.softmax(self.slope * tf.reshape(means, [-1, 3]))

    def answer(self, images):
        scores = self.scores(images)
        return {signature_names.PROBABILITIES_OUTPUT: scores,
                signature_names.LABEL_OUTPUT: tf.gather(NAMES, tf.argmax(scores, -1))}

    def images_of(self, examples):
        spec = {example_keys.IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}
        return tf.io.parse_example(examples, spec)[example_keys.IMAGE_KEY]

def strings(name):
    return tf.TensorSpec([None], tf.string, name)

def floats(name, shape=(None,)):
    return tf.TensorSpec(shape, tf.float32, name)

def build(path, slope):
    module = Colours(slope)
    def function(*specs):
        def wrap(body):
            return tf.function(body, input_signature=specs)
        return wrap

    @function(strings(signature_names.EXAMPLES_INPUT))
    def serving_default(examples):
        return module.answer(module.images_of(examples))

    @function(strings(signature_names.IMAGES_INPUT))
    def predict_images(images):
        return module.answer(images)

    @function(strings(signature_names.IMAGES_INPUT))
    def predict_images_each(images):
        is_png = tf.equal(tf.strings.substr(images, 0, 4), b"\\x89PNG")
        grey = tf.io.encode_png(tf.fill([2, 2, 3], tf.constant(127, tf.uint8)))
        return {**module.answer(tf.where(is_png, images, grey)),
                signature_names.ERROR_OUTPUT: tf.where(is_png, "", "no PNG")}

    @function(strings("inputs"))
    def classify(inputs):
        scores = module.scores(module.images_of(inputs))
        classes = tf.tile(tf.constant([NAMES]), [tf.shape(inputs)[0], 1])
        return {"classes": classes, "scores": scores}

    @function(strings("inputs"))
    def regress(inputs):
        spec = {"x": tf.io.FixedLenFeature([1], tf.float32)}
        return {"outputs": tf.io.parse_example(inputs, spec)["x"] * module.slope}

    @function(floats("x"))
    def line(x):
        return {"y": x * module.slope}

    @function(floats("a"), floats("b"))
    def two(a, b):
        return {"sum": a + b, "product": a * b}

    @function(floats("x", (None, 2)))
    def rows(x):
        return {"total": tf.linalg.matvec(x, [1.0, 1.0])}

    @function(tf.TensorSpec([None], tf.int64, "n"))
    def counts(n):
        return {"twice": n * 2}

    @function(strings("text"))
    def echo(text):
        return {"echo_bytes": text, "text": text}

    @function(floats("x"))
    def whole(x):
        return {"total": tf.reduce_sum(x), "x": x}

    @function(floats("x"))
    def slow(x):
        def turn(i, y):
            return i + 1, tf.tensordot(y, y, 1) / 1e6
        limit = tf.cast(x[0], tf.int32)
        start = tf.ones([300, 300])
        _, y = tf.while_loop(lambda i, y: i < limit, turn, [0, start])
        return {"y": x + 0 * tf.reduce_sum(y)}

    signatures = dict(serving_default=serving_default, predict_images=predict_images,
                      classify=classify, regress=regress, line=line, two=two,
                      predict_images_each=predict_images_each, rows=rows,
                      counts=counts, echo=echo, whole=whole, slow=slow)
    tf.saved_model.save(module, path, signatures=signatures)

build(sys.argv[1], 4.0)
build(sys.argv[2], 8.0)
'''


@pytest.fixture(scope="session")
def model_versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of two SavedModels; `line` multiplies by 4 in one, by 8 in the other."""
    folder = tmp_path_factory.mktemp("models")
    paths = folder / "four", folder / "eight"
    subprocess.run(
        [sys.executable, "-c", BUILD, *map(str, paths)],
        check=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    return paths


@pytest.fixture
def publish(model_versions: tuple[Path, Path]) -> Callable[[Path, int], Path]:
    """Copies a version into a base path so that it appears at once, as Pusher does."""

    def copy(base_path: Path, number: int, source: Path | None = None) -> Path:
        base_path.mkdir(parents=True, exist_ok=True)
        hidden = base_path / f".{number}"
        shutil.copytree(source or model_versions[(number - 1) % 2], hidden)
        return hidden.rename(base_path / str(number))

    return copy


@dataclass
class RunningServer:
    """A server process that is ready."""

    process: subprocess.Popen[bytes]
    port: int
    rest_port: int
    log: Path

    @property
    def target(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"http://localhost:{self.rest_port}"

    def listens(self) -> bool:
        """Whether both ports are open."""
        return _is_open(self.port) and _is_open(self.rest_port)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("localhost", port)) == 0


@contextlib.contextmanager
def _run_server(
    log: Path, *flags: str, wait: bool = True, wrapper: tuple[str, ...] = ()
) -> Iterator[RunningServer]:
    """Start `python -m graft.serving.embedded` on free ports; stop it at the end.

    `wrapper` is a command that runs the server's command.
    """
    port, rest_port = _free_port(), _free_port()
    command = [
        *wrapper,
        sys.executable,
        "-m",
        "graft.serving.embedded",
        f"--port={port}",
        f"--rest_api_port={rest_port}",
        "--host=localhost",
        *flags,
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream)
    server = RunningServer(process, port, rest_port, log)
    try:
        deadline = time.monotonic() + 90
        while wait and not server.listens():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server didn't start:\n{log.read_text()}")
            time.sleep(0.05)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, model_versions: tuple[Path, Path]
) -> Iterator[RunningServer]:
    """A server over version 1 of the model `colours`, for tests that change nothing."""
    base_path = tmp_path_factory.mktemp("served") / "colours"
    shutil.copytree(model_versions[0], base_path / "1")
    monitoring = base_path.parent / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    flags = (
        "--model_name=colours",
        f"--model_base_path={base_path}",
        f"--monitoring_config_file={monitoring}",
        "--enable_grpc_healthcheck_service",
        "--grpc_max_threads=64",
        "--rest_api_timeout_in_ms=20000",
        # Large messages pass on a machine with little memory, too.
        f"--max_request_memory_bytes={2**34}",
    )
    with _run_server(base_path.parent / "server.log", *flags) as running:
        yield running


@pytest.fixture(scope="session")
def run_server() -> Callable[..., contextlib.AbstractContextManager[RunningServer]]:
    """Starts a server on free ports: log file, flags, wait=True -> RunningServer."""
    return _run_server


def png(red: int, green: int, blue: int, size: int = 4) -> bytes:
    """Return a PNG of one colour."""
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (size, size), (red, green, blue)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def colours() -> dict[str, bytes]:
    """A PNG of each class."""
    return {
        "red": png(250, 5, 5),
        "green": png(5, 250, 5),
        "blue": png(5, 5, 250),
    }


@pytest.fixture
def serve_colours(tmp_path, publish, run_server):
    """Starts a server of few threads with the given flags."""
    publish(tmp_path / "colours", 1)
    flags = ("--model_name=colours", f"--model_base_path={tmp_path / 'colours'}")

    def start(*more, **settings):
        return run_server(
            tmp_path / "log", *flags, "--grpc_max_threads=4", *more, **settings
        )

    return start
