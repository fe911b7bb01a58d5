"""A node runs again if and only if its code changes."""

from __future__ import annotations

import functools
from importlib import metadata
from pathlib import Path
from shutil import copytree, ignore_patterns

import grimp
import pytest

from graft.pipeline.code_fingerprint import CodeFingerprints
from graft.pipeline.config import load_config

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    f"graft.{path.parent.name}": path.parent.name for path in ROOT.glob("*/__init__.py")
} | {"graft_client": "serving/client/graft_client"}
"""Import name to folder."""
del PACKAGES["graft.pipeline"]  # No node may run it: imports point downward.
MODULES = {
    str(path.relative_to(ROOT)): ".".join(
        [package, *path.relative_to(ROOT / folder).parts]
    )
    .removesuffix(".py")
    .removesuffix(".__init__")
    for package, folder in PACKAGES.items()
    for path in (ROOT / folder).rglob("*.py")
    if not path.is_relative_to(ROOT / "serving/client") or package == "graft_client"
}
"""File to import name."""
STARTED_BY_NAME = {
    "graft.components.canary.server_process": "graft.serving.embedded.__main__"
}
"""Modules that start another module in a process, without an import."""


@pytest.fixture(scope="module")
def nodes() -> dict[str, list[str]]:
    """Node id to the dotted names of the code that it calls."""
    from graft.pipeline.pipeline import create_pipeline, names_of_code

    overrides = ["data_validation.schema_path=schema.pbtxt"]
    pipeline = create_pipeline(
        load_config(None, data="photos", overrides=overrides), data_fingerprint=""
    )
    return {node.id: names_of_code(node) for node in pipeline.components}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code that tests may edit."""
    folder = tmp_path_factory.mktemp("graft")
    for name in PACKAGES.values():
        unwanted = ignore_patterns("__pycache__", "client")
        copytree(ROOT / name, folder / name, ignore=unwanted)
    return folder


@pytest.fixture(scope="module")
def changed_nodes(nodes: dict[str, list[str]], copy: Path):
    """Function of a file: the nodes whose fingerprint an edit of it changes."""

    def folder_of(package: str) -> Path | None:
        return copy / PACKAGES[package] if package in PACKAGES else None

    def fingerprints() -> dict[str, str]:
        code = CodeFingerprints(folder_of)
        return {node: code.of(*names) for node, names in nodes.items()}

    before = fingerprints()

    def changed(file: str) -> set[str]:
        path = copy / file
        text = path.read_text(encoding="utf-8")
        try:
            path.write_text(f"{text}\nEDITED = 1\n", encoding="utf-8")
            after = fingerprints()
        finally:
            path.write_text(text, encoding="utf-8")
        return {node for node in nodes if after[node] != before[node]}

    return changed


@pytest.fixture(scope="module")
def reached(nodes: dict[str, list[str]]) -> dict[str, set[str]]:
    """Node id to the modules that grimp's import graph finds for it."""
    graph = grimp.build_graph(
        *PACKAGES,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )

    @functools.cache
    def directly(module: str) -> set[str]:
        found = set(graph.find_modules_directly_imported_by(module))
        parent = module.rpartition(".")[0]
        found |= {parent} & graph.modules
        return found | {STARTED_BY_NAME.get(module, module)}

    def closure(names: list[str]) -> set[str]:
        waiting = [
            m for m in graph.modules if any(f"{n}.".startswith(f"{m}.") for n in names)
        ]
        found: set[str] = set()
        while waiting:
            module = waiting.pop()
            if module not in found:
                found.add(module)
                waiting += directly(module)
        return found

    return {node: closure(names) for node, names in nodes.items()}


@pytest.mark.parametrize("file", sorted(MODULES))
def test_an_edit_reruns_the_nodes_that_reach_the_module(
    file: str, changed_nodes, reached: dict[str, set[str]]
) -> None:
    expected = {node for node, found in reached.items() if MODULES[file] in found}
    assert changed_nodes(file) == expected


@pytest.mark.parametrize(
    "file",
    sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("components/**/*.jinja")),
)
def test_a_template_reruns_the_report_alone(file: str, changed_nodes) -> None:
    assert changed_nodes(file) == {"Report"}


@pytest.mark.parametrize(
    ("module", "some"),
    [
        ("trainer/decoding/jpeg.py", {"Transform", "BottleneckFeatures", "Trainer"}),
        ("trainer/decoding/gif.py", {"Transform", "BottleneckFeatures", "Trainer"}),
        ("trainer/decoding/transparency.py", {"Transform", "BottleneckFeatures"}),
        ("components/evaluation/inference.py", {"Evaluator"}),
        ("components/pictures.py", {"Canary", "DataQuality", "Report"}),
        ("components/publishing/served_model.py", {"ServedModel"}),
        ("components/transform.py", {"Transform"}),
        ("serving/embedded/__main__.py", {"Canary"}),
        ("trainer/run_fn.py", {"Trainer"}),
    ],
)
def test_nodes_that_are_known_to_run_a_module(
    module: str, some: set[str], reached: dict[str, set[str]], changed_nodes
) -> None:
    """These cases come from no graph: earlier, manual lists missed them."""
    changed = changed_nodes(module)
    assert some <= changed
    assert not changed & {"SchemaGen", "ExampleValidator", "AnomalyCheck"}


@pytest.mark.parametrize(
    ("distribution", "some", "others"),
    [
        ("cleanlab", {"DataQuality"}, {"Trainer", "AnomalyCheck"}),
        ("scikit-learn", {"DataQuality"}, {"AnomalyCheck", "BottleneckFeatures"}),
        ("pillow", {"DataQuality", "Report"}, {"AnomalyCheck", "BottleneckFeatures"}),
        ("openvino", {"BottleneckFeatures"}, {"Trainer", "DataQuality"}),
        ("keras", {"BottleneckFeatures", "Trainer"}, {"AnomalyCheck"}),
        ("tensorflow", {"BottleneckFeatures", "Trainer"}, {"AnomalyCheck"}),
        ("tensorflow-model-analysis", {"Evaluator"}, {"Trainer"}),
        ("tfx", {"ExampleValidator", "Trainer", "Transform"}, set()),
    ],
)
def test_another_version_of_a_distribution_reruns_who_imports_it(
    nodes: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    distribution: str,
    some: set[str],
    others: set[str],
) -> None:
    code = CodeFingerprints()
    before = {node: code.of(*names) for node, names in nodes.items()}
    version = metadata.version
    monkeypatch.setattr(
        metadata,
        "version",
        lambda name: "99" if name == distribution else version(name),
    )
    code = CodeFingerprints()
    changed = {node for node, names in nodes.items() if code.of(*names) != before[node]}
    assert some <= changed
    assert not others & changed


def test_every_node_carries_the_fingerprint_of_its_code() -> None:
    from graft.pipeline.pipeline import create_pipeline, names_of_code

    pipeline = create_pipeline(load_config(None, data="photos"), data_fingerprint="")
    for node in pipeline.components:
        expected = CodeFingerprints().of(*names_of_code(node))
        assert node.exec_properties["code_fingerprint"] == expected
