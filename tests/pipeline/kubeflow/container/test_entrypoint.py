"""The entry point as a container runs it: a fresh process, the launcher's JSON, TFX."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
RUN = "minio://mlpipeline/v2/artifacts/sample/run-1"

OUR_STEP = """
import atexit, os, sys
from tfx.dsl.components.base import base_executor
from tfx.types import artifact

class Page(artifact.Artifact):
    TYPE_NAME = "graft.TestPage"

class Executor(base_executor.BaseExecutor):
    def Do(self, inputs, outputs, properties):
        assert set(inputs) == {"model"}, inputs
        (model,) = inputs["model"]
        assert model.type_name == "Model"
        assert open(os.path.join(model.uri, "weights")).read() == "w"
        assert properties["config"] == '{"epochs": 7}', properties
        assert set(properties) == {"config"}, properties
        (blessing,) = outputs["blessing"]
        blessing.set_int_custom_property("current_model_id", model.id)
        blessing.set_string_custom_property("current_model", model.uri)
        blessing.set_int_custom_property("blessed", 1)
        with open(os.path.join(blessing.uri, "BLESSED"), "w") as file:
            file.write("")
        (page,) = outputs["page"]
        assert type(page).__name__ == "Page"
        page.uri = os.path.join(page.uri, "page.html")
        with open(page.uri, "w") as file:
            file.write("<p>")
        outputs["value"][0].value = 3
        (run,) = outputs["model_run"]
        with open(os.path.join(run.uri, "history"), "w") as file:
            file.write("")
        # A native library that crashes while the interpreter ends.
        atexit.register(os.abort)
        slow = {
            "tensorflow_model_analysis.evaluators", "kfp.client", "kubernetes",
            "keras_tuner", "matplotlib", "nltk", "sklearn",
        }
        assert not slow & set(sys.modules), slow & set(sys.modules)

class BadExecutor(base_executor.BaseExecutor):
    def Do(self, inputs, outputs, properties):
        from graft.contract.errors import DataError
        raise DataError("3 classes have no images")
"""


def run_entrypoint(tmp_path, executor, message, *arguments, spec=None, step=None):
    command = [
        *(sys.executable, "-m", "graft.pipeline.kubeflow.container.entrypoint"),
        *("--executor_class_path", executor),
        *("--json_serialized_invocation_args", json.dumps(message)),
        *("--json_serialized_inputs_spec_args", json.dumps(spec or {})),
        *("--component_id", "Step", "--graft_step", json.dumps(step or {})),
        *arguments,
    ]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            **{
                k: os.environ[k] for k in ("PATH", "LD_LIBRARY_PATH") if k in os.environ
            },
            "GRAFT_LAUNCHER_ROOT": str(tmp_path),
            "HOME": str(tmp_path),
            "PYTHONPATH": str(tmp_path),
        },
        check=False,
    )


def local(tmp_path, uri):
    return tmp_path / "minio" / uri.removeprefix("minio://")


def output(key, title):
    return {
        "artifacts": [
            {
                "name": key,
                "uri": f"{RUN}/Step/1/{key}",
                "type": {"instanceSchema": f"title: {title}\ntype: object\n"},
                "metadata": {},
            }
        ]
    }


def message(tmp_path, **outputs):
    return {
        "inputs": {
            "artifacts": {
                "model": {
                    "artifacts": [
                        {
                            "name": "12",
                            "uri": f"{RUN}/Trainer/1/model",
                            "type": {"instanceSchema": ""},
                            "metadata": {"display_name": "model"},
                        }
                    ]
                },
                "baseline": {
                    "artifacts": [
                        {
                            "name": "13",
                            "uri": f"{RUN}/Served/1/model",
                            "metadata": {"resolved_count": 0.0},
                        }
                    ]
                },
            },
            "parameterValues": {
                "config": '{"epochs": 30}',
                "graft_override_epochs": 7,
                "none": None,
            },
        },
        "outputs": {
            "artifacts": {
                **{key: output(key, title) for key, title in outputs.items()},
                "executor-logs": {
                    "artifacts": [
                        {
                            "name": "executor-logs",
                            "uri": f"{RUN}/Step/1/executor-logs",
                            "type": {"schemaTitle": "system.Artifact"},
                        }
                    ]
                },
            },
            "outputFile": str(tmp_path / "out" / "output_metadata.json"),
        },
    }


SPEC = {
    "artifacts": {
        key: {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}
        for key in ("model", "baseline")
    },
    "parameters": {"config": {"parameterType": "STRING"}},
}


def test_step_of_ours_from_json_to_json(tmp_path):
    (tmp_path / "our_step.py").write_text(OUR_STEP)
    model = local(tmp_path, f"{RUN}/Trainer/1/model")
    model.mkdir(parents=True)
    (model / "weights").write_text("w")
    asked = message(
        tmp_path,
        blessing="tfx.ModelBlessing",
        page="graft.TestPage",
        value="tfx.Integer",
        training_run="tfx.ModelRun",
    )
    page_type = asked["outputs"]["artifacts"]["page"]["artifacts"][0]["type"]
    asked["outputs"]["artifacts"]["page"]["artifacts"][0]["type"] = {
        "schemaTitle": "system.HTML",
        "schemaVersion": "0.0.1",
    }
    asked["outputs"]["parameters"] = {"value": {"outputFile": "/tmp/kfp/outputs/value"}}
    done = run_entrypoint(
        tmp_path,
        "our_step.Executor",
        asked,
        spec=SPEC,
        step={
            "artifact_classes": {"graft.TestPage": "our_step.Page"},
            "output_types": {"page": page_type},
            "overrides": {"graft_override_epochs": [["config", "epochs"]]},
            "output_names": {"training_run": "model_run"},
        },
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "output_metadata.json").read_text())
    found = {key: item["artifacts"][0] for key, item in result["artifacts"].items()}
    assert found["blessing"]["uri"] == f"{RUN}/Step/1/blessing"
    # Kubeflow's id, not TFX's hash of it.
    assert found["blessing"]["metadata"]["current_model_id"] == "12"
    assert found["blessing"]["metadata"]["current_model"] == f"{RUN}/Trainer/1/model"
    assert found["blessing"]["metadata"]["blessed"] == 1
    assert found["page"]["uri"] == f"{RUN}/Step/1/page/page.html"
    assert "tfx_version" not in found["page"]["metadata"]
    assert result["parameterValues"] == {"value": 3}
    assert local(tmp_path, f"{RUN}/Step/1/value").read_text() == "3"
    assert "executor-logs" not in found
    assert found["training_run"]["uri"] == f"{RUN}/Step/1/training_run"
    assert local(tmp_path, f"{RUN}/Step/1/training_run/history").is_file()
    assert "model_run" not in found
    assert "model: 1 bytes" in done.stderr
    # Time is not tested. The test checks that the step avoids the slow imports.
    assert re.search(r"executor begins after \S+ s, \S+ s of processor", done.stderr)


EVALUATING_STEP = """
import os
from tfx.dsl.components.base import base_executor

class Executor(base_executor.BaseExecutor):
    def Do(self, inputs, outputs, properties):
        assert set(outputs) == {"evaluation"}, outputs
        (evaluation,) = outputs["evaluation"]
        from graft.components.evaluation.verdict import Verdict
        verdict = Verdict(is_blessed=True, rules=(), metrics={"accuracy": 0.75})
        with open(os.path.join(evaluation.uri, "verdict.json"), "w") as file:
            file.write(verdict.to_json())
"""


def test_numbers_of_an_evaluation_reach_the_dashboard(tmp_path):
    (tmp_path / "our_step.py").write_text(EVALUATING_STEP)
    asked = message(
        tmp_path, evaluation="tfx.ModelEvaluation", metrics="", confusion_matrix=""
    )
    for key, title in (("metrics", "Metrics"), ("confusion_matrix", "Classification")):
        (artifact,) = asked["outputs"]["artifacts"][key]["artifacts"]
        artifact["type"] = {"schemaTitle": f"system.{title}"}
    shown = {"evaluation": "evaluation", "outputs": ["confusion_matrix", "metrics"]}
    done = run_entrypoint(
        tmp_path, "our_step.Executor", asked, spec=SPEC, step={"dashboard": shown}
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "output_metadata.json").read_text())
    found = {key: item["artifacts"][0] for key, item in result["artifacts"].items()}
    assert found["metrics"]["uri"] == f"{RUN}/Step/1/metrics"
    assert found["metrics"]["metadata"] == {"accuracy": 0.75, "blessed": 1.0}
    assert found["confusion_matrix"]["metadata"] == {}


def test_a_push_over_another_model_ends_the_step_with_its_own_status(tmp_path):
    (tmp_path / "our_step.py").write_text(
        OUR_STEP.replace("import DataError", "import StoreChangedError as DataError")
    )
    done = run_entrypoint(
        tmp_path, "our_step.BadExecutor", message(tmp_path), spec=SPEC
    )
    assert done.returncode == 4, done.stderr
    assert done.stderr.splitlines()[-1].startswith("graft: Step: 3 classes")


def test_mistake_of_the_users_is_one_message(tmp_path):
    (tmp_path / "our_step.py").write_text(OUR_STEP)
    done = run_entrypoint(
        tmp_path, "our_step.BadExecutor", message(tmp_path), spec=SPEC
    )
    assert done.returncode == 1
    assert "graft: Step: 3 classes have no images" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def write_record(path, data):
    """Write one record; the reader checks the two sums, masked CRC-32C."""
    import google_crc32c

    def masked(part):
        crc = int.from_bytes(google_crc32c.Checksum(part).digest(), "big")
        return struct.pack(
            "<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
        )

    length = struct.pack("<Q", len(data))
    path.parent.mkdir(parents=True)
    path.write_bytes(length + masked(length) + data + masked(data))


def test_newest_span_is_found_without_a_driver(tmp_path):
    pytest.importorskip("google_crc32c")
    for span in (1, 2):
        write_record(tmp_path / f"data/span-{span}/part.tfrecord", b"")
    asked = {
        "inputs": {
            "parameterValues": {
                "input_base": str(tmp_path / "data"),
                "input_config": json.dumps(
                    {"splits": [{"name": "all", "pattern": "span-{SPAN}/*"}]}
                ),
                "output_config": json.dumps(
                    {"split_config": {"splits": [{"name": "train", "hash_buckets": 1}]}}
                ),
                "output_data_format": 6,
                "output_file_format": 5,
            }
        },
        "outputs": message(tmp_path, examples="tfx.Examples")["outputs"],
    }
    spec = {
        "parameters": {
            key: {"parameterType": "NUMBER_INTEGER" if "format" in key else "STRING"}
            for key in asked["inputs"]["parameterValues"]
        }
    }
    done = run_entrypoint(
        tmp_path,
        "tfx.components.example_gen.import_example_gen.executor.Executor",
        asked,
        spec=spec,
        step={"runs_file_driver": True},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "output_metadata.json").read_text())
    metadata = result["artifacts"]["examples"]["artifacts"][0]["metadata"]
    # A custom property, as with TFX's own driver; `span` is a property too.
    assert metadata["custom:span"] == 2
    assert re.search("split:all,num_files:1", metadata["input_fingerprint"])
    examples = local(tmp_path, f"{RUN}/Step/1/examples")
    assert list((examples / "Split-train").iterdir())


SHARING_STEP = """
import os
from tfx.dsl.components.base import base_executor

class Executor(base_executor.BaseExecutor):
    def Do(self, inputs, outputs, properties):
        (model,) = inputs["model"]
        (blessing,) = outputs["blessing"]
        shared = properties["config"]
        for uri in (model.uri, blessing.uri, self._get_tmp_dir()):
            assert uri.startswith(shared + "/"), uri
        assert open(os.path.join(model.uri, "weights")).read() == "w"
        blessing.set_string_custom_property("current_model", model.uri)
        with open(os.path.join(blessing.uri, "BLESSED"), "w") as file:
            file.write("")
"""


def test_step_with_workers_has_its_files_in_the_shared_folder(tmp_path, rest):
    (tmp_path / "our_step.py").write_text(SHARING_STEP)
    (tmp_path / "server.jar").touch()
    model = local(tmp_path, f"{RUN}/Trainer/1/model")
    model.mkdir(parents=True)
    (model / "weights").write_text("w")
    asked = message(tmp_path, blessing="tfx.ModelBlessing")
    shared = tmp_path / "mnt" / "shared"
    asked["inputs"]["parameterValues"] = {"config": str(shared)}
    flink = {"master": rest.address, "job_server_jar": str(tmp_path / "server.jar")}
    remote = {
        "shared_folder": str(shared),
        "beam": {"runner": "flink", "flink": flink},
    }
    done = run_entrypoint(
        tmp_path,
        "our_step.Executor",
        asked,
        "--direct_running_mode=in_memory",
        spec=SPEC,
        step={"remote_runner": remote},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "output_metadata.json").read_text())
    (found,) = result["artifacts"]["blessing"]["artifacts"]
    assert found["uri"] == f"{RUN}/Step/1/blessing"
    assert found["metadata"]["current_model"] == f"{RUN}/Trainer/1/model"
    assert local(tmp_path, f"{RUN}/Step/1/blessing/BLESSED").is_file()
    assert "blessing: 0 bytes" in done.stderr
    assert not list((shared / "work").iterdir())
