"""The charts are well-formed SVG and show the numbers that they are given."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from graft.components.evaluation.calibration import reliability
from graft.components.report.charts import (
    Series,
    confusion_matrix,
    line_chart,
    reliability_diagram,
    scatter,
    share_bar,
)
from graft.components.report.feature_map import FeatureMap, Point


def parse(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{text}</div>")


def points(chart: ElementTree.Element, index: int) -> list[tuple[float, float]]:
    line = chart.findall(".//polyline")[index]
    return [
        (float(x), float(y))
        for x, y in (pair.split(",") for pair in line.attrib["points"].split())
    ]


def test_lines_go_up_where_values_do() -> None:
    chart = parse(
        line_chart(
            [1, 2, 3],
            [Series("train", [0.1, 0.2, 0.4]), Series("eval", [0.3, None, 0.1])],
            x_label="epoch",
            y_label="loss",
        )
    )
    train = points(chart, 0)
    assert [x for x, _ in train] == sorted(x for x, _ in train)
    assert train[0][1] > train[1][1] > train[2][1]  # SVG counts downwards.
    # Steps of 0.1 and 0.2 are as 1 to 2.
    rise = (train[0][1] - train[1][1], train[1][1] - train[2][1])
    assert rise[1] == pytest.approx(2 * rise[0], abs=0.2)
    assert len(points(chart, 1)) == 2


def test_a_logarithmic_axis_spaces_factors_evenly() -> None:
    text = line_chart(
        [0.01, 0.1, 1.0],
        [Series("eval", [1.0, 2.0, 3.0])],
        x_label="L2 penalty",
        y_label="loss",
        is_log_x=True,
    )
    xs = [x for x, _ in points(parse(text), 0)]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)


@pytest.mark.parametrize("values", [[], [float("nan")], [None]])
def test_nothing_to_draw_is_no_chart(values: list[float | None]) -> None:
    x = list(range(len(values)))
    assert line_chart(x, [Series("a", values)], x_label="x", y_label="y") == ""


def test_one_value_and_equal_values_are_drawn() -> None:
    for values in ([0.5], [0.5, 0.5]):
        text = line_chart(
            list(range(len(values))), [Series("a", values)], x_label="x", y_label="y"
        )
        assert len(points(parse(text), 0)) == len(values)


def test_the_matrix_counts_and_escapes() -> None:
    counts = np.array([[8, 2], [0, 5]])
    chart = parse(confusion_matrix(["a<b", "c&d"], counts))
    titles = [each.text for each in chart.iter("title")]
    assert titles == [
        "a<b called a<b: 8",
        "a<b called c&d: 2",
        "c&d called a<b: 0",
        "c&d called c&d: 5",
    ]
    shown = [cell.attrib["fill-opacity"] for cell in chart.iter("rect")]
    assert float(shown[0]) > float(shown[1]) > float(shown[2]) == 0


def test_reliability_bars_are_as_tall_as_the_accuracy() -> None:
    bins = reliability(np.array([0.95, 0.95, 0.3]), np.array([True, False, True]))
    bars = parse(reliability_diagram(bins)).findall(".//rect[@class='bar']")
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert heights[0] == pytest.approx(2 * heights[1])


def test_a_share_is_a_part_of_the_track() -> None:
    (_, bar) = parse(share_bar(0.25)).findall(".//rect")
    assert bar.attrib["width"] == "25.0"


def test_the_chosen_point_is_marked_where_it_lies() -> None:
    def draw(chosen: float | None) -> ElementTree.Element:
        lines = [Series("eval", [1.0, 2.0, 3.0])]
        x = [0.01, 0.1, 1.0]
        names = {"x_label": "L2 penalty", "y_label": "loss"}
        return parse(line_chart(x, lines, **names, is_log_x=True, chosen=chosen))

    chart = draw(0.1)
    (mark,) = chart.findall(".//line[@class='ideal']")
    assert float(mark.attrib["x1"]) == pytest.approx(points(chart, 0)[1][0], abs=0.1)
    assert "chosen: 0.1" in [each.text for each in chart.iter("text")]
    for other in (None, 0.2):
        assert not draw(other).findall(".//line[@class='ideal']")


def test_the_map_shows_each_image_once_as_dot_or_picture() -> None:
    def point(x: float, y: float, name: str, **fields: object) -> Point:
        values = {"colour": 0, "is_right": True, "has_picture": False, **fields}
        return Point(
            x, y, class_name="a", filename=f"<{name}>", content_hash=name, **values
        )

    found = FeatureMap(
        (
            point(0, 0, "dot"),
            point(1, 1, "picture", has_picture=True, is_right=False),
            point(0.5, 0.5, "lost", has_picture=True, colour=None),
        ),
        ("a & b",),
        0.5,
        3,
    )
    chart = parse(scatter(found, {"picture": "data:x"}))
    dots = [each.attrib for each in chart.iter("circle")]
    assert [dot["class"] for dot in dots] == ["dot s0", "dot other"]
    (image,) = chart.iter("image")
    assert image.attrib["href"] == "data:x"
    (frame,) = chart.iter("rect")
    assert frame.attrib["class"] == "frame s0 wrong"
    assert float(dots[0]["cy"]) > float(image.attrib["y"])  # SVG counts downwards
    assert "a: <lost>" in [each.text for each in chart.iter("title")]
    assert "a & b" in [each.text for each in chart.iter("span")]
