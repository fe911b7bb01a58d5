"""The commands of the how-to pages, on handwritten digits.

The tutorial, the page on Kubeflow and the README have tests of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).resolve().parents[2] / "docs"
ELSEWHERE = (
    "aws ",
    "docker ",
    "eksctl ",
    "gcloud ",
    "helm ",
    "graft run --data photos --runner flink ",
    "graft serve --engine binary ",
    "graft submit ",
    "graft predict photo.jpg --server unix:",
    "kind ",
    "kubectl ",
    "make ",
    "mvn ",
    "pip install tensorboard",
    "python -m graft.pipeline.beam_runners",
    "python tests/benchmarks/",
    "tensorboard ",
    "terraform ",
    ".venv/bin/graft doctor",
)
"""Lines that need a cluster, a registry, TensorFlow Serving's binary or a network; that
set up the environment in which this runs; or that measure for hours."""
TRIED_ELSEWHERE = ("kubeflow.md", "tutorial.md")
_SECONDS = 120


def lines_of(page: str) -> list[str]:
    """Return the shell lines of a page, without comments and those of `ELSEWHERE`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.DOTALL | re.M):
        joined = re.sub(r"\\\n *|(?<=\|)\n *", " ", block)
        for line in joined.splitlines():
            command = re.sub(r"(^| +)#( .*|)$", "", line).strip()
            if command and not command.startswith(ELSEWHERE):
                found.append(command)
    return found


def test_every_line_is_run_here_or_known() -> None:
    pages = {path.name for path in DOCS.glob("*.md")} - {*TRIED_ELSEWHERE}
    assert {page for page in pages if lines_of(page)} == {
        "commands.md",
        "config.md",
        "data.md",
        "flink.md",
        "labels.md",
        "pipeline.md",
        "serving.md",
        "training.md",
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, write_photos) -> Path:
    """A folder in which `graft run my_photos` of docs/pipeline.md was run."""
    folder = tmp_path_factory.mktemp("how-to")
    write_photos(folder)
    (command,) = lines_of("pipeline.md")
    assert command == "graft run my_photos"
    run(command, folder)
    return folder


def _environment() -> dict[str, str]:
    scripts = os.path.dirname(sys.executable)
    return os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}


def run(command: str, folder: Path) -> str:
    """Run a line in a shell of the user; return standard output."""
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_flink(tmp_path: Path) -> None:
    text = (DOCS / "flink.md").read_text(encoding="utf-8")
    for name, content in re.findall(
        r"```yaml\n# (\w+\.yaml)\n(.*?)```", text, re.DOTALL
    ):
        (tmp_path / name).write_text(content)
    with (tmp_path / "my.yaml").open("a") as config:
        config.write("name: my-photos\ndata: {path: /mnt/data/photos}\n")
    with (tmp_path / "cluster.yaml").open("a") as profile:
        profile.write(f"image: registry.example.org/graft@sha256:{'0' * 64}\n")
    (compile_,) = lines_of("flink.md")
    run(compile_, tmp_path)
    assert "graft-flink-rest:8081" in (tmp_path / "pipeline.yaml").read_text()


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_config_commands_and_data(made: Path) -> None:
    """Large: after a run of the whole pipeline."""
    (made / "my.yaml").write_text("name: my-photos\ndata: {path: my_photos}\n")
    (check,) = lines_of("config.md")
    assert "The config is fine" in run(check, made)
    (help_,) = lines_of("commands.md")
    assert "--labels" in run(help_, made)
    (by_option,) = lines_of("data.md")
    assert "is still served" in run(by_option, made)


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_training(made: Path) -> None:
    """Large: trains 50 heads."""
    (made / "my.yaml").write_text("name: my-photos\ndata: {path: my_photos}\n")
    first, tune, best = lines_of("training.md")
    assert "is still served" in run(first, made)
    assert "best.yaml" in run(tune, made)
    assert "Test accuracy" in run(best, made)


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_labels(made: Path, tmp_path: Path) -> None:
    """Large: two runs; a person's decisions are written between them."""
    shutil.copytree(made / "my_photos", tmp_path / "photos")
    zero = tmp_path / "photos" / "digit 0" / "001.png"
    zero.rename(tmp_path / "photos" / "digit 1" / "moved.png")
    first, report, second = lines_of("labels.md")
    run(first, tmp_path)
    assert "doubtful label" in run(report, tmp_path)
    path = tmp_path / "fixes.csv"
    path.write_text("path,new_label\ndigit 1/moved.png,digit 0\n")
    assert "1 relabelled" in run(second, tmp_path)


@contextlib.contextmanager
def served(command: str, folder: Path, ports: dict[str, int]) -> Iterator[None]:
    """Run a server on free ports until the block ends; it is ready in the block."""
    words, dashes, flags = command.partition(" -- ")
    words += f" --port {ports['8500']} --rest-port {ports['8501']}"
    log = folder / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            ["bash", "-ec", f"exec {words}{dashes}{flags}"],
            cwd=folder,
            env=_environment(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _SECONDS
        while "Exporting HTTP/REST API" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _free_ports() -> dict[str, int]:
    """Return a free port for each of the page's: gRPC's and REST's."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return {"8500": one.getsockname()[1], "8501": other.getsockname()[1]}


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_serving(made: Path) -> None:
    """Large: after a run of the whole pipeline; three servers, one after another."""
    (made / "photos").mkdir()
    for path in (made / "new_photos").iterdir():
        with Image.open(path) as image:
            image.convert("RGB").save(made / "photos" / f"{path.stem}.jpg")
    page = (DOCS / "serving.md").read_text(encoding="utf-8")
    (batching,) = re.findall(r"^```\n(max_batch_size.*?)^```$", page, re.DOTALL | re.M)
    (made / "batching.config").write_text(batching)
    ports = _free_ports()
    lines = [
        re.sub("850[01]", lambda match: str(ports[match[0]]), line)
        for line in lines_of("serving.md")
    ]
    servers = [line for line in lines if line.startswith("graft serve")]
    local, pattern, remote, rest, load = [x for x in lines if x not in servers]
    assert "a.jpg  digit 0" in run(local, made)
    answers = [json.loads(line) for line in run(pattern, made).splitlines()]
    assert [len(answer["top"]) for answer in answers] == [3, 3, 3]
    first, *others = servers
    with served(first, made, ports):
        assert "a.jpg  digit 0" in run(remote, made)
        (answer,) = json.loads(run(rest, made))["predictions"]
        assert answer["label"] == "digit 0"
        # A busy machine may not answer the page's 50 a second.
        slow = load.replace("--rate 50 --duration 30", "--rate 4 --duration 3")
        run(f"{slow} --server localhost:{ports['8500']}", made)
        assert (made / "load.png").is_file()
    assert len(others) == 2
    for server in others:
        with served(server, made, ports):
            assert "a.jpg  digit 0" in run(remote, made)
