"""Versions appear, vanish and fail while the server runs, and no request fails."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import pytest

pytest.importorskip("tensorflow_serving")
from google.protobuf import text_format
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

FAST = ("--file_system_poll_wait_seconds=0.1", "--load_retry_interval_micros=200000")
LINE = """
    model_spec { name: "m" signature_name: "line" }
    inputs { key: "x" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } }
                              float_val: 1 } }
"""


def ask(server, **spec):
    request = text_format.Parse(LINE, predict_pb2.PredictRequest())
    request.model_spec.name = spec.get("name", "m")
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    with grpc.insecure_channel(server.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(request, timeout=60)
    return response.model_spec.version.value, response.outputs["y"].float_val[0]


def states(server, name="m"):
    """Return {version: (state, error code)}, newest first."""
    try:
        with urllib.request.urlopen(f"{server.url}/v1/models/{name}") as reply:
            entries = json.load(reply)["model_version_status"]
    except urllib.error.HTTPError as error:
        error.close()
        return {}
    return {
        int(entry["version"]): (entry["state"], entry["status"]["error_code"])
        for entry in entries
    }


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "m"


@pytest.fixture
def serve(run_server):
    def start(base, *flags):
        return run_server(
            base.parent / "server.log",
            "--model_name=m",
            f"--model_base_path={base}",
            *FAST,
            *flags,
        )

    return start


def test_a_hot_swap_fails_no_request(base, serve, publish):
    publish(base, 1)
    with serve(base, "--grpc_max_threads=64") as server:
        answers, errors, stop = [], [], threading.Event()

        def keep_asking():
            request = text_format.Parse(LINE, predict_pb2.PredictRequest())
            with grpc.insecure_channel(server.target) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                while not stop.is_set():
                    try:
                        response = stub.Predict(request, timeout=30)
                    except grpc.RpcError as error:
                        errors.append(error)
                        return
                    value = response.outputs["y"].float_val[0]
                    answers.append((response.model_spec.version.value, value))

        askers = [threading.Thread(target=keep_asking) for _ in range(4)]
        for asker in askers:
            asker.start()
        for number in (2, 3, 4):
            publish(base, number)
            wait_for(lambda number=number: answers and answers[-1][0] == number)
        stop.set()
        for asker in askers:
            asker.join()

        assert not errors
        assert {version for version, _ in answers} == {1, 2, 3, 4}
        assert all(value == (4 if number % 2 else 8) for number, value in answers)
        wait_for(lambda: states(server)[3][0] == "END")
        assert list(states(server)) == [4, 3, 2, 1]
        assert states(server)[1] == ("END", "OK")

        # The newest goes: the next one comes back before it is unloaded.
        shutil.rmtree(base / "4")
        wait_for(lambda: states(server)[4][0] == "END")
        assert ask(server) == (3, 4)
        # A base path that vanishes changes nothing; an emptied one unloads all.
        base.rename(base.parent / "away")
        time.sleep(0.5)
        assert ask(server) == (3, 4)
        base.mkdir()
        wait_for(lambda: states(server)[3][0] == "END")
        with pytest.raises(grpc.RpcError, match=r"Latest\(m\)"):
            ask(server)


def test_a_version_stays_until_its_last_request_is_answered(base, serve, publish):
    publish(base, 1)
    slow = text_format.Parse(LINE, predict_pb2.PredictRequest())
    slow.model_spec.signature_name = "slow"
    slow.inputs["x"].float_val[0] = 16000
    with serve(base) as server, grpc.insecure_channel(server.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        running = stub.Predict.future(slow, timeout=100)
        time.sleep(0.2)
        publish(base, 2)
        wait_for(lambda: states(server).get(2, ("", ""))[0] == "AVAILABLE")
        assert ask(server) == (2, 8)
        assert states(server)[1][0] == "UNLOADING"
        assert not running.done()
        assert running.result().model_spec.version.value == 1
        wait_for(lambda: states(server)[1] == ("END", "OK"))


def test_a_version_that_is_wanted_again_while_it_ends_comes_back(
    base, run_server, publish
):
    for number in (1, 2):
        publish(base, number)
    slow = text_format.Parse(LINE, predict_pb2.PredictRequest())
    slow.model_spec.signature_name = "slow"
    slow.model_spec.version.value = 1
    slow.inputs["x"].float_val[0] = 16000
    policy = "model_version_policy {{ specific {{ versions: {} }} }}"
    both, newer = (config_of(base, policy.format(each)) for each in ([1, 2], [2]))
    flags = ("--model_name=m", f"--model_base_path={base}", *FAST)
    with (
        run_server(base.parent / "server.log", *flags) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        reload(server, both)
        wait_for(lambda: states(server).get(1) == ("AVAILABLE", "OK"))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        running = stub.Predict.future(slow, timeout=100)
        time.sleep(0.2)
        reload(server, newer)
        wait_for(lambda: states(server)[1][0] == "UNLOADING")
        reload(server, both)
        assert running.result().model_spec.version.value == 1
        wait_for(lambda: states(server)[1] == ("AVAILABLE", "OK"))


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda path: (path / "saved_model.pb").unlink(), "NOT_FOUND"),
        (lambda path: (path / "saved_model.pb").write_bytes(b"no"), "INTERNAL"),
        (lambda path: (path / "variables/variables.index").unlink(), "NOT_FOUND"),
        (
            lambda path: (path / "graft_manifest.json").write_text(
                json.dumps({"files": {"saved_model.pb": "0" * 64}})
            ),
            "DATA_LOSS",
        ),
        (lambda path: os.mkfifo(path / "graft_manifest.json"), "DATA_LOSS"),
        (
            lambda path: (path / "graft_manifest.json").symlink_to("/dev/zero"),
            "DATA_LOSS",
        ),
        (
            lambda path: (path / "graft_manifest.json").symlink_to("nowhere"),
            "DATA_LOSS",
        ),
    ],
    ids=["no-graph", "garbage", "no-variables", "manifest", "pipe", "device", "link"],
)
def test_a_version_that_fails_leaves_the_old_one(base, serve, publish, damage, code):
    publish(base, 1)
    with serve(base, "--max_num_load_retries=1") as server:
        broken = publish(base.parent / "prepared", 2)
        damage(broken)
        broken.rename(base / "2")
        wait_for(lambda: states(server).get(2, ("", ""))[0] == "END")
        assert states(server)[2][1] == code
        assert ask(server) == (1, 4)

        # After the folder has vanished, a good one of the same number is tried.
        (base / "2").rename(base.parent / "bad")
        time.sleep(0.5)
        publish(base, 2)
        wait_for(lambda: states(server)[2][0] == "AVAILABLE")
        assert ask(server) == (2, 8)


def test_a_copy_in_progress_is_tried_again(base, serve, publish):
    publish(base, 1)
    with serve(base, "--max_num_load_retries=50") as server:
        whole = publish(base.parent / "prepared", 2)
        (base / "2").mkdir()
        wait_for(lambda: states(server).get(2) == ("LOADING", "NOT_FOUND"))
        assert ask(server) == (1, 4)
        shutil.copytree(whole, base / "2", dirs_exist_ok=True)
        wait_for(lambda: states(server)[2] == ("AVAILABLE", "OK"))


def test_a_manifest_that_fits_is_no_obstacle(base, serve, publish):
    import hashlib

    path = publish(base, 1)
    files = [each for each in path.rglob("*") if each.is_file()]
    digests = {
        str(each.relative_to(path)): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in files
    }
    (path / "graft_manifest.json").write_text(json.dumps({"files": digests}))
    with serve(base) as server:
        assert ask(server) == (1, 4)


def config_of(base, extra="", name="m"):
    return (
        f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" '
        f"{extra} }}"
    )


def reload(server, text, timeout=20):
    request = text_format.Parse(
        f'config {{ model_config_list {{ {text} }} }} metric_names: "/tensorflow/x"',
        model_management_pb2.ReloadConfigRequest(),
    )
    with grpc.insecure_channel(server.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        return stub.HandleReloadConfigRequest(request, timeout=timeout)


def test_config_file_policies_labels_and_reload(base, run_server, publish):
    for number in (1, 2, 3):
        publish(base, number)
    (base / "notes").mkdir()
    other = base.parent / "other"
    publish(other, 8)
    both = "model_version_policy { specific { versions: [1, 2] } }"
    stable = both + 'version_labels { key: "stable" value: 1 }'
    config = base.parent / "models.config"
    config.write_text(f"model_config_list {{ {config_of(base, both)} }}")
    with run_server(
        base.parent / "server.log", f"--model_config_file={config}", *FAST
    ) as server:
        ready = {1: ("AVAILABLE", "OK"), 2: ("AVAILABLE", "OK")}
        wait_for(lambda: states(server) == ready)

        response = reload(server, config_of(base, stable))
        assert response.status.error_code == 0
        assert not response.metric
        assert ask(server, label="stable") == (1, 4)
        assert ask(server) == (2, 8)

        # A label for an unloaded version fails, and then nothing of the config holds.
        wrong = stable.replace("value: 1", "value: 3")
        with pytest.raises(grpc.RpcError) as caught:
            reload(server, config_of(base, wrong) + config_of(other, name="other"))
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == (
            "Request to assign label to version 3 of model m, which is not currently "
            "available for inference"
        )
        assert ask(server, label="stable") == (1, 4)
        assert states(server, "other") == {}

        # The label moves, another model is added; then the first one is removed.
        moved = stable.replace("value: 1", "value: 2")
        reload(server, config_of(base, moved) + config_of(other, name="other"))
        assert ask(server, label="stable") == (2, 8)
        assert ask(server, name="other") == (8, 8)
        reload(server, config_of(other, name="other"))
        wait_for(lambda: {state for state, _ in states(server).values()} == {"END"})
        with pytest.raises(grpc.RpcError, match=r"Latest\(m\)"):
            ask(server)


def test_a_reload_that_waits_for_ever_ends_with_its_caller(base, run_server, publish):
    publish(base, 1)
    nowhere = base.parent / "nowhere"
    flags = ("--model_name=m", f"--model_base_path={base}", *FAST)
    with run_server(base.parent / "server.log", *flags) as server:
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            reload(server, config_of(nowhere, name="n"), timeout=1)
        assert reload(server, config_of(base)).status.error_code == 0
        assert ask(server) == (1, 4)
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            reload(server, config_of(nowhere, name="n"), timeout=1)
        assert server.stop() == 0


def damage(version):
    (version / "saved_model.pb").write_bytes(b"no model")
    return version


def test_a_reload_waits_for_new_models_alone(base, run_server, publish):
    """An old model may be without a version, and a new one may fail to load."""
    publish(base, 1)
    empty, broken = base.parent / "empty", base.parent / "broken"
    empty.mkdir()
    damage(publish(broken, 3))
    flags = ("--model_name=m", f"--model_base_path={base}", *FAST)
    with run_server(
        base.parent / "server.log", *flags, "--max_num_load_retries=0"
    ) as server:
        assert reload(server, config_of(empty)).status.error_code == 0
        wait_for(lambda: states(server) == {1: ("END", "OK")})
        with pytest.raises(grpc.RpcError) as caught:
            reload(server, config_of(empty) + config_of(broken, name="b"))
        assert caught.value.code() == grpc.StatusCode.UNKNOWN
        details = caught.value.details()
        assert details.startswith(
            "1 model(s) did not become available: {{{name: b version: 3} due to error: "
        )
        assert details.endswith("}, }")
        # Since the list was taken over, the model is not new any more.
        both = config_of(base) + config_of(broken, name="b")
        assert reload(server, both).status.error_code == 0
        wait_for(lambda: states(server)[1] == ("AVAILABLE", "OK"))


def test_a_missing_folder_holds_up_all_models(base, run_server, publish):
    publish(base, 1)
    nowhere = base.parent / "nowhere"
    flags = ("--model_name=m", f"--model_base_path={base}", *FAST)
    with run_server(base.parent / "server.log", *flags) as server:
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            both = config_of(base) + config_of(nowhere, name="n")
            reload(server, both, timeout=1)
        publish(base, 2)
        time.sleep(1)
        assert ask(server) == (1, 4)
        nowhere.mkdir()
        wait_for(lambda: ask(server) == (2, 8))


def test_an_empty_config_file_starts_a_server_without_models(base, run_server, publish):
    publish(base, 1)
    config = base.parent / "models.config"
    config.write_text("")
    flags = (f"--model_config_file={config}", *FAST)
    polled = "--model_config_file_poll_wait_seconds=0.1"
    log = base.parent / "server.log"
    with run_server(log, *flags, polled) as server:
        assert states(server) == {}
        with pytest.raises(grpc.RpcError, match=r"labels does not init yet\.stable"):
            ask(server, label="stable")
        config.write_text(f"model_config_list {{ {config_of(base)} }}")
        wait_for(lambda: states(server) == {1: ("AVAILABLE", "OK")})
        assert ask(server) == (1, 4)
        config.write_text("")
        wait_for(lambda: "Cannot transition to requested config" in log.read_text())
        assert ask(server) == (1, 4)


def test_labels_at_the_start_need_their_flag(base, run_server, publish):
    publish(base, 1)
    config = base.parent / "models.config"
    entry = config_of(base, 'version_labels { key: "stable" value: 1 }')
    config.write_text(f"model_config_list {{ {entry} }}")
    log = base.parent / "server.log"
    flags = (f"--model_config_file={config}", *FAST)
    with run_server(log, *flags, wait=False) as server:
        assert server.process.wait(60) == 255
        assert "Failed to start server. Error: FAILED_PRECONDITION" in log.read_text()
    allow = "--allow_version_labels_for_unavailable_models"
    polled = "--model_config_file_poll_wait_seconds=0.2"
    with run_server(log, *flags, allow, polled) as server:
        assert ask(server, label="stable") == (1, 4)
        # The change of a call holds until the file is read again.
        reload(server, config_of(base))
        wait_for(lambda: label_of(server, "stable") == (1, 4))
        publish(base, 2)
        moved = entry.replace("value: 1", "value: 2")
        config.write_text(f"model_config_list {{ {moved} }}")
        wait_for(lambda: label_of(server, "stable") == (2, 8))


def test_a_labelled_version_stays_until_the_label_moves(base, run_server, publish):
    publish(base, 1)
    flags = ("--model_name=m", f"--model_base_path={base}", *FAST)
    with run_server(base.parent / "server.log", *flags) as server:
        label = 'version_labels {{ key: "stable" value: {} }}'
        reload(server, config_of(base, label.format(1)))
        publish(base, 2)
        wait_for(lambda: ask(server) == (2, 8))
        wait_for(lambda: set(states(server)) == {1, 2})
        assert states(server)[1] == ("AVAILABLE", "OK")
        assert ask(server, label="stable") == (1, 4)
        reload(server, config_of(base, label.format(2)))
        assert ask(server, label="stable") == (2, 8)
        wait_for(lambda: states(server)[1] == ("END", "OK"))


def label_of(server, label):
    try:
        return ask(server, label=label)
    except grpc.RpcError:
        return None
