"""Submitting and scheduling against a stub of Kubeflow's API on a local port.

The stub is strict: a path or a method that the generated client does not have is 404, a
body with a key that the generated model does not have is 400, and so are unknown query
parameters. What it can't show is whether the real server agrees.
"""

from __future__ import annotations

import datetime
import email.parser
import email.policy
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import kfp_server_api
import pytest
import yaml
from typer.testing import CliRunner

from pipeline.kubeflow import schedules, submission
from pipeline.kubeflow.api import Api, ApiError, Connection
from pipeline.kubeflow.pipeline_file import PipelineFileError

NOW = "2026-11-22T03:00:00Z"


class Stub:
    """State and faults of the stub."""

    def __init__(self):
        self.calls = []
        self.pipelines, self.versions, self.runs = [], [], []
        self.experiments, self.recurring = [], []
        self.faults = []
        self.token = None
        self.run_states = ["PENDING", "RUNNING", "SUCCEEDED"]

    def check(self, model, body):
        attributes = {
            alias: name
            for name, alias in getattr(kfp_server_api, model).attribute_map.items()
        }
        types = getattr(kfp_server_api, model).openapi_types
        for key, value in body.items():
            if key not in attributes:
                raise ValueError(f"{model} has no {key!r}")
            kind = types[attributes[key]]
            if kind == "str" and not isinstance(value, str):
                raise ValueError(f"{model}.{key} must be a string, not {value!r}")
            if kind == "bool" and not isinstance(value, bool):
                raise ValueError(f"{model}.{key} must be a boolean, not {value!r}")
            if kind.startswith("V2beta1") and isinstance(value, dict):
                self.check(kind, value)


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
            self._json(fault, {"error": f"fault {fault}"})
            return
        if stub.token and self.headers.get("Authorization") != f"Bearer {stub.token}":
            self._json(401, {"error": "Unauthenticated"})
            return
        try:
            status, answer = self._route(method, url.path, query, raw)
        except ValueError as error:
            status, answer = 400, {"error": str(error)}
        if fault == "lost":
            self.connection.close()
            return
        self._json(status, answer)

    def _route(self, method, path, query, raw):
        stub = self.stub
        path = path.removeprefix("/apis/v2beta1")
        if path == "/pipelines/upload_version" and method == "POST":
            assert set(query) <= {"name", "pipelineid", "display_name"}, query
            text = self._multipart(raw)
            names = [version["display_name"] for version in stub.versions]
            if query["name"] in names:
                return 409, {"error": "Already exist error"}
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
            return 404, {"error": "not found"}
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
        if match := re.fullmatch("/runs/([^/:]+)", path):
            (run,) = [run for run in stub.runs if run["run_id"] == match[1]]
            state = stub.run_states[0]
            if len(stub.run_states) > 1:
                stub.run_states.pop(0)
            details = [
                {"display_name": name, "state": state, "task_id": name}
                for name in ("root", "Trainer", "Trainer-driver")
            ]
            error = {"message": "OOMKilled"} if state == "FAILED" else None
            return 200, {
                **run,
                "state": state,
                "run_details": {"task_details": details},
                "error": error,
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
        return 404, {"error": f"no such route: {method} {path}"}

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
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.host = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


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
            "dag": {"tasks": {}},
        },
    }
    path.write_text(yaml.safe_dump(spec))
    return path


def routes(stub):
    return [(method, path) for method, path, *_ in stub.calls]


def test_submit_uploads_and_runs_with_ids_and_parameters(stub, api, pipeline_file):
    client = api(namespace="team", token="secret")
    stub.token = "secret"
    uploaded = submission.upload(client, pipeline_file)
    assert uploaded.is_new
    run_id = submission.start_run(
        client, pipeline_file, uploaded, {"epochs": 5}, service_account="runner"
    )
    (run,) = stub.runs
    assert run["run_id"] == run_id
    assert run["pipeline_version_reference"] == {
        "pipeline_id": "pipeline-0",
        "pipeline_version_id": "version-0",
    }
    assert run["runtime_config"] == {"parameters": {"epochs": 5}}
    assert run["service_account"] == "runner"
    assert run["experiment_id"] == "experiment-0"
    assert stub.pipelines[0]["namespace"] == "team"
    assert stub.experiments[0]["namespace"] == "team"


def test_same_file_is_the_same_version_and_another_a_new_one(stub, api, pipeline_file):
    first = submission.upload(api(), pipeline_file)
    again = submission.upload(api(), pipeline_file)
    assert (first.version_id, again.is_new) == (again.version_id, False)
    pipeline_file.write_text(pipeline_file.read_text() + "\n# changed\n")
    other = submission.upload(api(), pipeline_file)
    assert other.is_new
    assert len(stub.pipelines) == 1
    assert len(stub.versions) == 2


def test_upload_whose_answer_was_lost_is_found_again(stub, api, pipeline_file):
    # By name 404, create, list versions, upload (stored, answer lost), upload: 409.
    stub.faults = [None, None, None, "lost"]
    uploaded = submission.upload(api(), pipeline_file)
    assert uploaded.version_id == "version-0"
    assert len(stub.versions) == 1
    assert routes(stub).count(("POST", "/apis/v2beta1/pipelines/upload_version")) == 2


def test_run_whose_answer_was_lost_is_not_started_twice(stub, api, pipeline_file):
    uploaded = submission.upload(api(), pipeline_file)
    stub.faults = [None, None, "lost"]
    run_id = submission.start_run(api(), pipeline_file, uploaded, {})
    assert [run["run_id"] for run in stub.runs] == [run_id]


@pytest.mark.parametrize("fault", [500, 503, 429, "drop"])
def test_passing_fault_is_sat_out(stub, api, pipeline_file, fault):
    uploaded = submission.upload(api(), pipeline_file)
    stub.faults = [None, None, fault]
    submission.start_run(api(), pipeline_file, uploaded, {})
    assert len(stub.runs) == 1
    stub.faults = [fault, fault]
    assert submission.find_pipeline(api(), "sample") == "pipeline-0"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (401, "missing or expired"),
        (403, "kubeflow-pipelines-edit"),
        (400, "answered 400: fault 400"),
        ("login", "not as Kubeflow's API"),
        (302, "not as Kubeflow's API"),
    ],
)
def test_refusal_is_one_clear_message_without_retry(stub, api, fault, message):
    stub.faults = [fault]
    with pytest.raises(ApiError, match=message):
        submission.list_runs(api())
    assert len(stub.calls) == 1


def test_fault_that_does_not_pass_is_reported(stub, api):
    stub.faults = [500] * 10
    with pytest.raises(ApiError, match="answered 500: fault 500"):
        submission.list_runs(api(attempts=3))
    assert len(stub.calls) == 3


def test_unreachable_host_is_named(stub):
    client = Api(Connection("http://127.0.0.1:9", attempts=2, pause_seconds=0.01))
    with pytest.raises(ApiError, match=r"127\.0\.0\.1:9 does not answer.*port-forward"):
        submission.list_runs(client)
    with pytest.raises(ApiError, match="must be a URL"):
        Api(Connection("localhost:8888"))


def test_expired_token_is_refused_and_a_pods_token_is_found(
    stub, api, tmp_path, monkeypatch
):
    stub.token = "fresh"
    with pytest.raises(ApiError, match="expired"):
        submission.list_runs(api(token="stale"))
    path = tmp_path / "token"
    path.write_text("fresh\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(path))
    assert submission.list_runs(api()) == []


def test_cookie_is_sent(stub, api):
    submission.list_runs(api(cookies="authservice_session=abc"))
    assert stub.calls[0][4]["Cookie"] == "authservice_session=abc"


def test_follow_reports_each_change_and_hides_the_plumbing(stub, api, pipeline_file):
    uploaded = submission.upload(api(), pipeline_file)
    run_id = submission.start_run(api(), pipeline_file, uploaded, {})
    seen = []
    stub.run_states = ["PENDING", "RUNNING", "RUNNING", "FAILED"]
    ended = submission.follow(api(), run_id, seen.append, poll_seconds=0.01)
    assert [state.state for state in seen] == ["PENDING", "RUNNING", "FAILED"]
    assert ended.tasks == {"Trainer": "FAILED"}
    assert ended.error == "OOMKilled"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epoch": 1}, "no parameter 'epoch'"),
        ({"epochs": 1.5}, "NUMBER_INTEGER"),
        ({"data_path": "s3://bucket"}, "mounted folder"),
    ],
)
def test_bad_parameter_starts_nothing(stub, api, pipeline_file, parameters, message):
    uploaded = submission.upload(api(), pipeline_file)
    with pytest.raises(PipelineFileError, match=message):
        submission.start_run(api(), pipeline_file, uploaded, parameters)
    assert stub.runs == []


# --- When a run is due
# ------------------------------------------------------------------
UPLOADED = submission.Uploaded("p", "v2", "v-2", is_new=False)


def past_run(*, state="SUCCEEDED", version="v2", parameters=None, pipeline="p"):
    return SimpleNamespace(
        display_name="past",
        state=state,
        created_at=datetime.datetime(2026, 11, 22, tzinfo=datetime.timezone.utc),
        pipeline_version_reference=SimpleNamespace(
            pipeline_id=pipeline, pipeline_version_id=version
        ),
        runtime_config=SimpleNamespace(
            parameters=parameters or {"data_fingerprint": "f"}
        ),
    )


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([], "there is no run yet"),
        ([past_run(pipeline="another")], "there is no run yet"),
        ([past_run()], None),
        ([past_run(state="FAILED")], "the last run ended as FAILED"),
        ([past_run(version="v1")], "code or config changed"),
        ([past_run(parameters={"data_fingerprint": "g"})], "the data changed"),
        (
            [past_run(parameters={"data_fingerprint": "f", "epochs": 1})],
            "the parameters changed",
        ),
    ],
)
def test_reason_to_run(runs, reason):
    parameters = {"data_fingerprint": "f"}
    assert submission.reason_to_run(runs, UPLOADED, parameters) == reason


@pytest.mark.parametrize(
    ("reported_at", "reason"), [(0, None), (4e9, "drift was reported")]
)
def test_drift_that_was_reported_since_is_a_reason(reported_at, reason):
    found = submission.reason_to_run(
        [past_run()],
        UPLOADED,
        {"data_fingerprint": "f"},
        drift_reported_at=reported_at,
    )
    assert found == reason


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", None])
def test_run_under_way_is_an_overlap(state):
    with pytest.raises(submission.OverlapError, match="past"):
        submission.reason_to_run([past_run(state=state)], UPLOADED, {})


# --- Schedules
# --------------------------------------------------------------------------
@pytest.fixture
def uploaded(api, pipeline_file):
    return submission.upload(api(), pipeline_file)


def test_schedule_follows_the_newest_version(stub, api, uploaded):
    schedules.create_schedule(
        api(), "nightly", "sample", "0 3 * * *", parameters={"epochs": 4}
    )
    (made,) = stub.recurring
    assert made["pipeline_version_reference"] == {"pipeline_id": "pipeline-0"}
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (made["max_concurrency"], made["no_catchup"], made["mode"]) == (
        "1",
        True,
        "ENABLE",
    )
    assert made["runtime_config"] == {"parameters": {"epochs": 4}}


def test_schedule_is_paused_resumed_and_deleted(stub, api, uploaded):
    schedules.create_schedule(api(), "nightly", "sample", "@daily")
    schedules.pause_schedule(api(), "nightly")
    assert stub.recurring[0]["status"] == "DISABLED"
    schedules.resume_schedule(api(), "nightly")
    assert stub.recurring[0]["status"] == "ENABLED"
    schedules.delete_schedule(api(), "nightly")
    assert stub.recurring == []
    with pytest.raises(schedules.ScheduleError, match="No schedule 'nightly'"):
        schedules.pause_schedule(api(), "nightly")


def test_second_schedule_of_a_name_must_replace_the_first(stub, api, uploaded):
    schedules.create_schedule(api(), "nightly", "sample", "@daily")
    with pytest.raises(schedules.ScheduleError, match="--replace"):
        schedules.create_schedule(api(), "nightly", "sample", "@daily")
    stub.calls.clear()
    schedules.create_schedule(api(), "nightly", "sample", "@hourly", replace=True)
    assert [item["trigger"]["cron_schedule"]["cron"] for item in stub.recurring] == [
        "0 0 * * * *"
    ]
    changes = [path for method, path in routes(stub) if method != "GET"]
    assert [path.rpartition("/")[2] for path in changes] == [
        "schedule-0:disable",
        "recurringruns",
        "schedule-0",
    ]


def test_schedule_of_what_does_not_exist_is_refused(stub, api, uploaded):
    with pytest.raises(schedules.ScheduleError, match="graft submit"):
        schedules.create_schedule(api(), "nightly", "unknown", "@daily")
    with pytest.raises(PipelineFileError, match="no parameter 'epoch'"):
        schedules.create_schedule(
            api(), "nightly", "sample", "@daily", parameters={"epoch": 1}
        )
    assert stub.recurring == []


# --- The commands
# -----------------------------------------------------------------------
@pytest.mark.parametrize(("state", "status"), [("SUCCEEDED", 0), ("FAILED", 1)])
def test_exit_status_of_submit_is_the_runs(stub, pipeline_file, state, status):
    import typer

    from pipeline.commands.submit import submit

    app = typer.Typer()
    app.command()(submit)
    stub.run_states = [state]
    result = CliRunner().invoke(
        app, [str(pipeline_file), "--host", stub.host, "--param", "epochs=2"]
    )
    assert result.exit_code == status, result.output
    assert stub.runs[0]["runtime_config"] == {"parameters": {"epochs": 2}}
    assert "Trainer" in result.output


def test_submit_if_changed_submits_once(stub, pipeline_file):
    import typer

    from pipeline.commands.submit import submit

    app = typer.Typer()
    app.command()(submit)
    arguments = [str(pipeline_file), "--host", stub.host, "--if-changed", "--no-follow"]
    first = CliRunner().invoke(app, arguments)
    assert "there is no run yet" in first.output
    again = CliRunner().invoke(app, arguments)
    assert "is under way" in again.output
    stub.runs[0]["state"] = "SUCCEEDED"
    third = CliRunner().invoke(app, arguments)
    assert "nothing changed" in third.output
    assert len(stub.runs) == 1
    CliRunner().invoke(app, [*arguments, "--force"])
    assert len(stub.runs) == 2


def test_schedule_command_says_what_became_of_the_hours(stub, uploaded):
    from pipeline.commands.schedule import app

    result = CliRunner().invoke(
        app,
        [
            *("create", "nightly", "--pipeline", "sample", "--host", stub.host),
            *("--cron", "0 3 * * *", "--timezone", "Asia/Tokyo"),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "'0 0 18 * * *', UTC" in result.output
    listed = CliRunner().invoke(app, ["list", "--host", stub.host])
    assert "nightly" in listed.output
