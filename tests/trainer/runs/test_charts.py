from __future__ import annotations

import math

import pytest

from trainer.runs.charts import line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.5, 1]), (0.62, 0.91, [0.6, 0.7, 0.8, 0.9, 1.0]), (1, 40, [0, 10, 20, 30, 40])],
)
def test_ticks_are_round_and_cover(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


def test_points_lie_inside_and_rise_upwards() -> None:
    chart = line_chart("Loss", [("training", [(1, 2.0), (2, 1.0)])], x_title="epoch")
    assert chart
    (x1, y1), (x2, y2) = [tuple(map(float, p.split(","))) for p in chart.lines[0].points.split()]
    assert chart.left <= x1 < x2 <= chart.right
    assert chart.top <= y1 < y2 <= chart.bottom  # y grows downwards in SVG: the larger value is higher up


def test_without_finite_points_there_is_no_chart() -> None:
    assert line_chart("Loss", [("training", [(1, math.nan)])], x_title="epoch") is None
    assert line_chart("Loss", [], x_title="epoch") is None


def test_one_point_and_constant_lines_have_room() -> None:
    assert line_chart("Loss", [("training", [(1, 0.5)])], x_title="epoch")
    assert line_chart("Loss", [("training", [(1, 0.5), (2, 0.5)])], x_title="epoch")


def test_axis_of_a_constant_line_is_in_proportion_to_it() -> None:
    for rate in (0.01, -3.0):
        chart = line_chart("Rate", [("rate", [(1, rate), (2, rate)])], x_title="epoch")
        assert chart
        labels = [float(tick.label) for tick in chart.y_ticks]
        assert rate in labels
        assert all(0 < label / rate < 3 for label in labels)


def test_percent_axis() -> None:
    chart = line_chart("Accuracy", [("accuracy", [(1, 0.5), (2, 0.75)])], x_title="epoch", percent=True)
    assert chart
    assert "50\u00a0%" in [t.label for t in chart.y_ticks]
    assert [t.label for t in chart.x_ticks] == ["1", "2"]
    assert chart.lines[0].dots[1][2] == "accuracy 75.0\u00a0%"
