"""`graft serve`, `predict` and `load-test`, as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graft.contract.printable import escaped
from graft.pipeline.commands.predict import Output, _write
from graft_client import Prediction

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, typer
from graft.pipeline.commands.load_test import load_test
from graft.pipeline.commands.predict import predict
from graft.pipeline.commands.serve import serve
from graft.contract.errors import UserError

app = typer.Typer()
app.command("serve")(serve)
app.command("predict")(predict)
app.command("load-test")(load_test)
try:
    app()
except UserError as error:
    sys.exit(f"graft: {error}")
"""


def graft(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=200,
        check=False,
    )


def test_a_table_shows_what_is_behind_unknown(capsys):
    found = [
        (
            Path(name),
            Prediction(
                class_name=class_name,
                score=0.4,
                model_version=1,
                probabilities=(0.3, 0.4, 0.3),
                class_names=("ape", "ant", "bee"),
            ),
        )
        for name, class_name in (("a.jpg", "ant"), ("b.jpg", "unknown"))
    ]
    _write(Output.TABLE, iter(found), 1, raw=False)
    assert capsys.readouterr().out == "a.jpg  ant 0.400\nb.jpg  unknown (ant 0.400)\n"


HOSTILE = "=cmd|' /C calc'!A0\n\x1b[2J\u202e@x,\"y"


def written(output: Output, name: str, capsys, *, raw: bool) -> str:
    prediction = Prediction(
        class_name=name,
        score=0.4,
        model_version=1,
        probabilities=(0.4, 0.3),
        class_names=(name, "bee"),
    )
    _write(output, iter([(Path(name), prediction)]), 1, raw=raw)
    return capsys.readouterr().out


def test_a_table_holds_no_control_character(capsys):
    out = written(Output.TABLE, HOSTILE, capsys, raw=False)
    assert out.count("\n") == 1
    assert out.isascii()
    assert out.rstrip("\n").isprintable()
    assert HOSTILE in written(Output.TABLE, HOSTILE, capsys, raw=True)


@pytest.mark.parametrize(
    "name",
    [HOSTILE, "+1", "-1", "@x", " =1", "\t=1", "\r=1", "\uff1d1", "plain", "a-b"],
)
def test_a_csv_cell_is_no_formula(name, capsys):
    out = written(Output.CSV, name, capsys, raw=False)
    (row,) = csv.DictReader(io.StringIO(out))
    for key in ("image", "class_name", "answer"):
        assert not re.match(r"\s*[=+\-@\uff1d\x00-\x1f]", row[key])
        assert row[key].removeprefix("'") == escaped(name)
    (row,) = csv.DictReader(
        io.StringIO(written(Output.CSV, name, capsys, raw=True), newline="")
    )
    assert [row[key] for key in ("image", "class_name", "answer")] == [name] * 3


def test_file_names_that_are_no_text(photos, publish, tmp_path, colours):
    publish(tmp_path / "serving" / "colours", 1)
    (photos / os.fsdecode(b"\xff\x1b[2J.png")).write_bytes(colours["red"])
    (photos / "\x1b[31m.png").write_bytes(b"\x89PNG\r\n\x1a\n no")
    for output in ("table", "csv"):
        for raw in ((), ("--raw",)):
            done = graft(
                *("predict", photos, "--model-dir", tmp_path / "serving"),
                *("--format", output, *raw),
            )
            assert done.returncode == 1, done.stderr
            assert "Traceback" not in done.stderr
            assert "\x1b" not in done.stderr
            assert ("\x1b" in done.stdout) == bool(raw)


@pytest.fixture
def photos(tmp_path, colours) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("red", "green"):
        (folder / f"{name}.png").write_bytes(colours[name])
    (folder / "more" / "blue.PNG").write_bytes(colours["blue"])
    (folder / "notes.txt").write_text("no image, and not asked for")
    return folder


def test_predict_by_a_server(server, photos):
    done = graft(
        *("predict", photos, "--server", server.target, "--model", "colours"),
        *("--format", "json", "--top", "2"),
    )
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    found = {Path(each["image"]).name: each["class_name"] for each in records}
    assert found == {"blue.PNG": "blue", "green.png": "green", "red.png": "red"}
    assert [len(each["top"]) for each in records] == [2, 2, 2]
    assert records[0]["model_version"] == 1
    assert "3 images in" in done.stderr
    assert "1 file left aside: 1 .txt\n" in done.stderr


def test_predict_in_this_process_goes_on_past_a_bad_file(photos, publish, tmp_path):
    publish(tmp_path / "serving" / "colours", 1)
    publish(tmp_path / "serving" / "colours", 4)
    (photos / "broken.jpg").write_bytes(b"no")
    done = graft(
        *("predict", photos / "*.*g", "--model-dir", tmp_path / "serving"),
        *("--format", "csv"),
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 1
    assert [row["class_name"] for row in rows] == ["green", "red"]
    assert {row["model_version"] for row in rows} == {"4"}
    assert f"{photos / 'broken.jpg'}: no PNG" in done.stderr
    assert "2 images in" in done.stderr
    assert "1 failed" in done.stderr


def test_predict_shows_no_lines_of_libjpeg(photos, publish, tmp_path):
    publish(tmp_path / "serving" / "colours", 1)
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    cut = photos / "cut.jpg"
    cut.write_bytes(buffer.getvalue()[:300])
    done = graft("predict", cut, "--model-dir", tmp_path / "serving")
    refusal, count = done.stderr.splitlines()
    assert refusal.startswith(f"{cut}: ")
    assert count.endswith("1 failed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("predict", "/nowhere.png"),
            "There is no image at '/nowhere.png'. Give image files, folders of ",
        ),
        (("predict", __file__, "--model-dir", "/nowhere"), "`graft run`"),
        (("predict", __file__, "--server", "localhost:1"), "UNAVAILABLE"),
        (("serve", "--model-dir", "/nowhere"), "`graft run`"),
        (("serve", "--engine", "binary", "--", "--model_base_path=/m"), "on the PATH"),
        (
            ("load-test", __file__, "--server", "localhost:1"),
            f"failed, with {__file__!r}: UNAVAILABLE",
        ),
        (("load-test", __file__, "--rate", "0"), "`rate_per_second` must be positive"),
    ],
    ids=["image", "model", "server", "serve", "binary", "load", "rate"],
)
def test_a_mistake_is_one_message(arguments, message):
    done = graft(*arguments, PATH="/usr/bin")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_prefers_the_binary_on_the_path_that_listens_on_all(tmp_path, publish):
    publish(tmp_path / "serving" / "graft", 1)
    binary = tmp_path / "bin" / "tensorflow_model_server"
    binary.parent.mkdir()
    binary.write_text('#!/bin/sh\necho "$0 $@"\n')
    binary.chmod(0o755)
    base_path = tmp_path / "serving" / "graft"
    port = _free_port()
    done = graft(
        *("serve", "--model-dir", tmp_path / "serving", "--rest-port", "0"),
        *("--host", "0.0.0.0", "--port", port, "--", "--enable_batching"),
        PATH=f"{binary.parent}:/bin",
    )
    assert done.stdout.strip() == (
        f"{binary} --port={port} --rest_api_port=0 --model_name=graft "
        f"--model_base_path={base_path} --enable_batching"
    )


def test_serve_listens_on_loopback_unless_told(monkeypatch):
    from graft.contract.errors import UserError
    from graft.pipeline.commands import serve as command
    from graft.serving.embedded.options import is_loopback

    def start(engine, host=command.LOOPBACK):
        return command.serve_command(
            engine=engine, model_flags=[], host=host, port=1, rest_port=2, flags=[]
        )

    monkeypatch.setattr(command.shutil, "which", lambda name: f"/bin/{name}")
    assert is_loopback(command.LOOPBACK)
    for engine in (command.Engine.AUTO, command.Engine.EMBEDDED):
        assert "--host=127.0.0.1" in start(engine)
    assert start(command.Engine.AUTO, "0.0.0.0")[0] == f"/bin/{command.BINARY}"
    with pytest.raises(UserError, match="is open on all addresses"):
        start(command.Engine.BINARY)


@pytest.mark.parametrize("engine", ["auto", "binary"])
@pytest.mark.parametrize(
    ("ports", "flags", "is_binary"),
    [
        ((0, 0), [], True),
        ((0, 8501), [], False),
        ((0, 0), ["--rest_api_port=8501"], False),
        ((0, 0), ["--port=8500"], False),
    ],
    ids=["none", "REST", "REST as a flag", "gRPC as a flag"],
)
def test_the_binary_serves_a_unix_socket_without_opening_a_port(
    monkeypatch, engine, ports, flags, is_binary
):
    from graft.contract.errors import UserError
    from graft.pipeline.commands import serve as command

    monkeypatch.setattr(command.shutil, "which", lambda name: f"/bin/{name}")
    try:
        words = command.serve_command(
            engine=command.Engine(engine),
            model_flags=[],
            host=command.LOOPBACK,
            port=ports[0],
            rest_port=ports[1],
            flags=["--grpc_socket_path=/run/m.sock", *flags],
        )
    except UserError:
        assert (engine, is_binary) == ("binary", False)
    else:
        assert (words[0] == f"/bin/{command.BINARY}") is is_binary
        assert is_binary or "--host=127.0.0.1" in words


def test_serve_says_where_it_listens():
    port = _free_port()
    model = ("--", "--model_base_path=relative")
    done = graft("serve", "--port", "0", "--rest-port", port, *model)
    assert f"graft: serving REST on 127.0.0.1:{port}\n" in done.stderr


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.mark.parametrize("option", ["--port", "--rest-port"])
def test_serve_names_a_port_that_is_taken_before_it_loads_a_model(option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = {"--port": "--rest-port", "--rest-port": "--port"}[option]
        model = ("--", "--model_base_path=relative")
        done = graft("serve", option, port, other, 0, *model)
    assert done.returncode == 1
    assert f"`{option}` must be a port of '127.0.0.1' that is free" in done.stderr
    assert f"Received: {port} (" in done.stderr
    assert "serving" not in done.stderr


def test_load_test_reports(server, photos, tmp_path):
    done = graft(
        *("load-test", photos, "--server", server.target, "--model", "colours"),
        *("--rate", "20", "--duration", "1", "--plot", tmp_path / "load.svg"),
    )
    assert done.returncode == 0, done.stderr
    assert "p99" in done.stdout
    assert "<svg" in (tmp_path / "load.svg").read_text()


def _ask(server, path):
    """Return what `line` makes of 1, or the HTTP status of a refusal."""
    body = b'{"signature_name": "line", "instances": [1]}'
    url = f"{server.url}/v1/models/graft{path}:predict"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body)) as reply:
            return json.load(reply)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code


def _wait_for(server, path, reply):
    deadline = time.monotonic() + 60
    while (found := _ask(server, path)) != reply:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def test_serve_follows_the_labels_of_the_store(tmp_path, publish, run_server):
    from graft.components.publishing.labels import write_labels
    from graft.pipeline.commands.serve import _model_flags

    folder = tmp_path / "serving" / "graft"
    for number in (1, 2):  # Their signature `line` multiplies by four, and by eight.
        publish(folder, number)
    write_labels(str(folder), {"stable": 1}, [1, 2], lambda: None)
    with run_server(tmp_path / "log", *_model_flags(folder)) as server:
        # The ports are open when the first of the versions is loaded.
        _wait_for(server, "", [8])
        _wait_for(server, "/labels/stable", [4])
        write_labels(str(folder), {"stable": 2}, [1, 2], lambda: None)
        _wait_for(server, "/labels/stable", [8])


def test_a_label_is_served_until_it_moves(tmp_path, publish, run_server):
    """A push adds the version first, and then moves the label: neither fails."""
    from graft.components.publishing.labels import write_labels
    from graft.pipeline.commands.serve import _model_flags

    folder = tmp_path / "serving" / "graft"
    publish(folder, 1)
    write_labels(str(folder), {"stable": 1}, [1], lambda: None)
    with run_server(tmp_path / "log", *_model_flags(folder)) as server:
        _wait_for(server, "/labels/stable", [4])
        publish(folder, 2)
        _wait_for(server, "", [8])
        # Its version is older than the newest one, which alone the config asks for.
        for _ in range(20):
            assert _ask(server, "/labels/stable") == [4]
            time.sleep(0.1)
        write_labels(str(folder), {"stable": 2}, [1, 2], lambda: None)
        deadline = time.monotonic() + 60
        while (found := _ask(server, "/labels/stable")) != [8]:
            assert found == [4]
            assert time.monotonic() < deadline
        _wait_for(server, "/versions/1", 404)


def test_serve_does_not_serve_the_store_that_was_copied(tmp_path, publish, capsys):
    from graft.components.publishing.labels import write_labels
    from graft.pipeline.commands.serve import _model_flags

    folder, copied = tmp_path / "a" / "graft", tmp_path / "b" / "graft"
    publish(folder, 1)
    write_labels(str(folder), {"stable": 1}, [1], lambda: None)
    shutil.copytree(folder, copied)
    assert _model_flags(copied) == [
        "--model_name=graft",
        f"--model_base_path={copied}",
    ]
    assert "names another folder" in capsys.readouterr().err
    (folder / "models.config").write_text("model_config_list {")
    assert f"--model_base_path={folder}" in _model_flags(folder)
    (folder / "models.config").unlink()
    capsys.readouterr()
    assert f"--model_base_path={folder}" in _model_flags(folder)
    assert not capsys.readouterr().err
