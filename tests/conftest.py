"""Fixtures that every test may use."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]

# `make test` draws the same examples each time, so that it judges the change at hand.
# `make test-all` draws new ones.
settings.register_profile("repeatable", derandomize=True)


LONGEST = (
    "pipeline/test_end_to_end.py",
    "components/features/test_extraction.py",
    "components/features/test_never_stale.py",
    "components/publishing/test_damage.py",
    "trainer/export/test_saved_model.py",
    "trainer/loops/test_training.py",
    "components/ingestion/test_ingest.py",
    "trainer/decoding/test_corpus.py",
    "serving/embedded/test_process.py",
    "components/quality/test_near_copies.py",
)
"""Files to begin with: a long one at the end would run alone, on one core of many."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first. The order within a file stays."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[
    None, pytest.TestReport, pytest.TestReport
]:
    """Let every report reach pytest-xdist's main process, which takes UTF-8 only.

    Tests log names that are no UTF-8, on purpose.
    """
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode())
        for name, text in report.sections
    ]
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="Write the golden files anew instead of comparing with them.",
    )


@pytest.fixture(scope="session", autouse=True)
def _beam_stays_local() -> None:
    """Beam tests use the runner of `graft run`, and download nothing."""
    if "apache_beam" in sys.modules:
        from graft.pipeline.beam_settings import keep_beam_local

        keep_beam_local()


@pytest.fixture(scope="session", autouse=True)
def _disks_are_not_flushed() -> Iterator[None]:
    """Leave out `fsync` in this process: no test cuts the power.

    Each call waits for the disk, and the tests of the model store alone make thousands.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photographs. A checkout does not have it."""
    named = os.environ.get("GRAFT_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real images are not here: set GRAFT_TEST_DATA to their folder")
    return folder


def write_digits(folder: Path, *, per_class: int, classes: tuple[int, ...]) -> None:
    """Write handwritten digits of scikit-learn as PNG files in class folders."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for digit in classes:
        target = folder / f"digit {digit}"
        target.mkdir(parents=True)
        chosen = digits.images[digits.target == digit][:per_class]
        for index, image in enumerate(chosen):
            pixels = (image * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).save(target / f"{index:03d}.png")


@pytest.fixture(scope="session")
def digit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 60 real images each; read only."""
    folder = tmp_path_factory.mktemp("digits") / "images"
    write_digits(folder, per_class=60, classes=(0, 1, 4))
    return folder


def write_transform_output(
    images: Sequence[bytes], class_names: Sequence[str], spec: Any, scratch: Path
) -> str:
    """Write Transform's output for images, as its node does; return its folder."""
    import tensorflow as tf
    import tensorflow_transform as tft
    from tensorflow_transform import beam as tft_beam

    from graft.components.transform import PREPROCESSING_KEY, preprocessing_fn
    from graft.contract import example_keys

    rows = [
        {example_keys.IMAGE_KEY: image, example_keys.CLASS_NAME_KEY: name.encode()}
        for image, name in zip(images, class_names, strict=True)
    ]
    metadata = tft.DatasetMetadata.from_feature_spec(
        {key: tf.io.FixedLenFeature([], tf.string) for key in rows[0]}
    )
    function = functools.partial(
        preprocessing_fn, custom_config={PREPROCESSING_KEY: spec.to_json()}
    )
    folder = str(scratch / "transform")
    with tft_beam.Context(temp_dir=str(scratch / "beam")):
        graph = (rows, metadata) | tft_beam.AnalyzeDataset(function)
        graph | tft_beam.WriteTransformFn(folder)
    return folder


@pytest.fixture(scope="session")
def analyse(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """`write_transform_output` to a folder of its own: images, class names, spec."""

    def run(images: Sequence[bytes], class_names: Sequence[str], spec: Any) -> str:
        scratch = tmp_path_factory.mktemp("analysed")
        return write_transform_output(images, class_names, spec, scratch)

    return run


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's S3 server in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_folder(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder in a new bucket of `s3_server`, which is reached as Amazon's is."""
    import boto3

    from graft.storage import drivers

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = f"graft-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    drivers.disconnect()
    yield f"s3://{bucket}/folder"
    drivers.disconnect()


def _obey_generations() -> None:
    """Let the emulator obey `ifGenerationMatch`, as Google's service does."""
    from http import HTTPStatus

    from gcp_storage_emulator.exceptions import NotFound
    from gcp_storage_emulator.handlers import objects

    upload = objects._media_upload

    def upload_if_unchanged(request: Any, response: Any, storage: Any) -> None:
        bucket, (name,) = request.params["bucket_name"], request.query["name"]
        try:
            generation = storage.get_file_obj(bucket, name)["generation"]
        except NotFound:
            generation = "0"
        if request.query.get("ifGenerationMatch", [generation]) != [generation]:
            response.status = HTTPStatus.PRECONDITION_FAILED
            return
        upload(request, response, storage)

    objects._media_upload = upload_if_unchanged


@pytest.fixture(scope="session")
def gs_server() -> Iterator[str]:
    """The address of a server of Google Cloud Storage in this process."""
    from gcp_storage_emulator.server import create_server

    _obey_generations()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


FAKE_GCS_SERVER = "github.com/fsouza/fake-gcs-server@v1.56.1"
"""Another server of Google Cloud Storage. Its conditions are its own code."""


@pytest.fixture(scope="session")
def other_gs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `FAKE_GCS_SERVER`, found or built by Go (minutes)."""
    folder = tmp_path_factory.mktemp("gcs")
    binary = shutil.which("fake-gcs-server")
    if binary is None:
        if shutil.which("go") is None:
            pytest.skip("neither fake-gcs-server nor Go, which builds it, is here")
        environment = {**os.environ, "GOBIN": str(folder)}
        built = subprocess.run(
            ["go", "install", FAKE_GCS_SERVER],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode:
            pytest.skip(f"fake-gcs-server can't be built: {built.stderr[-300:]}")
        binary = str(folder / "fake-gcs-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    arguments = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    arguments += ["-backend", "memory", "-external-url", url, "-log-level", "error"]
    process = subprocess.Popen([binary, *arguments])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{url}/storage/v1/b"),
        ):
            break
        time.sleep(0.1)
    yield url
    process.terminate()
    process.wait()


@pytest.fixture
def other_gs_folder(
    other_gs_server: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A folder in a new bucket of `other_gs_server`."""
    yield from _gs_folder(other_gs_server, monkeypatch)


@pytest.fixture
def gs_folder(gs_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder in a new bucket of `gs_server`."""
    yield from _gs_folder(gs_server, monkeypatch)


def _gs_folder(gs_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a bucket, which gcsfs reaches without a token."""
    import fsspec.config

    from graft.storage import drivers

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gs_server)
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon", "project": "test"})
    drivers.disconnect()
    bucket = f"graft-{uuid.uuid4().hex}"
    drivers.driver_of(f"gs://{bucket}")[0].mkdir(bucket)
    yield f"gs://{bucket}/folder"
    drivers.disconnect()


@pytest.fixture
def memory_folder() -> Iterator[str]:
    """A folder in the memory of this process, as an object store is."""
    from graft.storage import files

    folder = f"memory://graft-{uuid.uuid4().hex}/folder"
    yield folder
    files.remove_folder(folder)
