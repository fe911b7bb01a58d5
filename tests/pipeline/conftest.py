"""A small real data set, the command line as a user starts it, stubs of two servers.

That of Kubeflow is strict: a path or a method that the generated client does not have
is 404, a body with a key that the generated model does not have is 400, and so are
unknown query parameters. Its own answers must fit the generated models, too. Values
that no model tells, such as the time of a run that has not ended, are those of the real
server's code (docs/decisions/0071-kubeflows-api-server.md).
"""

from __future__ import annotations

import datetime
import email.parser
import email.policy
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import kfp_server_api
import pytest
import yaml

from graft.pipeline.kubeflow.cluster import submission
from graft.pipeline.kubeflow.cluster.api import Api, Connection

RunGraft = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def small() -> tuple[str, ...]:
    """64 pixels instead of 224: faster, and enough for three digits."""
    return ("--set", "model.image_size=64", "--set", "gate.min_accuracy=0.8")


@pytest.fixture(scope="session")
def run_graft() -> RunGraft:
    """Run `graft` in a process of its own: `run_graft("run", ..., timeout=200)`."""

    def run(
        *arguments: object,
        timeout: float = 280,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "graft.pipeline.cli", *map(str, arguments)],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    return run


@pytest.fixture(scope="session")
def kill_graft_at() -> Callable[..., None]:
    """Start `graft`, and kill it -9 as soon as its log says that a node is running."""

    def kill(node: str, output: Path, *arguments: object) -> None:
        before = set(output.glob("pipelines/*/logs/*.log"))
        process = subprocess.Popen(
            [sys.executable, "-m", "graft.pipeline.cli", *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 250
        try:
            while time.monotonic() < deadline:
                logs = set(output.glob("pipelines/*/logs/*.log")) - before
                if any(f"node {node} is running" in log.read_text() for log in logs):
                    return
                assert process.poll() is None, f"graft ended before {node} began"
                time.sleep(0.05)
            raise AssertionError(f"{node} never began")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    return kill


QUERIES = {
    *("namespace", "page_token", "page_size", "sort_by", "filter", "experiment_id"),
    *("name", "pipelineid", "display_name"),
}
NOW = "2026-11-22T03:00:00Z"
NEVER = "1970-01-01T00:00:00Z"
"""What the server tells for a time that has not come."""
NODES = ("sample-x7k2p", "root", "root-driver", "root(0)", "Trainer-driver", "Trainer")
NODES += ("Trainer(0)", "executor", "executor(0)", "executor(1)", "Trainer-driver(0)")
"""What 2.17.0 lists for a run of one step: nodes of retries, drivers, the workflow."""


VALUE_TYPES = {
    **{"str": str, "datetime": str, "bool": bool, "int": int},
    # Kubeflow's documents and values: any JSON.
    "object": object,
}
REPLIES = {
    ("GET", "/pipelines/names/[^/]+"): "V2beta1Pipeline",
    ("POST", "/pipelines"): "V2beta1Pipeline",
    ("POST", "/pipelines/upload_version"): "V2beta1PipelineVersion",
    ("GET", "/pipelines/[^/]+/versions"): "V2beta1ListPipelineVersionsResponse",
    ("GET", "/experiments"): "V2beta1ListExperimentsResponse",
    ("POST", "/experiments"): "V2beta1Experiment",
    ("GET", "/runs"): "V2beta1ListRunsResponse",
    ("POST", "/runs"): "V2beta1Run",
    ("GET", "/runs/[^/:]+"): "V2beta1Run",
    ("GET", "/recurringruns"): "V2beta1ListRecurringRunsResponse",
    ("POST", "/recurringruns"): "V2beta1RecurringRun",
}
"""Model of the answer of each route that has one."""


class Stub:
    """State and faults of the stub."""

    def __init__(self):
        self.calls = []
        self.pipelines, self.versions, self.runs = [], [], []
        self.experiments, self.recurring = [], []
        self.faults = []
        self.token = None
        self.run_states = ["PENDING", "RUNNING", "SUCCEEDED"]
        self.version = "2.17.0"
        self.can_retry = True
        self.retried = []
        self.nodes = NODES
        self.mistakes = []
        """Answers of the stub that do not fit their models."""
        self.plugins_output = {}
        self.answers = {}
        """Bodies in place of the stub's, by method and the end of the path."""

    def check(self, model, body):
        """Refuse what the generated model does not have."""
        generated = getattr(kfp_server_api, model)
        allowed = getattr(generated, "allowable_values", None)
        if allowed:
            if body not in allowed:
                raise ValueError(f"{model} must be one of {allowed}, not {body!r}")
            return
        if not isinstance(body, dict):
            raise ValueError(f"{model} must be an object, not {body!r}")
        attributes = {alias: name for name, alias in generated.attribute_map.items()}
        for key, value in body.items():
            if key not in attributes:
                raise ValueError(f"{model} has no {key!r}")
            self._check_value(
                f"{model}.{key}", generated.openapi_types[attributes[key]], value
            )

    def _check_value(self, name, kind, value):
        if match := re.fullmatch(r"list\[(.+)\]", kind):
            if not isinstance(value, list):
                raise ValueError(f"{name} must be a list, not {value!r}")
            for item in value:
                self._check_value(name, match[1], item)
        elif kind in VALUE_TYPES:
            if not isinstance(value, VALUE_TYPES[kind]):
                raise ValueError(f"{name} must be {kind}, not {value!r}")
            if kind == "datetime":
                datetime.datetime.fromisoformat(value)
        elif not kind.startswith("dict("):
            self.check(kind, value)


def _refusal(code, message):
    """Return the body of a refusal: a status of gRPC, as the server writes it."""
    return {"code": code, "message": message, "details": []}


class Handler(BaseHTTPRequestHandler):
    stub: Stub

    def log_message(self, *args):
        pass

    def do_GET(self):
        self._handle("GET")

    def do_POST(self):
        self._handle("POST")

    def do_DELETE(self):
        self._handle("DELETE")

    def _handle(self, method):
        stub = self.stub
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        stub.calls.append((method, url.path, query, raw, dict(self.headers)))
        fault = stub.faults.pop(0) if stub.faults else None
        if fault == "drop":
            self.connection.close()
            return
        if fault == "login":
            self._answer(200, b"<html>Sign in</html>", "text/html")
            return
        if isinstance(fault, int):
            self._json(fault, _refusal(2, f"fault {fault}"))
            return
        for (wanted, end), body in stub.answers.items():
            if method == wanted and url.path.endswith(end):
                self._answer(200, body, "application/json")
                return
        if stub.token and self.headers.get("Authorization") != f"Bearer {stub.token}":
            self._json(401, _refusal(16, "Unauthenticated"))
            return
        try:
            status, answer = self._route(method, url.path, query, raw)
        except ValueError as error:
            status, answer = 400, _refusal(3, str(error))
        if status == 200:
            try:
                self._check_answer(method, url.path, answer)
            except ValueError as error:
                stub.mistakes.append(str(error))
        if fault == "lost":
            self.connection.close()
            return
        self._json(status, answer)

    def _check_answer(self, method, path, answer):
        path = path.removeprefix("/apis/v2beta1")
        for (wanted, pattern), model in REPLIES.items():
            if method == wanted and re.fullmatch(pattern, path):
                self.stub.check(model, answer)

    def _route(self, method, path, query, raw):
        """Answer a request. It is a long table, a branch for each route."""
        stub = self.stub
        path = path.removeprefix("/apis/v2beta1")
        if strangers := set(query) - QUERIES:
            raise ValueError(f"unknown query parameters {strangers}")
        if path == "/healthz":
            return 200, {
                **{"commit_sha": "unknown", "tag_name": stub.version},
                **{"multi_user": False, "pipeline_store": "database"},
            }
        if path == "/pipelines/upload_version" and method == "POST":
            assert set(query) <= {"name", "pipelineid", "display_name"}, query
            text = self._multipart(raw)
            names = [version["display_name"] for version in stub.versions]
            if query["name"] in names:
                return 409, _refusal(6, "Already exist error")
            spec, *_ = yaml.safe_load_all(text)
            version = {
                "pipeline_id": query["pipelineid"],
                "pipeline_version_id": f"version-{len(stub.versions)}",
                "display_name": query["name"],
                "created_at": NOW,
                "pipeline_spec": {"pipeline_spec": spec, "platform_spec": {}},
            }
            stub.versions.insert(0, version)
            return 200, version
        body = json.loads(raw) if raw else {}
        if match := re.fullmatch("/pipelines/names/([^/]+)", path):
            for pipeline in stub.pipelines:
                if pipeline["display_name"] == match[1]:
                    return 200, pipeline
            return 404, _refusal(5, "not found")
        if path == "/pipelines" and method == "POST":
            stub.check("V2beta1Pipeline", body)
            stub.pipelines.append({**body, "pipeline_id": "pipeline-0"})
            return 200, stub.pipelines[-1]
        if re.fullmatch("/pipelines/[^/]+/versions", path) and method == "GET":
            return 200, {"pipeline_versions": stub.versions}
        if path == "/experiments" and method == "GET":
            return 200, {"experiments": stub.experiments}
        if path == "/experiments":
            stub.check("V2beta1Experiment", body)
            stub.experiments.append({**body, "experiment_id": "experiment-0"})
            return 200, stub.experiments[-1]
        if path == "/runs" and method == "POST":
            stub.check("V2beta1Run", body)
            run = {**body, "run_id": f"run-{len(stub.runs)}", "created_at": NOW}
            stub.runs.insert(0, run)
            return 200, run
        if path == "/runs":
            found = stub.runs
            if "filter" in query:
                (condition,) = json.loads(query["filter"])["predicates"]
                assert condition["key"] == "display_name"
                found = [
                    run
                    for run in found
                    if run["display_name"] == condition["string_value"]
                ]
            return 200, {"runs": found}
        if match := re.fullmatch("/runs/([^/:]+):retry", path):
            if not stub.can_retry:
                return 400, _refusal(3, "Workflow manifest cannot be empty")
            stub.retried.append(match[1])
            return 200, {}
        if match := re.fullmatch("/runs/([^/:]+)", path):
            runs = [run for run in stub.runs if run["run_id"] == match[1]]
            if not runs:
                return 404, _refusal(5, f"Run {match[1]} not found")
            (run,) = runs
            if method == "DELETE":
                stub.runs.remove(run)
                return 200, {}
            state = stub.run_states[0]
            if len(stub.run_states) > 1:
                stub.run_states.pop(0)
            details = [
                {"display_name": name, "state": state, "task_id": name}
                for name in stub.nodes
            ]
            error = {"message": "OOMKilled"} if state == "FAILED" else None
            has_ended = state not in ("PENDING", "RUNNING")
            return 200, {
                **run,
                "state": state,
                "finished_at": NOW if has_ended else NEVER,
                "run_details": {"task_details": details},
                "plugins_output": stub.plugins_output,
                **({"error": error} if error else {}),
            }
        if path == "/recurringruns" and method == "POST":
            stub.check("V2beta1RecurringRun", body)
            made = {
                **body,
                "recurring_run_id": f"schedule-{len(stub.recurring)}",
                "status": "ENABLED",
            }
            stub.recurring.append(made)
            return 200, made
        if path == "/recurringruns":
            return 200, {"recurringRuns": stub.recurring}
        if match := re.fullmatch("/recurringruns/([^/:]+)(:enable|:disable)?", path):
            (item,) = [r for r in stub.recurring if r["recurring_run_id"] == match[1]]
            if method == "DELETE":
                stub.recurring.remove(item)
            else:
                item["status"] = {":enable": "ENABLED", ":disable": "DISABLED"}[
                    match[2]
                ]
            return 200, {}
        return 404, _refusal(5, f"no such route: {method} {path}")

    def _multipart(self, raw):
        header = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.default).parsebytes(
            header + raw
        )
        (part,) = message.iter_parts()
        assert part.get_param("name", header="content-disposition") == "uploadfile"
        return part.get_payload(decode=True).decode()

    def _json(self, status, body):
        self._answer(status, json.dumps(body).encode(), "application/json")

    def _answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def stub():
    state = Stub()
    handler = type("BoundHandler", (Handler,), {"stub": state})
    state.handler = handler
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.host = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
    assert state.mistakes == []


@pytest.fixture
def api(stub):
    def make(**settings):
        return Api(Connection(stub.host, pause_seconds=0.01, **settings))

    return make


@pytest.fixture
def pipeline_file(tmp_path):
    path = tmp_path / "pipeline.yaml"
    spec = {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "sample"},
        "root": {
            "inputDefinitions": {
                "parameters": {
                    "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3},
                    "data_path": {"parameterType": "STRING", "defaultValue": "/mnt/d"},
                }
            },
            "dag": {"tasks": {"Trainer": {"componentRef": {"name": "trainer"}}}},
        },
        "components": {"trainer": {"executorLabel": "trainer"}},
        "deploymentSpec": {"executors": {"trainer": {"container": {"image": "i:1"}}}},
    }
    path.write_text(yaml.safe_dump(spec))
    return path


@pytest.fixture
def uploaded(api, pipeline_file):
    return submission.upload(api(), pipeline_file)


class FlinkRest:
    """A server that answers as Flink 1.19 does."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "/v1/overview": {
                "taskmanagers": 1,
                "slots-total": 2,
                "slots-available": 2,
            },
            "/v1/jobmanager/config": [{"key": "rest.port", "value": "8081"}],
            "/v1/taskmanagers": {"taskmanagers": [{"id": "one"}]},
            "/v1/taskmanagers/one": {
                "slotsNumber": 2,
                "memoryConfiguration": {"networkMemory": 512 << 20},
            },
        }
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(answers[self.path]).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("localhost", 0), Handler)
        self.address = f"localhost:{self.server.server_address[1]}"


@pytest.fixture
def rest() -> Iterator[FlinkRest]:
    found = FlinkRest()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()
