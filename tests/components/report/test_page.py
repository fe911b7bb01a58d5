"""The page and the model card show texts of others without control characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from graft.components.evaluation.verdict import RuleResult, Verdict
from graft.components.report.contents import Distribution, ReportContents
from graft.components.report.page import next_steps, render_card, render_page
from graft.trainer.training_facts import TrainingFacts

HOSTILE = "gpj\u202eexe \x1b[31mred\u2066\u200f"


METRICS = {
    "accuracy": 0.9,
    "balanced_accuracy": 0.9,
    "log_loss": 0.1,
    "calibration_error": 0.1,
    "num_test_images": 10,
    "size_mb": 1.0,
    "latency_ms": 1.0,
}


def _class(name: str, recall: float | None = 1.0) -> dict[str, Any]:
    return {
        "name": name,
        "num_images": 0 if recall is None else 5,
        "num_predicted": 5,
        "precision": 1.0,
        "recall": recall,
        "f1": recall,
        "baseline_recall": None,
    }


def _contents(
    text: str,
    classes: Sequence[dict[str, Any]],
    ingestion: Mapping[str, Any] | None = None,
    training: TrainingFacts | None = None,
) -> ReportContents:
    rule = RuleResult("min_accuracy", text, 0.9, 0.7, "pass", text)
    names = tuple(each["name"] for each in classes)
    return ReportContents(
        verdict=Verdict(
            True,
            (rule,),
            METRICS,
            classes=tuple(classes),
            largest_class={"name": text, "share": 0.5, "standing": "better"},
        ),
        canary=None,
        published={"path": None, "version": None, "reason": text},
        class_names=names,
        confusion=np.zeros((len(names), len(names)), np.int64),
        confusions=(),
        bins=(),
        mistakes=(),
        num_mistakes=0,
        ingestion=dict(ingestion or {}),
        quarantined=(),
        anomalies=(text,),
        history={},
        training=training or TrainingFacts(),
        config={
            "name": text,
            "data": {"path": text},
            "model": {"preset": text},
            "push": {"model_name": text},
            "training": {"strategy": "none"},
        },
        provenance={"data_fingerprint": text, "written_at": text},
    )


@pytest.mark.parametrize("render", [render_page, render_card])
def test_no_control_character_of_a_name_is_left(
    render: Callable[[ReportContents], str],
) -> None:
    text = render(_contents(HOSTILE, [_class(HOSTILE), _class("dog")]))
    assert "gpj\\u202eexe" in text
    assert not {*"\u202e\x1b\u2066\u200f"} & {*text}


def _many_classes() -> ReportContents:
    """1,000 classes. Class 500 is the worst, then 501, and so on; 7 has no images."""
    classes = [
        _class(f"class {index:03d}", ((index - 500) % 1000 + 1) / 1000)
        for index in range(1000)
    ]
    classes[7] = _class("class 007", None)
    counts = {each["name"]: 999 - index for index, each in enumerate(classes)}
    return _contents(
        "many",
        classes,
        {"splits": {"train": 499500}, "counts": {"train": counts}, "warnings": ()},
    )


def test_page_of_many_classes_shows_the_worst_and_folds_the_others() -> None:
    page = render_page(_many_classes())
    for section, first, last in (
        ("classes", "class 500", "class 007"),
        ("data", "class 999", "class 000"),
    ):
        text = page[page.index(f'<section id="{section}">') :]
        shown, _, folded = text[: text.index("</section>")].partition("<details>")
        names = re.findall(r"class \d{3}", shown + folded)
        assert (names[0], names[-1]) == (first, last)
        assert sorted(names) == [f"class {index:03d}" for index in range(1000)]
        assert len(re.findall(r"class \d{3}", shown)) <= 30
        assert "class" in folded
    assert len(page) < 1_000_000


def test_card_of_many_classes_names_some() -> None:
    card = render_card(_many_classes())
    assert "class 029 and 970 more." in card
    rows = re.findall(r"^\| (class \d+) ", card, re.MULTILINE)
    assert rows == [f"class {index:03d}" for index in range(500, 530)]
    assert "The report has the other 970 classes." in card


@pytest.mark.parametrize("render", [render_page, render_card])
def test_tables_of_few_classes_keep_their_order(
    render: Callable[[ReportContents], str],
) -> None:
    text = render(_contents("few", [_class("b", 0.9), _class("a", 0.5)]))
    assert "The report has" not in text
    assert 0 < text.index("90.0 %") < text.index("50.0 %")


@pytest.mark.parametrize("reading", ["memory", "stream"])
def test_page_tells_how_the_features_were_read(reading: str) -> None:
    facts = TrainingFacts("ridge", 0.1, reading)
    page = render_page(_contents("x", [_class("a")], training=facts))
    assert f"L2 penalty 0.1, features read as <code>{reading}</code>." in page


@pytest.mark.parametrize("render", [render_page, render_card])
def test_notes_of_training_are_told(render: Callable[[ReportContents], str]) -> None:
    note = "the weakest penalty is the best"
    facts = TrainingFacts("lbfgs", 0.1, notes=(note,))
    assert "The weakest penalty is the best." in render(
        _contents("x", [_class("a")], training=facts)
    )


@pytest.mark.parametrize(
    ("path", "is_blessed", "outcome"),
    [("store/7", True, "pushed"), (None, True, "passed"), (None, False, "refused")],
)
def test_the_title_tells_the_run_and_its_outcome(
    make_contents: Callable[..., ReportContents],
    path: str | None,
    is_blessed: bool,
    outcome: str,
) -> None:
    contents = make_contents(4)
    published = {"path": path, "version": "7", "reason": "the gate refused it"}
    verdict = replace(contents.verdict, is_blessed=is_blessed)
    page = render_page(replace(contents, published=published, verdict=verdict))
    assert f"<title>report, 2026-11-30 10:00: {outcome}</title>" in page
    assert f"<h1>report: {outcome}</h1>" in page


def test_the_first_screen_tells_accuracy_with_its_interval_and_what_to_do(
    make_contents: Callable[..., ReportContents],
) -> None:
    page = render_page(make_contents(4))
    first = page[: page.index('<section id="rules"')]
    low, high = make_contents(4).confidence.interval
    assert f"{100 * low:.1f} to {100 * high:.1f}" in first
    assert "graft predict IMAGE --model photos" in first
    assert "graft report --labels fixes.csv --pipeline report" in first
    assert "graft serve --model photos" in first
    assert "graft bless" not in first


def test_a_refused_model_may_be_published_anyway(
    make_contents: Callable[..., ReportContents],
) -> None:
    contents = make_contents(4)
    refused = replace(
        contents,
        verdict=replace(contents.verdict, is_blessed=False),
        published={"path": None, "version": None, "reason": "the gate refused it"},
        num_mistakes=0,
        quality=None,
    )
    assert [command for _, command in next_steps(refused)] == [
        "graft bless --force --reason WHY --pipeline report"
    ]
    blessed = replace(refused, verdict=contents.verdict)
    assert next_steps(blessed) == []


@pytest.mark.parametrize("is_drifted", [True, False])
def test_distributions_are_folded_unless_one_drifted(
    make_contents: Callable[..., ReportContents], is_drifted: bool
) -> None:
    rows = (("red", 0.2, 0.9), ("blue", 0.8, 0.1))
    found = (Distribution("class", rows, 0, is_drifted, 0.4),)
    page = render_page(make_contents(4, distributions=found))
    fold = re.search(r"<details (\w*) ?>\s*<summary>What the images look like", page)
    assert fold is not None
    assert fold[1] == ("open" if is_drifted else "")


def test_all_doubtful_labels_are_on_the_page_the_first_unfolded(
    make_full_contents: Callable[[int], ReportContents],
) -> None:
    page = render_page(make_full_contents(2))
    _, _, section = page.partition("<h4>Doubtful labels, 100 of 1,000</h4>")
    section, _, _ = section.partition("<h3>Quarantine</h3>")
    shown, _, folded = section.partition("<details><summary>88 more</summary>")
    assert shown.count("<img") == 12
    assert folded.count("<img") == 88
    assert "graft report --labels fixes.csv" in section


def test_every_threshold_and_picture_is_on_the_page(
    make_contents: Callable[..., ReportContents],
) -> None:
    contents = make_contents(4)
    page = render_page(contents)
    for row in contents.confidence.thresholds[1:]:
        assert f"{row.threshold:g} or more" in page
        assert f"({row.num_answered:,})" in page
    assert contents.pictures
    assert all(picture in page for picture in contents.pictures.values())
    # Both partners of a near-copy are named.
    assert "a.jpg" in page
    assert "and photos of the summer in the mountains/" in page.replace("<wbr>", "")


def test_a_page_without_features_or_test_images_is_whole(
    make_contents: Callable[..., ReportContents],
) -> None:
    page = render_page(
        make_contents(
            4, feature_map=None, confidence=None, samples=(), confused=(), features=None
        )
    )
    assert "Map of the test images" not in page
    assert "Answer only above" not in page
    assert "Test images of each class" not in page


def test_the_chosen_penalty_is_marked(
    make_contents: Callable[..., ReportContents],
) -> None:
    facts = TrainingFacts("lbfgs", 0.01)
    assert ">chosen: 0.01</text>" in render_page(make_contents(4, training=facts))
    epochs = {"loss": [0.5, 0.4], "val_loss": [0.6, 0.5]}
    page = render_page(make_contents(4, training=facts, history=epochs))
    assert "chosen:" not in page
