"""Compiled files that Kubeflow would refuse, or that are not complete."""

from __future__ import annotations

import pytest
import yaml

from graft.pipeline.kubeflow.compilation.container_spec import ArtifactClasses
from graft.pipeline.kubeflow.compilation.pipeline_file import (
    PipelineFileError,
    check_parameters,
    check_run_paths,
    kubernetes_configs,
    read_pipeline_file,
)
from graft.pipeline.kubeflow.compilation.post_processing import post_process
from graft.pipeline.kubeflow.compilation.profile_file import load_profile

IMAGE = "registry.example.org/graft:1.0"


@pytest.fixture
def documents(spec):
    file = post_process(spec, load_profile("cpu", image=IMAGE), ArtifactClasses())
    return list(yaml.safe_load_all(file.to_yaml()))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pipeline.yaml"


def write(path, documents):
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))


def put(documents, index, keys, value):
    parent = documents[index]
    for key in keys[:-1]:
        parent = parent[key]
    if value is KeyError:
        del parent[keys[-1]]
    else:
        parent[keys[-1]] = value


TASKS = ("root", "dag", "tasks")
ARTIFACT = (*TASKS, "Trainer", "inputs", "artifacts", "examples", "taskOutputArtifact")


@pytest.mark.parametrize(
    ("index", "keys", "value", "message"),
    [
        (0, ("root",), None, "it has no `root`"),
        (0, ("root", "dag"), None, "'root' has no `dag`"),
        (0, TASKS, None, "the DAG of 'root' has no tasks"),
        (0, (*TASKS, "Trainer", "componentRef"), KeyError, "'Trainer' has no `compo"),
        (0, (*TASKS, "Trainer", "componentRef"), {"name": "X"}, "component 'X' of"),
        (0, ("components", "Trainer", "executorLabel"), KeyError, "no `executorLabel`"),
        (0, ("components", "Trainer", "executorLabel"), "zz", "unknown executor 'zz'"),
        (0, ("pipelineInfo", "name"), KeyError, "`pipelineInfo.name`"),
        (0, ("pipelineInfo",), None, "`pipelineInfo.name`"),
        (0, (*ARTIFACT, "producerTask"), KeyError, "unknown producer task"),
        (0, ("components", "Trainer"), None, "Kubeflow would refuse"),
        (0, (*TASKS, "Report", "inputs", "parameters", "title"), None, "would refuse"),
        (0, ("deploymentSpec",), "zz", "Kubeflow would refuse"),
        (0, ("deploymentSpec",), {7: 1}, "Kubeflow would refuse"),
        (0, ("sdkVersion",), ["zz"], "Kubeflow would refuse"),
        (1, ("platforms",), "zz", "Kubeflow would refuse"),
        (1, ("platforms",), None, "no Kubernetes settings of"),
        (1, ("platforms", "kubernetes"), ["zz"], "Kubeflow would refuse"),
    ],
)
def test_malformed_file_is_refused(documents, path, index, keys, value, message):
    put(documents, index, keys, value)
    write(path, documents)
    with pytest.raises(PipelineFileError, match=message):
        read_pipeline_file(path)


@pytest.mark.parametrize("second", ["zz", ["zz"], 7])
def test_second_document_is_a_mapping(documents, path, second):
    write(path, [documents[0], second])
    with pytest.raises(PipelineFileError, match="second document"):
        read_pipeline_file(path)


def test_field_that_is_null_is_absent(documents, path):
    put(documents, 0, (*TASKS, "Report", "inputs"), None)
    write(path, documents)
    found, configs = read_pipeline_file(path)
    assert "inputs" not in found["root"]["dag"]["tasks"]["Report"]
    assert check_parameters(found, {})["epochs"] == 30
    assert set(configs) == set(found["deploymentSpec"]["executors"])


def test_file_that_is_not_utf_8_is_refused(path):
    path.write_bytes(b"name: \xff\n")
    with pytest.raises(PipelineFileError, match="is not UTF-8"):
        read_pipeline_file(path)


def test_cut_file_is_refused_wherever_it_is_cut(documents, path):
    write(path, documents)
    read_pipeline_file(path)
    text = path.read_text()
    second = text.index("\n---\n")
    lines = [i for i, letter in enumerate(text) if letter == "\n"]
    # At ends of lines of the first document, and at both ends of the second one.
    ends = [i + 1 for i in lines if i < second][::7]
    cuts = [*ends, second + 1, len(text) - 1]
    for cut in cuts:
        path.write_text(text[:cut])
        with pytest.raises(PipelineFileError):
            read_pipeline_file(path)


def test_parameter_without_a_type_is_refused(documents):
    definitions = documents[0]["root"]["inputDefinitions"]["parameters"]
    del definitions["epochs"]["parameterType"]
    with pytest.raises(PipelineFileError, match="`epochs` must be of one of the types"):
        check_parameters(documents[0], {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("learning_rate", float("nan"), "`learning_rate` must be a number"),
        ("learning_rate", float("inf"), "`learning_rate` must be a number"),
        ("learning_rate", 0, "must be above 0. Received: 0"),
        ("epochs", -1, "must be above 0. Received: -1"),
        ("epochs", 99999999999999999999, "at most 9007199254740992"),
        ("min_accuracy", 7, "must be at least 0 and at most 1. Received: 7"),
    ],
)
def test_number_that_the_run_would_refuse_is_refused(documents, name, value, message):
    with pytest.raises(PipelineFileError, match=message):
        check_parameters(documents[0], {name: value})


def test_numbers_at_the_bounds_are_allowed(documents):
    given = {"epochs": 1, "learning_rate": 1e-9, "min_accuracy": 1.0}
    assert given.items() <= check_parameters(documents[0], given).items()


def test_paths_of_a_run_lie_in_the_mounts(documents):
    configs = kubernetes_configs(documents[1])
    for path in ("/home/me/photos", "/mnt/data/../etc", "photos", "/mnt/database"):
        for name in ("data_path", "push_destination"):
            with pytest.raises(PipelineFileError, match=f"`{name}` must lie in one of"):
                check_run_paths({name: path}, configs)
    for path in ("/mnt/data", "/mnt/data/x/../y", "gs://b/x", "keras:cifar10"):
        check_run_paths({"data_path": path}, configs)
