"""Import parts of TFX without all of TFX.

`tfx.components` imports every component in its `__init__`, and
`tfx.types.standard_component_specs` imports TensorFlow Model Analysis for the name of
one message. A container that runs one step needs neither, and pays for its imports at
every step. `install` puts packages into `sys.modules` whose `__init__` has not run.
Submodules are imported as ever. Any other name runs the `__init__` on demand.

Importing TFX's component modules singly does not do: Python runs the `__init__` of
`tfx.components` before any of them. docs/decisions/0006 has what that costs.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

_COMPONENTS = "tfx.components"
_ANALYSIS = "tensorflow_model_analysis"
_ANALYSIS_SDK = f"{_ANALYSIS}.sdk"
_ANALYSIS_MESSAGES = f"{_ANALYSIS}.proto.config_pb2"
_OPTIONAL_TO_KERAS = ("sklearn", "pandas", "matplotlib")
"""Keras imports these where it finds them, for wrappers that no step uses."""
_OPTIONAL_TO_BEAM = ("ipywidgets", "google.cloud.pubsub")
"""Beam imports these where it finds them: a notebook's bars, a source of no node's."""


class _Unexecuted(ModuleType):
    """A module whose code runs when a name is asked for that no submodule answers."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None or spec.origin is None:
            raise ModuleNotFoundError(f"no module {name!r}", name=name)
        self.__spec__ = spec
        self.__loader__ = spec.loader
        self.__file__ = spec.origin
        if spec.submodule_search_locations is not None:
            self.__path__ = list(spec.submodule_search_locations)
            self.__package__ = name
        else:
            self.__package__ = name.rpartition(".")[0]
        self.__dict__["_is_executed"] = False

    def __getattr__(self, name: str) -> Any:
        if self.__dict__["_is_executed"] or (
            name.startswith("__") and name != "__all__"
        ):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = self._find(name)
        if found is not None:
            setattr(self, name, found)
            return found
        self._execute()
        return getattr(self, name)

    def _find(self, name: str) -> Any:
        """Return what `name` stands for if that is known without running the module."""
        return None

    def _execute(self) -> None:
        self.__dict__["_is_executed"] = True
        loader: Any = self.__loader__
        loader.exec_module(self)


class _Components(_Unexecuted):
    """`tfx.components`: imports a component when it is asked for."""

    def _find(self, name: str) -> Any:
        with open(str(self.__file__), encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                if name in [alias.asname or alias.name for alias in node.names]:
                    return getattr(importlib.import_module(node.module), name)
        return None


class _Analysis(_Unexecuted):
    """TensorFlow Model Analysis: its config's messages without its evaluators."""

    def _find(self, name: str) -> Any:
        messages = importlib.import_module(_ANALYSIS_MESSAGES)
        # Messages and enumerations begin with a capital, and are no object of TFMA's.
        return getattr(messages, name, None) if name[0].isupper() else None

    def _execute(self) -> None:
        # TFX prepares the ground for TFMA in the `__init__` that did not run.
        components = sys.modules[_COMPONENTS]
        if (
            isinstance(components, _Components)
            and not components.__dict__["_is_executed"]
        ):
            components._execute()
        if not self.__dict__["_is_executed"]:
            super()._execute()


def install() -> None:
    """Let TFX and TFMA be imported in parts, where they are not imported already."""
    _import_without("tensorflow", _OPTIONAL_TO_KERAS)
    _import_without("apache_beam", _OPTIONAL_TO_BEAM)
    import tfx

    for name, kind in (
        (_COMPONENTS, _Components),
        (_ANALYSIS, _Analysis),
        (_ANALYSIS_SDK, _Analysis),
    ):
        if name in sys.modules:
            continue
        module = kind(name)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(tfx if parent == "tfx" else sys.modules[parent], child, module)


def _import_without(package: str, companions: tuple[str, ...]) -> None:
    """Import a package while it finds none of its optional companions.

    Whoever imports them afterwards gets them.
    """
    if package in sys.modules:
        return
    hidden = [name for name in companions if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    try:
        for name in hidden:
            modules[name] = None
        importlib.import_module(package)
    finally:
        for name in hidden:
            if modules.get(name) is None:
                modules.pop(name, None)
