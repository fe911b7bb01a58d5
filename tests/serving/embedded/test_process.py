"""The server as a process: start, flags, warm-up, TLS, end."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest

from graft_client import PredictionClient

pytest.importorskip("tensorflow_serving")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def base(tmp_path: Path, publish) -> Path:
    publish(tmp_path / "m", 1)
    return tmp_path / "m"


@pytest.fixture
def serve(run_server):
    def start(base, *flags, **settings):
        return run_server(
            base.parent / "server.log",
            "--model_name=m",
            f"--model_base_path={base}",
            *flags,
            **settings,
        )

    return start


def ask(server, image, **settings):
    with PredictionClient(server.target, name="m", **settings) as client:
        return client.predict([image])[0].class_name


def predict_line(server, *values):
    """Return the reply of the signature `line`, which multiplies by four."""
    from google.protobuf import text_format
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = text_format.Parse(
        'model_spec { name: "m" signature_name: "line" } inputs { key: "x" value { '
        f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: {len(values)} }} }} }} }}",
        predict_pb2.PredictRequest(),
    )
    request.inputs["x"].float_val.extend(values)
    with grpc.insecure_channel(server.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return stub.Predict(request, timeout=60)


def test_sigterm_answers_what_is_in_flight(base, colours, serve):
    from google.protobuf import text_format
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    slow = text_format.Parse(
        'model_spec { name: "m" signature_name: "slow" } inputs { key: "x" value { '
        "dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 9000 } }",
        predict_pb2.PredictRequest(),
    )
    with serve(base) as server, grpc.insecure_channel(server.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        running = stub.Predict.future(slow, timeout=100)
        time.sleep(0.7)
        assert not running.done()
        started = time.monotonic()
        assert server.stop() == 0
        assert list(running.result().outputs["y"].float_val) == [9000]
        assert time.monotonic() - started < 60
        assert not server.listens()


def test_it_waits_for_a_first_version(tmp_path, publish, serve):
    base = tmp_path / "m"
    with serve(base, "--file_system_poll_wait_seconds=0.1", wait=False) as server:
        while "Could not find base path" not in server.log.read_text():
            assert server.process.poll() is None
            time.sleep(0.1)
        assert not server.listens()
        publish(base, 1)
        deadline = time.monotonic() + 60
        while not server.listens():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert server.stop() == 0


def test_a_first_version_that_fails_ends_the_process(base, serve):
    (base / "1" / "saved_model.pb").unlink()
    with serve(base, "--max_num_load_retries=0", wait=False) as server:
        assert server.process.wait(60) == 255
        log = server.log.read_text()
        assert (
            "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become "
            "available: {{{name: m version: 1} due to error: NOT_FOUND: "
        ) in log
        assert "}, }\n" in log


PARALLELISM = ("session", "intra_op", "inter_op")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "Pass --model_base_path or --model_config_file"),
        (
            ("--model_base_path=/m", "--batching_parameters_file=/b"),
            "server_options.batching_parameters_file is set without setting",
        ),
        (("--model_base_path=m",), "to have an absolute path"),
        (
            ("--model_config_file=/nowhere",),
            "Error: NOT_FOUND: /nowhere; No such file or directory\n",
        ),
        (
            ("--model_base_path=/m", "--port=0", "--rest_api_port=1"),
            "At least one of server_options.grpc_port or",
        ),
        (
            (
                "--model_base_path=/m",
                *(f"--tensorflow_{name}_parallelism=1" for name in PARALLELISM),
            ),
            "You cannot configure all.",
        ),
        (
            (f"--model_config_file={__file__}",),
            "Error parsing text-format tensorflow.serving.ModelServerConfig: 1:1",
        ),
    ],
    ids=[
        *("no-model", "batching-off", "relative", "no-file", "no-port"),
        *("parallelism", "bad-config"),
    ],
)
def test_wrong_flags_are_an_error(flags, message, capsys, caplog, monkeypatch):
    from graft.serving.embedded import server

    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    assert server.main(["--port=8500", *flags]) == 255
    output = capsys.readouterr().err
    code = "NOT_FOUND" if "NOT_FOUND" in message else "INVALID_ARGUMENT"
    assert f"Failed to start server. Error: {code}: " in output
    assert message in output + caplog.text


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("--port=85oo", "Couldn't interpret value 85oo for flag port."),
        ("--enable_batching=1", "Couldn't interpret value =1 for flag enable_batching"),
        ("--help", "usage: python -m graft.serving.embedded"),
    ],
    ids=["number", "boolean", "help"],
)
def test_flags_that_cannot_be_read(flag, problem, capsys, monkeypatch):
    from graft.serving.embedded import server

    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    assert server.main([flag, "--model_base_path=/m"]) == 255
    output = capsys.readouterr().err
    assert problem in output
    assert "\t--rest_api_timeout_in_ms=30000\n" in output


def test_the_version_is_told(capsys, monkeypatch):
    from graft.serving.embedded import server

    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    assert server.main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("TensorFlow ModelServer: graft ")
    assert re.fullmatch(r"TensorFlow Library: \d+\.\d+\.\d+", lines[1])


def test_one_port_for_both_leaves_rest_out(base, serve):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    flags = (f"--port={port}", f"--rest_api_port={port}")
    with serve(base, *flags, wait=False) as server:
        text = "server_options.http_port cannot be same as grpc_port"
        deadline = time.monotonic() + 60
        while text not in server.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert text in server.log.read_text()
        assert server.process.poll() is None


def test_replies_as_content_and_a_session_config(base, serve, tmp_path):
    config = tmp_path / "session.config"
    config.write_text("allow_soft_placement: true")
    flags = (
        "--enable_serialization_as_tensor_content",
        f"--tensorflow_session_config_file={config}",
    )
    with serve(base, *flags) as server:
        reply = predict_line(server, 3.0)
        assert reply.outputs["y"].tensor_content == struct.pack("<f", 12.0)
        assert not reply.outputs["y"].float_val


def test_a_version_has_batching_parameters_of_its_own(tmp_path, publish, serve):
    version = publish(tmp_path / "m", 1)
    (version / "batching_params.pbtxt").write_text("max_batch_size { value: 2 }")
    flags = ("--enable_batching", "--enable_per_model_batching_parameters")
    with serve(tmp_path / "m", *flags) as server:
        assert predict_line(server, 3.0).outputs["y"].float_val == [12.0]
        with pytest.raises(
            grpc.RpcError, match="larger than maximum input batch size 2"
        ):
            predict_line(server, 1.0, 2.0, 3.0)


def test_unknown_flags_are_reported(base, serve):
    with serve(base, "--enable_profiler=false") as server:
        assert "Unknown argument, ignored: --enable_profiler" in server.log.read_text()


def test_it_imports_no_keras_and_no_pipeline():
    program = (
        "import sys\n"
        "from graft.serving import tensorflow_runtime\n"
        "tensorflow_runtime.load_lean()\n"
        "import graft.serving.embedded.server\n"
        "heavy = {'keras', 'tfx', 'apache_beam', 'pydantic', 'sklearn'}\n"
        "heavy |= {f'graft.{name}' for name in ('pipeline', 'components', 'trainer')}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def write_warmup(version: Path, *signatures: str) -> None:
    from tensorflow.python.lib.io import tf_record
    from tensorflow_serving.apis import prediction_log_pb2

    file = version / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir()
    with tf_record.TFRecordWriter(str(file)) as writer:
        for signature in signatures:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = "any"
            request.model_spec.signature_name = signature
            request.inputs["x"].dtype = 1
            request.inputs["x"].tensor_shape.dim.add(size=1)
            request.inputs["x"].float_val.append(1)
            writer.write(log.SerializeToString())


def test_warm_up_runs_before_the_port_opens(base, serve):
    write_warmup(base / "1", "line", "slow")
    with serve(base) as server:
        assert "2 warm-up requests for m 1" in server.log.read_text()


def test_one_bad_warm_up_request_fails_the_load(base, serve):
    write_warmup(base / "1", "line", "nothing")
    with serve(base, "--max_num_load_retries=0", wait=False) as server:
        assert server.process.wait(60) == 255
        assert "Warm-up request 2 of" in server.log.read_text()
    with serve(base, "--enable_model_warmup=false") as server:
        assert server.process.poll() is None


def test_too_many_calls_at_once_are_refused(base, colours, serve):
    from google.protobuf import text_format
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    slow = text_format.Parse(
        'model_spec { name: "m" signature_name: "slow" } inputs { key: "x" value { '
        "dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 1e7 } }",
        predict_pb2.PredictRequest(),
    )
    with (
        serve(base, "--grpc_max_threads=2") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        calls = [stub.Predict.future(slow, timeout=4) for _ in range(3)]
        codes = sorted(call.exception().code().name for call in calls)
        assert codes == ["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"]
        time.sleep(1)
        assert ask(server, colours["red"]) == "red"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[str, str]:
    """A key and a certificate of our own for localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl isn't installed: it makes the test's certificate")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        cwd=folder,
        capture_output=True,
    )
    return (folder / "key.pem").read_text(), (folder / "cert.pem").read_text()


def test_tls(base, colours, certificate, serve):
    key, cert = certificate
    config = base.parent / "ssl.config"
    quoted = {
        name: '"' + text.replace("\n", "\\n") + '"'
        for name, text in (("server_key", key), ("server_cert", cert))
    }
    config.write_text("\n".join(f"{name}: {text}" for name, text in quoted.items()))
    with serve(base, f"--ssl_config_file={config}") as server:
        credentials = grpc.ssl_channel_credentials(cert.encode())
        assert ask(server, colours["red"], credentials=credentials) == "red"
        assert ssl.get_server_certificate(("localhost", server.port)).startswith("---")
        with pytest.raises(Exception, match="UNAVAILABLE"):
            ask(server, colours["red"], max_attempts=1)


def test_a_unix_socket(base, colours, serve):
    socket_path = base.parent / "s"
    with serve(base, f"--grpc_socket_path={socket_path}"):
        with PredictionClient(f"unix:{socket_path}", name="m") as client:
            assert client.predict([colours["blue"]])[0].class_name == "blue"


@pytest.mark.parametrize("is_allowed", [False, True], ids=["default", "flag"])
def test_a_reload_by_grpc_is_off_beyond_loopback(base, colours, serve, is_allowed):
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    flags = ["--host=0.0.0.0", *["--enable_reload_config"] * is_allowed]
    with serve(base, *flags) as server:
        with grpc.insecure_channel(server.target) as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            request = model_management_pb2.ReloadConfigRequest()
            request.config.model_config_list.config.add(
                name="m", base_path="relative", model_platform="tensorflow"
            )
            with pytest.raises(grpc.RpcError) as caught:
                stub.HandleReloadConfigRequest(request, timeout=20)
        expected = "INVALID_ARGUMENT" if is_allowed else "PERMISSION_DENIED"
        assert caught.value.code().name == expected
        assert ("--enable_reload_config" in caught.value.details()) is not is_allowed
        assert ask(server, colours["red"]) == "red"


def test_many_threads_of_one_client(base, colours, serve):
    with serve(base, "--grpc_max_threads=64") as server:
        with PredictionClient(server.target, name="m") as client:
            found = []
            threads = [
                threading.Thread(
                    target=lambda: found.extend(client.predict([colours["green"]] * 3))
                )
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert [each.class_name for each in found] == ["green"] * 24
