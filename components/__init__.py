"""Custom TFX components, one sub-package each; none of them wires another.

TFX's container entrypoint imports an artifact class by `package.Class`, so the classes
of ours are found here too, imported when they are asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

_ARTIFACTS = {
    "DataQualityReport": "components.data_quality.artifacts",
    "ImageQuarantine": "components.image_example_gen.artifacts",
    "ModelCard": "components.report.artifacts",
    "RunReport": "components.report.artifacts",
}


def __getattr__(name: str) -> Any:
    if name in _ARTIFACTS:
        return getattr(importlib.import_module(_ARTIFACTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
