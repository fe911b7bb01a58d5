"""Tests mirror the sources: a newcomer finds the tests of a module by its path.

`trainer/heads/head.py` is tested by `tests/trainer/heads/test_head.py`. Tests of what
several modules do together are listed here, each with what it covers.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent

SCENARIOS = {
    "components/evaluation/test_flow.py": "gate, canary and publishing, one run on",
    "components/evaluation/test_rollback_served.py": "rollback under a server",
    "components/features/test_never_stale.py": "every part of a feature's key",
    "components/features/test_parity.py": "features of both engines",
    "components/ingestion/test_asked_layouts.py": "questions about trees of all kinds",
    "components/ingestion/test_columns.py": "further columns of a manifest",
    "components/ingestion/test_asked_trees.py": "splits and masks in names",
    "components/ingestion/test_disguised_layouts.py": "known data in other folders",
    "components/ingestion/test_memory.py": "memory with ten times as many images",
    "components/ingestion/test_label_parsing.py": "labels of every kind of data set",
    "components/ingestion/test_plain_layouts.py": "class folders that are no question",
    "components/ingestion/test_sources.py": "every kind of data set",
    "components/ingestion/test_well_known_layouts.py": "trees of public data sets",
    "components/publishing/test_interleaved.py": "changes of a store in any order",
    "components/publishing/test_kill.py": "publishing under SIGKILL",
    "components/publishing/test_repair.py": "a version in production that is gone",
    "components/report/test_browser.py": "the pages in a browser",
    "docs/test_data_page.py": "a question that docs/data.md shows",
    "docs/test_how_to_pages.py": "commands of the how-to pages",
    "docs/test_kubeflow_page.py": "the short way of docs/kubeflow.md",
    "docs/test_pages.py": "the pages of documentation",
    "docs/test_pictures.py": "the pictures of the README",
    "docs/test_readme.py": "the commands of the README",
    "docs/test_tutorial.py": "the commands of the tutorial",
    "flink/test_flink.py": "the pipeline on a cluster of Flink",
    "flink/test_near_copies_on_flink.py": "the search for near-copies on Flink",
    "kubernetes/test_dockerfile.py": "the Dockerfile",
    "kubernetes/test_flink_manifests.py": "the manifests of Flink",
    "kubernetes/test_manifests.py": "the manifests of the pipeline",
    "kubernetes/test_serving_manifests.py": "the manifests of the servers",
    "pipeline/commands/test_terminal.py": "every command on a terminal",
    "pipeline/environment/test_choose_python.py": "a shell script",
    "pipeline/kubeflow/test_emulated_pipeline.py": "the pipeline in the emulation",
    "pipeline/test_code_of_nodes.py": "the code fingerprint of every node",
    "pipeline/test_end_to_end.py": "`graft run` as a user starts it",
    "pipeline/test_incremental_run.py": "a retrain against a cold run",
    "pipeline/test_killed_training.py": "`graft run` under SIGKILL",
    "serving/test_chaos.py": "kills, damage and hostile requests, all on one store",
    "serving/client/test_bare_environments.py": "the client with its oldest libraries",
    "serving/client/test_distribution.py": "what the client's distribution holds",
    "serving/client/test_served_model.py": "the client against a server",
    "serving/embedded/batching/test_batching.py": "batching over a real model",
    "serving/embedded/contract/test_example_calls.py": "calls that take tf.Examples",
    "serving/embedded/test_differences.py": "a table of docs/serving.md",
    "serving/embedded/test_grpc.py": "the server's gRPC API",
    "serving/embedded/test_grpc_models.py": "its metadata, status and reload",
    "serving/embedded/test_hostile.py": "the server under hostile requests",
    "serving/embedded/test_hostile_connections.py": "the server under slow connections",
    "serving/embedded/test_process.py": "the server's process",
    "serving/embedded/transport/test_rest_wire.py": "REST, byte by byte",
    "serving/embedded/test_typed_signatures.py": "REST of every data type and error",
    "serving/embedded/test_versions.py": "versions that come and go",
    "serving/test_commands.py": "the commands for serving",
    "test_docstrings.py": "every source file",
    "test_layout.py": "this folder",
    "test_sizes.py": "every source file",
    "test_wheels.py": "the wheels of graft and of its client",
    "storage/content_store/test_memory.py": "memory with ten times as many rows",
    "trainer/decoding/test_corpus.py": "every decoder over formats and modes",
    "trainer/loops/test_training_memory.py": "memory of a training",
    "trainer/test_classic_setups.py": "the configs of the classic set-ups",
    "trainer/test_feature_power.py": "`feature_power` from config to export",
    "trainer/test_resume.py": "a training under SIGKILL",
}
"""Test file to what it covers, where that is no single module."""


def _all_tests() -> list[str]:
    return sorted(str(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py"))


def _source_of(test: str) -> Path:
    path = ROOT / test.replace("serving/client/", "serving/client/graft_client/")
    return path.with_name(path.name.removeprefix("test_"))


@pytest.mark.parametrize(
    "test", [name for name in _all_tests() if name not in SCENARIOS]
)
def test_file_mirrors_a_module(test):
    source = _source_of(test)
    assert source.exists() or source.with_suffix("").is_dir(), (
        f"tests/{test} tests no module {source.relative_to(ROOT)}: rename it, or list "
        "it in SCENARIOS with what it covers"
    )


@pytest.mark.parametrize("test", SCENARIOS)
def test_scenario_exists_and_is_no_mirror(test):
    assert (TESTS / test).exists(), f"tests/{test} is gone: take it off SCENARIOS"
    assert not _source_of(test).exists(), f"tests/{test} mirrors a module"


def test_folders_of_tests_are_no_packages():
    """An `__init__.py` could make a folder here shadow the package that it mirrors."""
    assert not list(TESTS.rglob("__init__.py"))
