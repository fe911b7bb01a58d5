"""The pipeline on a Flink cluster: JobManager, two TaskManagers, a pool of workers.

`make test-flink` runs it, and nothing else does: it downloads 450 MB, and takes from
ten minutes to an hour. `GRAFT_FLINK_IMAGES` is the number of images of the whole run.
`GRAFT_FLINK_QUIET=1` says that nothing else runs on the machine, so that times on the
clock may be judged.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from cluster import FlinkCluster, flink_cluster
from downloads import DownloadError, content_of, job_server_jar, require_content
from feature_jobs import FeatureJob, Rate, beam_config, ingest_images, write_images
from own_network import is_own_network

from graft.components.evaluation.predictions import PREDICTIONS_FILE, Predictions
from graft.components.ingestion.ingest import OutputFolders, ingest
from graft.components.ingestion.sources.config import DataConfig
from graft.pipeline.beam_runners.arguments import beam_arguments
from graft.pipeline.beam_runners.config import BeamConfig
from graft.pipeline.beam_runners.flink_checks import RunnerError
from graft.pipeline.beam_runners.readiness import require_ready
from graft.serving import child_process

NUM_IMAGES = int(os.environ.get("GRAFT_FLINK_IMAGES", "0"))
IS_QUIET = bool(os.environ.get("GRAFT_FLINK_QUIET"))
GRAFT = Path(sys.executable).with_name("graft")
CONFIG = """\
name: digits
data: {path: photos}
model: {preset: efficientnet_lite0, image_size: 96}
training: {strategy: feature_extraction}
gate: {min_accuracy: 0.5, answers: {sample: 0}}  # workers ask about all
"""
SPEED_UP = 1.8
"""From one worker to two; 2 would be perfect."""

pytestmark = [
    pytest.mark.large,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not NUM_IMAGES, reason="make test-flink runs it"),
]


def say(text: str) -> None:
    """Print a line, also beside the output of a run."""
    sys.stdout.write(f"\n{text}\n")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    assert is_own_network(), "make test-flink gives it one"
    with flink_cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@contextlib.contextmanager
def cancelled_on_error(cluster: FlinkCluster) -> Iterator[None]:
    """Leave no job to the next test. Ctrl+C ends the cluster, and is no `Exception`."""
    try:
        yield
    except Exception:
        cluster.cancel_jobs()
        raise


@contextlib.contextmanager
def stopping(job: FeatureJob) -> Iterator[None]:
    """End the process of a job in any case."""
    try:
        yield
    finally:
        job.stop()


# --- the downloads, and the end of everything --------------------------------------


def test_other_content_is_refused() -> None:
    jar = job_server_jar()
    require_content(jar, content_of(jar))
    with pytest.raises(DownloadError, match="must have the content 0000"):
        require_content(jar, "0000")


def session_members(session: int) -> list[int]:
    """Return the process IDs of a session that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if stat[0] != "Z" and int(stat[3]) == session:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_runs_on(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl+C ends a cluster. So does a kill, after which nobody can tidy up."""
    program = [sys.executable, str(Path(__file__).with_name("cluster.py"))]
    process = subprocess.Popen(
        child_process.command(program),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("master=")
        # Itself, JobManager, two TaskManagers, pool and job server.
        assert len(session_members(process.pid)) == 6
    finally:
        process.send_signal(number)
    process.communicate(timeout=120)
    deadline = time.monotonic() + 120
    while left := session_members(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


# --- what is told before the first step -------------------------------------------


def test_ready_cluster(cluster: FlinkCluster, tmp_path: Path) -> None:
    config = beam_config(cluster)
    said: list[str] = []
    folders = {"`output`": str(tmp_path)}
    require_ready(config, beam_arguments(config), folders, said.append)
    assert list(tmp_path.iterdir()) == []
    # The cluster starts jobs again.
    assert not any("Note" in text for text in said), said


def test_job_server_in_place_of_a_file(cluster: FlinkCluster, tmp_path: Path) -> None:
    cluster.start_job_server()
    config = beam_config(cluster, job_server_jar=None, job_server=cluster.job_server)
    folders = {"`output`": str(tmp_path)}
    require_ready(config, beam_arguments(config), folders, say)
    cluster.kill("job-server")


def test_pool_that_is_not_there(cluster: FlinkCluster, tmp_path: Path) -> None:
    config = beam_config(cluster, worker_pool="localhost:1")
    with cancelled_on_error(cluster), pytest.raises(RunnerError, match="tries the run"):
        folders = {"`output`": str(tmp_path)}
        require_ready(config, beam_arguments(config), folders, say)
    cluster.cancel_jobs()


@pytest.mark.parametrize("key", ["output", "data.path"])
def test_ready_but_for_a_folder(
    cluster: FlinkCluster, tmp_path: Path, key: str
) -> None:
    """The workers' pod lacks a mount."""
    for name in ("seen", "unseen/photos"):
        (tmp_path / name).mkdir(parents=True)
    cluster.kill("pool")
    cluster.start_pool(without=tmp_path / "unseen")
    config = beam_config(cluster)
    folders = {"output": "seen", "data.path": "seen", key: "unseen/photos"}
    with cancelled_on_error(cluster), pytest.raises(RunnerError, match=f"`{key}` must"):
        require_ready(
            config,
            beam_arguments(config),
            {f"`{each}`": str(tmp_path / name) for each, name in folders.items()},
            say,
        )


# --- ingestion ----------------------------------------------------------------------


def test_ingestion_is_that_of_a_local_run(
    cluster: FlinkCluster, tmp_path: Path
) -> None:
    """Copies, a conflict, a file that is no image, and a rare class that is filled."""
    photos = write_images(tmp_path / "photos", 200)
    first, second, *_, last = sorted(photos.rglob("*.png"))
    (first.parent / "copy.png").write_bytes(first.read_bytes())
    (last.parent / "conflict.png").write_bytes(second.read_bytes())
    (first.parent / "text.png").write_text("no image")
    for path in sorted(first.parent.iterdir())[6:9]:
        (photos / "rare").mkdir(exist_ok=True)
        path.rename(photos / "rare" / path.name)
    config = DataConfig(
        path=str(photos),
        format="folders",
        duplicate_label_policy="keep",
        min_images_per_class=3,
    )
    before = cluster.count_jobs("FINISHED")
    on_flink = beam_arguments(beam_config(cluster))
    found = {}
    for name, arguments in (("local", []), ("flink", on_flink)):
        start = time.monotonic()
        folders = OutputFolders(
            *(str(tmp_path / name / each) for each in OutputFolders._fields)
        )
        with cancelled_on_error(cluster):
            ingest(
                config,
                folders,
                lambda arguments=arguments: beam.Pipeline(  # type: ignore[misc]
                    options=PipelineOptions(arguments)
                ),
                min_shards=8,
            )
        say(f"{name}: ingestion of 200 images in {time.monotonic() - start:.0f} s")
        found[name] = {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
    assert cluster.count_jobs("FINISHED") - before == 1
    assert found["flink"] == found["local"]
    summary = found["local"][Path("quarantine/summary.json")].decode()
    assert "Moved to fill it" in summary
    assert '"label_conflict": 0' in summary
    assert '"num_quarantined": 1' in summary


# --- features, while workers are killed -------------------------------------------


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingest_images(tmp_path_factory.mktemp("ingested"), 400, shards=8)


@pytest.fixture(scope="module")
def local_features(
    ingested: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[bytes, np.ndarray]:
    """The features as the local runner computes them."""
    job = FeatureJob(ingested, tmp_path_factory.mktemp("local"))
    with stopping(job):
        job.start(BeamConfig())
        job.finish()
    found = job.features()
    assert len(found) == 400
    return found


def kill_worker(cluster: FlinkCluster) -> None:
    os.kill(cluster.workers()[0], signal.SIGKILL)


def kill_task_manager(cluster: FlinkCluster) -> None:
    cluster.kill("task-manager-1")
    cluster.start_task_manager(1)


@pytest.mark.parametrize("harm", [kill_worker, kill_task_manager])
def test_features_are_right_after_a_kill(
    cluster: FlinkCluster,
    ingested: Path,
    tmp_path: Path,
    local_features: dict[bytes, np.ndarray],
    harm: Callable[[FlinkCluster], None],
) -> None:
    job = FeatureJob(ingested, tmp_path)
    restarts = cluster.count_restarts()
    with cancelled_on_error(cluster), stopping(job):
        job.start(beam_config(cluster))
        done = job.wait_for_images(100)
        harm(cluster)
        assert job.is_running()
        job.finish()
    say(f"{harm.__name__} after {done} of 400 images")
    assert done < 400
    assert cluster.count_restarts() > restarts
    found = job.features()
    assert found.keys() == local_features.keys()
    for key, values in local_features.items():
        np.testing.assert_allclose(found[key], values, atol=1e-5)


# --- speed --------------------------------------------------------------------------


class PinnedWorkers(threading.Thread):
    """Puts each new worker of a cluster on a core of its own."""

    def __init__(self, cluster: FlinkCluster) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self._ended = threading.Event()
        self._cores = sorted(os.sched_getaffinity(0))
        self.num_pinned = 0

    def run(self) -> None:
        old = set(self._cluster.workers())
        # Soon after its start: a worker's threads inherit its core, and TensorFlow
        # starts as many as there are cores.
        while not self._ended.wait(0.02):
            for worker in self._cluster.workers():
                if worker not in old:
                    core = self._cores[self.num_pinned % len(self._cores)]
                    os.sched_setaffinity(worker, {core})
                    old.add(worker)
                    self.num_pinned += 1

    def stop(self) -> None:
        self._ended.set()
        self.join()


def measure(cluster: FlinkCluster, job: FeatureJob, parallelism: int) -> list[Rate]:
    """Run a job with each worker on a core of its own, and return their rates."""
    pinned = PinnedWorkers(cluster)
    pinned.start()
    try:
        with cancelled_on_error(cluster), stopping(job):
            job.start(beam_config(cluster, parallelism=parallelism))
            job.finish()
    finally:
        pinned.stop()
    assert pinned.num_pinned == parallelism
    rates = job.rates()
    for rate in rates:
        say(f"{parallelism} worker(s): {rate}")
    assert len(rates) == parallelism
    return rates


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="two workers need two cores"
)
def test_two_workers_are_almost_twice_as_fast(
    cluster: FlinkCluster, tmp_path: Path
) -> None:
    """Judge the speed-up where nothing else runs, and the shares of work elsewhere.

    Other work on the cores makes times longer, processor time too, by what cores share.
    """
    ingested = ingest_images(tmp_path / "ingested", 2000, shards=40)
    alone, both = (
        measure(cluster, FeatureJob(ingested, tmp_path / str(each)), each)
        for each in (1, 2)
    )
    images, work, wall = (
        max(getter(rate) for rate in alone) / max(getter(rate) for rate in both)
        for getter in (lambda rate: rate.all_images, Rate.all_work, Rate.all_wall)
    )
    say(
        f"speed-up {wall:.2f} on the clock, {work:.2f} of processor time, "
        f"{images:.2f} of images"
    )
    assert images >= SPEED_UP
    if IS_QUIET:
        assert wall >= SPEED_UP


# --- the whole pipeline -------------------------------------------------------------


def test_predictions_are_those_of_a_local_run(
    cluster: FlinkCluster, tmp_path: Path
) -> None:
    write_images(tmp_path / "photos", NUM_IMAGES)
    (tmp_path / "config.yaml").write_text(CONFIG)
    flink = [
        *("--runner", "flink", "--flink-master", cluster.master),
        *("--set", f"beam.flink.job_server_jar={job_server_jar()}"),
        *beam_settings(cluster),
    ]
    before = cluster.count_jobs("FINISHED")
    for name, words in (("local", []), ("flink", flink)):
        start = time.monotonic()
        graft(tmp_path, "run", "config.yaml", "--output", name, *words)
        say(f"{name}: {NUM_IMAGES} images in {time.monotonic() - start:.0f} s")
    # To try the runner; of ingestion, Transform, features, DataQuality and the gate.
    assert cluster.count_jobs("FINISHED") - before >= 6
    require_same_predictions(tmp_path / "local", tmp_path / "flink")


def by_image(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return the probabilities of each image, by its hash."""
    hashes = predictions.images.content_hashes.tolist()
    return dict(zip(hashes, predictions.candidate.probabilities, strict=True))


PROFILE = """\
extends: cpu
image: registry.example.org/graft:1.0
data_folder: /mnt/data
retry: {attempts: 0}
"""


def test_compiled_pipeline_is_that_of_a_local_run(
    cluster: FlinkCluster, tmp_path: Path
) -> None:
    """The workers see the mounts of the steps, and neither their pods nor the buckets.

    Steps of Kubeflow are emulated.
    """
    for name in ("data", "cache", "models", "pods"):
        (tmp_path / name).mkdir()
    write_images(tmp_path / "data" / "photos", NUM_IMAGES)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "profile.yaml").write_text(PROFILE)
    (tmp_path / "cache" / "job-server.jar").symlink_to(job_server_jar())
    cluster.kill("pool")
    cluster.start_pool(without=tmp_path / "pods")
    graft(tmp_path, "run", "config.yaml", "--data", "data/photos", "--output", "local")
    graft(
        *(tmp_path, "compile", "config.yaml", "--profile", "profile.yaml"),
        *("--to", "pipeline.yaml", *beam_settings(cluster)),
        *("--set", "beam.flink.job_server_jar=/mnt/cache/job-server.jar"),
    )
    mounts = [
        word
        for name in ("data", "cache", "models")
        for word in ("--mount", f"/mnt/{name}={tmp_path / name}")
    ]
    before = cluster.count_jobs("FINISHED")
    start = time.monotonic()
    emulate = ("emulate", "pipeline.yaml", "--folder", "pods/emulated", *mounts)
    with cancelled_on_error(cluster):
        graft(tmp_path, *emulate, TMPDIR=str(tmp_path / "pods"))
    say(f"emulated: {NUM_IMAGES} images in {time.monotonic() - start:.0f} s")
    # To try the workers once, and those of the steps.
    assert cluster.count_jobs("FINISHED") - before >= 6
    require_same_predictions(tmp_path / "local", tmp_path / "pods" / "emulated")
    shared = tmp_path / "cache" / "flink"
    assert not list((shared / "work").iterdir())
    assert len(list((shared / "tried").iterdir())) == 1


def graft(folder: Path, *words: str, **variables: str) -> None:
    """Run the command line in a folder."""
    subprocess.run(
        child_process.command([str(GRAFT), *words]),
        cwd=folder,
        check=True,
        env={**os.environ, **variables},
    )


def beam_settings(cluster: FlinkCluster) -> list[str]:
    """Return the options for a cluster, without those of `graft run` alone."""
    values = {
        "beam.runner": "flink",
        "beam.flink.master": cluster.master,
        "beam.flink.worker_pool": cluster.pool,
        "beam.flink.parallelism": 2,
        "beam.start_timeout_seconds": 600,
    }
    settings = [f"{key}={value}" for key, value in values.items()]
    return [word for setting in settings for word in ("--set", setting)]


def require_same_predictions(expected: Path, found: Path) -> None:
    """Compare the predictions of the gates of two runs."""
    one, other = (
        by_image(Predictions.load(str(path)))
        for folder in (expected, found)
        for path in folder.rglob(PREDICTIONS_FILE)
    )
    assert one.keys() == other.keys()
    differences = [np.abs(other[key] - one[key]).max() for key in one]
    say(f"{len(differences)} predictions differ by {max(differences):.1e} at most")
    assert max(differences) <= 1e-5
