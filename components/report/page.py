"""Render the page and the model card from their contents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup, escape

from graft.components.evaluation.answer_ways import describe_ways
from graft.components.evaluation.plain_words import in_words
from graft.components.quality.problems import describe_problems
from graft.components.report import markdown
from graft.components.report.charts import (
    Series,
    confusion_matrix,
    line_chart,
    reliability_diagram,
    scatter,
    share_bar,
    share_pair,
)
from graft.components.report.confidence import Confidence
from graft.components.report.contents import MOST_CLASSES_IN_MATRIX, ReportContents
from graft.components.report.timings import timings_table
from graft.contract.counts import counted
from graft.contract.printable import escaped

TEMPLATES = Path(__file__).parent / "templates"
_PENALTY = "penalty"
_MOST_CLASSES = 40
"""Tables of more classes are folded."""
_CLASSES_SHOWN = 30
"""Classes of a folded table that are shown, and names in the model card."""
_FEWEST_POINTS = 2
_MOST_FINDINGS = 12
"""Findings of a check that are not folded."""


def render_page(contents: ReportContents) -> str:
    """Return the report as one self-contained HTML file."""
    matrix = ""
    if len(contents.class_names) <= MOST_CLASSES_IN_MATRIX:
        matrix = confusion_matrix(contents.class_names, contents.confusion)
    page = (
        page_environment()
        .get_template("report.html.jinja")
        .render(
            **_common(contents),
            matrix=matrix,
            reliability=reliability_diagram(contents.bins),
            curves=curves(contents.history, contents.training.penalty),
            precision_recall=_precision_recall(contents.confidence),
            feature_map=contents.feature_map
            and scatter(contents.feature_map, contents.pictures),
            steps=next_steps(contents),
            share_bar=share_bar,
            share_pair=share_pair,
            timings=timings_table(contents.timings),
            most_findings=_MOST_FINDINGS,
            **_counted_classes(contents),
        )
    )
    return escaped(page, keep="\n\t")


def render_card(contents: ReportContents) -> str:
    """Return the model card as Markdown.

    Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
    """
    environment = page_environment()
    environment.finalize = markdown.escape_text
    environment.filters["code"] = markdown.code
    template = environment.get_template("model_card.md.jinja")
    return escaped(template.render(**_common(contents)), keep="\n\t")


def curves(
    history: Mapping[str, list[float]], penalty: float | None = None
) -> list[str]:
    """Draw loss and accuracy of `train` and `eval`, per epoch or penalty.

    Args:
        history: Metric name to values.
        penalty: The chosen penalty, which is marked.
    """
    is_path = _PENALTY in history
    charts = []
    for metric in ("loss", "accuracy"):
        names = {"train": metric, "eval": f"eval_{metric}"}
        if f"val_{metric}" in history:
            names["eval"] = f"val_{metric}"
        lines = [
            Series(name, history[key]) for name, key in names.items() if key in history
        ]
        if not lines or len(lines[0].values) < _FEWEST_POINTS:
            continue
        x = history[_PENALTY] if is_path else range(1, len(lines[0].values) + 1)
        charts.append(
            line_chart(
                list(x),
                lines,
                x_label="L2 penalty" if is_path else "epoch",
                y_label=metric,
                is_log_x=is_path,
                chosen=penalty if is_path else None,
            )
        )
    return charts


@dataclass(frozen=True)
class FoldedClasses:
    """The rows of the table of classes.

    Attributes:
        shown: All rows in their order or, of many, the worst.
        folded: The other rows, worst first.
    """

    shown: tuple[dict[str, Any], ...]
    folded: tuple[dict[str, Any], ...] = ()


def fold_classes(classes: Sequence[dict[str, Any]]) -> FoldedClasses:
    """Show the classes of the least recall of many; those without images are last."""
    if len(classes) <= _MOST_CLASSES:
        return FoldedClasses(tuple(classes))
    rows = sorted(classes, key=_badness)
    return FoldedClasses(tuple(rows[:_CLASSES_SHOWN]), tuple(rows[_CLASSES_SHOWN:]))


def _badness(row: Mapping[str, Any]) -> tuple[bool, float, float]:
    recall, precision = row["recall"], row["precision"]
    return (recall is None, recall or 0.0, precision or 0.0)


def _counted_classes(contents: ReportContents) -> dict[str, Any]:
    """Return the names of the table of counts, and whether it is folded."""
    counts = contents.ingestion.get("counts", {}).get("train", {})
    if len(counts) <= _MOST_CLASSES:
        return {"counted_classes": list(counts), "folds_counts": False}
    return {
        "counted_classes": sorted(counts, key=counts.__getitem__),
        "folds_counts": True,
    }


def _class_list(names: Sequence[str]) -> str:
    """Return the names of the classes, or the first of many, for the model card."""
    if len(names) <= _MOST_CLASSES:
        return ", ".join(names)
    rest = len(names) - _CLASSES_SHOWN
    return f"{', '.join(names[:_CLASSES_SHOWN])} and {rest} more"


def next_steps(contents: ReportContents) -> list[tuple[str, str]]:
    """Return what to do after reading the first screen, each with its command."""
    steps = []
    # Other runs may follow in the output folder before somebody reads the page.
    pipeline = str(contents.config["name"])
    if contents.published["path"]:
        model = str(contents.config["push"]["model_name"])
        steps += [
            ("Ask it about an image", f"graft predict IMAGE --model {model}"),
            ("Serve it", f"graft serve --model {model}"),
        ]
    elif not contents.verdict.is_blessed:
        bless = f"graft bless --force --reason WHY --pipeline {pipeline}"
        steps.append(("Publish it anyway", bless))
    checks = (contents.quality or {}).get("checks", [])
    doubtful = any(
        check["name"] == "label_errors" and check["num_findings"] for check in checks
    )
    if doubtful or contents.num_mistakes:
        steps.append(
            (
                "Look at the labels that may be wrong, and correct them",
                f"graft report --labels fixes.csv --pipeline {pipeline}",
            )
        )
    return steps


def _precision_recall(confidence: Confidence | None) -> str:
    if confidence is None or not confidence.curves:
        return ""
    return line_chart(
        confidence.curves[0].recalls,
        [Series(each.class_name, each.precisions) for each in confidence.curves],
        x_label="recall",
        y_label="precision",
    )


def _common(contents: ReportContents) -> dict[str, Any]:
    return {
        "c": contents,
        "verdict": contents.verdict,
        "metrics": contents.verdict.metrics,
        "classes": fold_classes(contents.verdict.classes),
        "class_list": _class_list(contents.class_names),
        "refusals": in_words(contents.verdict, "refuse"),
        "notes": in_words(contents.verdict, "note"),
        "answer_ways": describe_ways(contents.verdict.answers),
        "problems": describe_problems(contents.ingestion, contents.quality),
        "config_yaml": yaml.safe_dump(
            contents.config, sort_keys=False, allow_unicode=True
        ),
    }


def page_environment() -> jinja2.Environment:
    """Return the environment of all templates, which escapes texts of others."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.jinja"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    environment.filters["counted"] = counted
    environment.filters["breakable"] = _breakable
    environment.filters["thousands"] = lambda number: f"{int(number):,}"
    return environment


def _breakable(text: object) -> Markup:
    """Let a path or a name break after its separators, and not within a word."""
    return Markup(re.sub(r"([/_.,:])(?=\w)", r"\1<wbr>", str(escape(text))))  # noqa: S704


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"
