from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from graft.pipeline.kubeflow.container import lean_imports

lean_imports.install()
assert "tensorflow" in sys.modules and "sklearn" not in sys.modules
import tfx.components.schema_gen.executor
from tfx.types import standard_component_specs

big = "tensorflow_model_analysis.evaluators"
assert big not in sys.modules
assert "tfx.components.evaluator.executor" not in sys.modules
import sklearn

assert sklearn.__version__
from tfx import components

assert components.SchemaGen.__name__ == "SchemaGen"
assert big not in sys.modules
import tensorflow_model_analysis as tfma

spec = tfma.MetricsSpec()
assert big not in sys.modules
assert tfma.default_extractors and big in sys.modules
assert tfma.sdk.EvalConfig is tfma.EvalConfig
try:
    tfma.no_such_name
except AttributeError:
    print("all is well")
"""


def test_parts_are_imported_alone_and_the_rest_on_demand():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all is well" in done.stdout
