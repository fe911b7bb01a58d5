"""The emulated backend's own behaviour, on containers of a few lines of Python."""

from __future__ import annotations

import copy
import json
import time

import pytest
import yaml

from graft.pipeline.kubeflow.compilation.pipeline_file import PipelineFileError
from graft.pipeline.kubeflow.emulation.backend import EmulatedBackend
from graft.pipeline.kubeflow.emulation.driver import is_true
from graft.pipeline.kubeflow.emulation.pipeline_run import Hooks
from graft.pipeline.kubeflow.emulation.store import LauncherError

PROGRAM = """
import json, os, sys, time
message = json.loads(sys.argv[1])
code = sys.argv[2]
prefix = os.environ["GRAFT_LAUNCHER_ROOT"]
def local(uri):
    return prefix + "/" + uri.replace("://", "/")
def path(part, key):
    return local(message[part]["artifacts"][key]["artifacts"][0]["uri"])
inputs = message["inputs"].get("parameterValues", {})
artifacts = message["inputs"].get("artifacts", {})
result = {"artifacts": {}, "parameterValues": {}}
def put(key, text, **metadata):
    os.makedirs(path("outputs", key), exist_ok=True)
    with open(path("outputs", key) + "/file.txt", "w") as file:
        file.write(text)
    uri = message["outputs"]["artifacts"][key]["artifacts"][0]["uri"]
    result["artifacts"][key] = {"artifacts": [{"uri": uri, "metadata": metadata}]}
def get(key):
    return open(path("inputs", key) + "/file.txt").read()
exec(code)
with open(message["outputs"]["outputFile"], "w") as file:
    json.dump(result, file)
"""


def step(code, *, inputs=None, parameters=None, **task):
    """Return (task, component, executor) of a container that runs `code`."""
    inputs = inputs or {}
    schema = {"artifactType": {"instanceSchema": "title: tfx.Examples\n"}}
    return (
        {
            "inputs": {
                "artifacts": {
                    key: {
                        "taskOutputArtifact": {
                            "producerTask": producer,
                            "outputArtifactKey": "out",
                        }
                    }
                    for key, producer in inputs.items()
                },
                "parameters": parameters or {},
            },
            "cachingOptions": {"enableCache": True},
            **task,
        },
        {
            "inputDefinitions": {
                "artifacts": {key: schema for key in inputs},
                "parameters": {
                    key: {"parameterType": "STRING"} for key in parameters or {}
                },
            },
            "outputDefinitions": {"artifacts": {"out": schema}},
        },
        {
            "container": {
                "image": "graft:1",
                "command": ["python", "-c", PROGRAM],
                "args": ["{{$}}", code],
            }
        },
    )


@pytest.fixture
def write_pipeline(tmp_path):
    def write(steps, parameters=None, configs=None):
        spec = {
            "schemaVersion": "2.1.0",
            "pipelineInfo": {"name": "sample"},
            "components": {},
            "deploymentSpec": {"executors": {}},
            "root": {"dag": {"tasks": {}}},
        }
        if parameters:
            spec["root"]["inputDefinitions"] = {"parameters": parameters}
        for name, (task, component, executor) in copy.deepcopy(steps).items():
            task |= {"componentRef": {"name": name}, "taskInfo": {"name": name}}
            spec["root"]["dag"]["tasks"][name] = task
            component["executorLabel"] = f"{name}_executor"
            spec["components"][name] = component
            spec["deploymentSpec"]["executors"][f"{name}_executor"] = executor
        documents = [spec]
        if configs:
            executors = {f"{name}_executor": item for name, item in configs.items()}
            documents.append(
                {
                    "platforms": {
                        "kubernetes": {"deploymentSpec": {"executors": executors}}
                    }
                }
            )
        path = tmp_path / "pipeline.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return path

    return write


@pytest.fixture
def backend(tmp_path):
    def make(**options):
        return EmulatedBackend(tmp_path / "cluster", **options)

    return make


def states(results):
    return {name: result.state for name, result in results.items()}


def test_only_what_was_uploaded_reaches_the_next_step(write_pipeline, backend):
    path = write_pipeline(
        {
            "A": step("open('left_behind', 'w').close(); put('out', 'hello')"),
            "B": step(
                "assert not os.path.exists('left_behind'); put('out', get('x') + '!')",
                inputs={"x": "A"},
            ),
        }
    )
    cluster = backend()
    results = cluster.run(path)
    assert states(results) == {"A": "SUCCEEDED", "B": "SUCCEEDED"}
    artifact = results["B"].artifacts["out"]
    assert (cluster.store.path(artifact.uri) / "file.txt").read_text() == "hello!"
    assert (results["B"].downloaded, results["B"].uploaded) == (5, 6)


def test_metadata_comes_back_as_the_store_keeps_it(write_pipeline, backend):
    check = (
        "m = artifacts['x']['artifacts'][0];"
        "session = json.loads(m['metadata'].pop('store_session_info'));"
        "assert set(session) == {'Provider', 'Params'}, session;"
        "assert m['metadata'] == {'b': 1.0, 'l': {'list': [1]}, 's': {'struct': "
        "{'k': 1}}, 'display_name': 'out'}, m;"
        "assert m['type'] == {'instanceSchema': ''}; assert m['name'].isdecimal();"
        "assert 'executor-logs' in message['outputs']['artifacts']; put('out', '')"
    )
    path = write_pipeline(
        {
            "A": step("put('out', '1', b=True, l=[1], s={'k': 1})"),
            "B": step(check, inputs={"x": "A"}),
        }
    )
    results = backend().run(path)
    assert states(results)["B"] == "SUCCEEDED", results["B"].log_path.read_text()


def test_null_in_metadata_fails_the_step(write_pipeline, backend):
    results = backend().run(write_pipeline({"A": step("put('out', '1', n=None)")}))
    assert results["A"].state == "FAILED"
    assert "null" in results["A"].message


def test_second_run_is_answered_from_the_cache(write_pipeline, backend):
    steps = {
        "A": step("put('out', '1')"),
        "B": step("put('out', get('x'))", inputs={"x": "A"}),
    }
    cluster = backend()
    first = cluster.run(write_pipeline(steps))
    again = cluster.run(write_pipeline(steps))
    assert states(again) == {"A": "CACHED", "B": "CACHED"}
    assert again["B"].artifacts == first["B"].artifacts

    steps["B"][2]["container"]["args"][1] += "\n"
    assert states(cluster.run(write_pipeline(steps))) == {
        "A": "CACHED",
        "B": "SUCCEEDED",
    }
    steps["A"][2]["container"]["image"] = "graft:2"
    assert states(cluster.run(write_pipeline(steps)))["A"] == "SUCCEEDED"
    steps["A"][0]["cachingOptions"] = {}
    # A new artifact of the same content has another id, so later keys differ.
    steps["B"][0]["cachingOptions"] = {"enableCache": True}
    assert states(cluster.run(write_pipeline(steps))) == {
        "A": "SUCCEEDED",
        "B": "SUCCEEDED",
    }


def test_equal_steps_with_equal_inputs_share_a_cache_entry(write_pipeline, backend):
    """The backend's key has no step name; our `--component_id` tells steps apart."""
    steps = {"A": step("put('out', '1')")}
    cluster = backend()
    cluster.run(write_pipeline(steps))
    assert states(cluster.run(write_pipeline({"Z": steps["A"]}))) == {"Z": "CACHED"}


RETRY = {
    "maxRetryCount": 2,
    "backoffDuration": "1s",
    "backoffFactor": 2,
    "backoffMaxDuration": "600s",
}


def test_failed_attempt_is_tried_again_with_an_empty_disk(
    write_pipeline, backend, tmp_path
):
    marker = tmp_path / "marker"
    code = (
        "assert not os.path.exists('here'); open('here', 'w').close()\n"
        f"marker = {str(marker)!r}\n"
        "if not os.path.exists(marker): open(marker, 'w').close(); sys.exit(7)\n"
        "put('out', '1')"
    )
    results = backend().run(write_pipeline({"A": step(code, retryPolicy=RETRY)}))
    assert (results["A"].state, results["A"].attempts) == ("SUCCEEDED", 2)


def test_policy_without_its_longest_time_is_no_retry(write_pipeline, backend):
    policy = {"maxRetryCount": 2}
    results = backend().run(
        write_pipeline({"A": step("sys.exit(7)", retryPolicy=policy)})
    )
    assert (results["A"].state, results["A"].attempts) == ("FAILED", 1)
    assert results["A"].message == "exit status 7"


def test_killed_pod_is_replaced(write_pipeline, backend):
    def kill_first(name, attempt, process):
        if attempt == 1:
            process.kill()

    cluster = backend(hooks=Hooks(on_process=kill_first))
    # The first attempt never ends by itself. Each attempt has a log of its own.
    code = (
        "(log,) = message['outputs']['artifacts']['executor-logs']['artifacts']\n"
        "if log['uri'].endswith('-0'): time.sleep(600)\n"
        "put('out', '1')"
    )
    results = cluster.run(write_pipeline({"A": step(code, retryPolicy=RETRY)}))
    assert (results["A"].state, results["A"].attempts) == ("SUCCEEDED", 2)


def test_step_over_its_deadline_fails(write_pipeline, backend):
    path = write_pipeline(
        {"A": step("time.sleep(60)")}, configs={"A": {"activeDeadlineSeconds": "1"}}
    )
    results = backend().run(path)
    assert results["A"].state == "FAILED"
    assert results["A"].message == "over its deadline"


def test_nothing_runs_after_a_failure_but_what_does_not_depend_on_it(
    write_pipeline, backend
):
    path = write_pipeline(
        {
            "A": step("sys.exit(1)"),
            "B": step("put('out', '')", inputs={"x": "A"}),
            "C": step("put('out', '')", dependentTasks=["B"]),
            "D": step("put('out', '')"),
        }
    )
    assert states(backend().run(path)) == {
        "A": "FAILED",
        "B": "OMITTED",
        "C": "OMITTED",
        "D": "SUCCEEDED",
    }


@pytest.mark.parametrize(("blessed", "state"), [(1, "SUCCEEDED"), (0, "SKIPPED")])
def test_condition(write_pipeline, backend, blessed, state):
    condition = "inputs.artifacts['x'].artifacts[0].metadata['blessed'] == 1.0"
    path = write_pipeline(
        {
            "A": step(f"put('out', '1', blessed={blessed})"),
            "B": step(
                "put('out', '')",
                inputs={"x": "A"},
                triggerPolicy={"condition": condition},
            ),
            "C": step("put('out', '')", inputs={"x": "B"}),
        }
    )
    results = states(backend().run(path))
    assert results["B"] == state
    assert results["C"] == ("SUCCEEDED" if blessed else "OMITTED")


def test_condition_on_a_missing_key_is_an_error():
    with pytest.raises(LauncherError):
        is_true("inputs.artifacts['x'].artifacts[0].metadata['b'] == 1.0", {})


def test_independent_steps_run_side_by_side(write_pipeline, backend, tmp_path):
    """Each of two steps waits for the other's mark: one after the other, both fail."""
    code = (
        "mine, other = inputs['mine'], inputs['other']; open(mine, 'w').close()\n"
        "end = time.time() + 20\n"
        "while not os.path.exists(other) and time.time() < end: time.sleep(0.05)\n"
        "assert os.path.exists(other); put('out', '')"
    )
    marks = [str(tmp_path / "a"), str(tmp_path / "b")]

    def waits(mine, other):
        return step(
            code,
            parameters={
                "mine": {"runtimeValue": {"constant": mine}},
                "other": {"runtimeValue": {"constant": other}},
            },
        )

    path = write_pipeline({"A": waits(*marks), "B": waits(*marks[::-1])})
    assert set(states(backend(max_parallel=2).run(path)).values()) == {"SUCCEEDED"}


def test_parameters_reach_steps_as_text(write_pipeline, backend):
    code = "assert inputs == {'n': '3', 's': 'x'}, inputs; put('out', '')"
    path = write_pipeline(
        {
            "A": step(
                code,
                parameters={
                    "n": {"componentInputParameter": "n"},
                    "s": {"componentInputParameter": "s"},
                },
            )
        },
        parameters={
            "n": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1},
            "s": {"parameterType": "STRING"},
        },
    )
    cluster = backend()
    results = cluster.run(path, {"n": 3, "s": "x"})
    assert results["A"].state == "SUCCEEDED", results["A"].log_path.read_text()
    with pytest.raises(PipelineFileError, match="'s' needs a value"):
        cluster.run(path)
    with pytest.raises(PipelineFileError, match="no parameter 'm'"):
        cluster.run(path, {"s": "x", "m": 1})
    with pytest.raises(PipelineFileError, match="NUMBER_INTEGER"):
        cluster.run(path, {"s": "x", "n": "3"})


def test_mounts_are_folders_of_this_machine(write_pipeline, backend, tmp_path):
    folder = tmp_path / "photos"
    config = json.dumps({"path": "/mnt/data/x", "other": "/mnt/database"})
    code = (
        f"assert json.loads(inputs['c']) == {{'path': {str(folder)!r} + '/x',"
        " 'other': '/mnt/database'}; put('out', '')"
    )
    parameters = {"c": {"runtimeValue": {"constant": config}}}
    cluster = backend(mounts={"/mnt/data": folder})
    results = cluster.run(write_pipeline({"A": step(code, parameters=parameters)}))
    assert results["A"].state == "SUCCEEDED", results["A"].log_path.read_text()


def test_output_outside_of_the_run_fails(write_pipeline, backend):
    code = (
        "put('out', '1'); "
        "result['artifacts']['out']['artifacts'][0]['uri'] = 'minio://other/x'"
    )
    results = backend().run(write_pipeline({"A": step(code)}))
    assert results["A"].state == "FAILED"
    assert "outside" in results["A"].message


def test_link_to_a_folder_breaks_the_upload(write_pipeline, backend):
    code = "put('out', '1'); os.symlink('/tmp', path('outputs', 'out') + '/link')"
    results = backend().run(write_pipeline({"A": step(code)}))
    assert "link to a folder" in results["A"].message


def test_malformed_result_fails(write_pipeline, backend):
    results = backend().run(write_pipeline({"A": step("result['artifact'] = {}")}))
    assert "malformed" in results["A"].message


def test_importer(write_pipeline, backend):
    importer = (
        {"inputs": {}},
        step("")[1],
        {"importer": {"artifactUri": {"constant": "gs://bucket/key"}}},
    )
    results = backend().run(write_pipeline({"I": importer}))
    assert results["I"].artifacts["out"].uri == "gs://bucket/key"
    importer[2]["importer"]["artifactUri"] = {"constant": "hdfs://x/y"}
    assert states(backend().run(write_pipeline({"I": importer}))) == {"I": "FAILED"}


def test_exit_handler_runs_after_a_failure(write_pipeline, backend, tmp_path):
    path = write_pipeline(
        {
            "A": step("sys.exit(1)"),
            "Exit": step(
                "assert json.loads(inputs['status'])['state'] == 'FAILED'; "
                "put('out', '')",
                parameters={"status": {"taskFinalStatus": {"producerTask": "tfx-dag"}}},
                dependentTasks=["tfx-dag"],
                triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
            ),
        }
    )
    spec = yaml.safe_load(path.read_text())
    inner = {"A": spec["root"]["dag"]["tasks"].pop("A")}
    spec["components"]["tfx-dag"] = {"dag": {"tasks": inner}}
    spec["root"]["dag"]["tasks"]["tfx-dag"] = {
        "componentRef": {"name": "tfx-dag"},
        "taskInfo": {"name": "tfx-dag"},
    }
    path.write_text(yaml.safe_dump(spec))
    assert states(backend().run(path)) == {"A": "FAILED", "Exit": "SUCCEEDED"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schemaVersion: 2.0.0\n", "must be 2.1.0"),
        ("shemaVersion: 2.1.0\n", "must be 2.1.0"),
        ("schemaVersion: 2.1.0\nroots: {}\n", 'no field named "roots"'),
        ("schemaVersion: 2.1.0\n", "no `root`"),
        ("a: [", "is not YAML"),
        ("", "no pipeline"),
    ],
)
def test_file_that_the_api_server_refuses(backend, tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(PipelineFileError, match=message):
        backend().run(path)


def test_unknown_producer_is_refused(write_pipeline, backend):
    path = write_pipeline({"A": step("", inputs={"x": "A_task"})})
    start = time.monotonic()
    with pytest.raises(PipelineFileError, match="A_task"):
        backend().run(path)
    assert time.monotonic() - start < 10


def test_message_is_the_one_that_the_launcher_writes(write_pipeline, backend):
    """Empty parts are left out; the result's file is in the step's folder."""
    check = (
        "assert set(message['inputs']) <= {'parameterValues'}, message['inputs'];"
        "outputs = message['outputs']['artifacts'];"
        "log = outputs['executor-logs']['artifacts'][0];"
        "assert log['type'] == {'schemaTitle': 'system.Artifact'}, log;"
        "assert log['uri'].endswith('/executor-logs-0'), log;"
        "assert 'metadata' not in log;"
        "assert 'metadata' not in outputs['out']['artifacts'][0];"
        "folder = os.path.dirname(path('outputs', 'out'));"
        "file = message['outputs']['outputFile'];"
        "assert file == folder + '/output_metadata.json', file; put('out', '')"
    )
    results = backend().run(write_pipeline({"A": step(check)}))
    assert states(results)["A"] == "SUCCEEDED", results["A"].log_path.read_text()


def test_each_attempt_has_a_log_of_its_own(write_pipeline, backend):
    code = (
        "log = message['outputs']['artifacts']['executor-logs']['artifacts'][0]['uri'];"
        "assert log.endswith('-1'), log; put('out', '')"
    )
    policy = {
        "maxRetryCount": 1,
        "backoffDuration": "1s",
        "backoffFactor": 1.0,
        "backoffMaxDuration": "600s",
    }
    results = backend().run(write_pipeline({"A": step(code, retryPolicy=policy)}))
    assert states(results)["A"] == "SUCCEEDED", results["A"].log_path.read_text()
    assert results["A"].attempts == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"A": {"nodeSelectors": {}}}, "nodeSelectors"),
        ({"B": {}}, "unknown executors|don't exist"),
    ],
)
def test_kubernetes_settings_are_read_strictly(
    write_pipeline, backend, config, message
):
    path = write_pipeline({"A": step("put('out', '')")})
    spec, *_ = yaml.safe_load_all(path.read_text())
    label = next(iter(spec["deploymentSpec"]["executors"]))
    config = {label if key == "A" else key: value for key, value in config.items()}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": config}}}}
    path.write_text(yaml.safe_dump_all([spec, platform]))
    with pytest.raises(PipelineFileError, match=message):
        backend().run(path)
