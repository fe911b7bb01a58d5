"""The page and the model card show texts of others without control characters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graft.components.evaluation.verdict import RuleResult, Verdict
from graft.components.report.contents import ReportContents
from graft.components.report.page import render_card, render_page

HOSTILE = "gpj\u202eexe \x1b[31mred\u2066\u200f"


@pytest.mark.parametrize("render", [render_page, render_card])
def test_no_control_character_of_a_name_is_left(
    render: Callable[[ReportContents], str],
) -> None:
    metrics = {
        "accuracy": 0.9,
        "balanced_accuracy": 0.9,
        "log_loss": 0.1,
        "calibration_error": 0.1,
        "num_test_images": 10,
        "size_mb": 1.0,
        "latency_ms": 1.0,
    }
    rule = RuleResult("min_accuracy", HOSTILE, 0.9, 0.7, "pass", HOSTILE)
    classes = {
        "name": HOSTILE,
        "num_images": 5,
        "num_predicted": 5,
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
        "baseline_recall": None,
    }
    contents = ReportContents(
        verdict=Verdict(
            True,
            (rule,),
            metrics,
            classes=(classes,),
            largest_class={"name": HOSTILE, "share": 0.5, "standing": "better"},
        ),
        canary=None,
        published={"path": None, "version": None, "reason": HOSTILE},
        class_names=(HOSTILE, "dog"),
        confusion=np.array([[5, 0], [0, 5]]),
        confusions=(),
        bins=(),
        mistakes=(),
        num_mistakes=0,
        ingestion={},
        quarantined=(),
        anomalies=(HOSTILE,),
        history={},
        config={
            "name": HOSTILE,
            "data": {"path": HOSTILE},
            "model": {"preset": HOSTILE},
            "push": {"model_name": HOSTILE},
            "training": {"strategy": "none"},
        },
        provenance={"data_fingerprint": HOSTILE, "written_at": HOSTILE},
    )
    text = render(contents)
    assert "gpj\\u202eexe" in text
    assert not {*"\u202e\x1b\u2066\u200f"} & {*text}
