"""What is not seen in the data of a figure: labels that do not touch, looks that differ, ticks, values far away."""

from __future__ import annotations

import itertools
import re

import pytest

from hificl.reporting.draw import WIDTH, svg_bytes
from hificl.reporting.draw_lines import _apart
from hificl.reporting.figures import Dot, Dots, Heat, Lines, Reference, Series
from hificl.reporting.inline_svg import inline_svg
from hificl.reporting.log_ticks import log_ticks
from hificl.reporting.palette import VARIABLES, looks


def test_labels_keep_their_order_and_do_not_touch() -> None:
    places = [0.5, 0.51, 0.2, 0.99, 1.0, 0.505]
    sizes = [0.08, 0.2, 0.08, 0.08, 0.08, 0.08]  # one label has several lines
    moved = _apart(places, sizes)
    order = sorted(range(6), key=lambda position: places[position])
    for first, second in itertools.pairwise(order):
        assert moved[second] - moved[first] > (sizes[first] + sizes[second]) / 2 - 1e-3
    assert max(moved) < 0.99


def test_a_long_label_takes_several_lines() -> None:
    label = "HiFICL from demonstrations, not trained"
    drawn = svg_bytes(Lines("a", "a", "a", "pairs", "score", (Series(label, (1.0, 2.0), (3.0, 4.0)),))).decode()
    assert "HiFICL from" in drawn
    assert label not in re.sub(r"<!--.*?-->", "", drawn, flags=re.DOTALL)


def test_no_two_lines_of_a_figure_look_alike() -> None:
    found = looks(["hificl", "lora", "hificl", "mine", "yours", "zero_shot", "plain"])
    assert len(set(found)) == 7
    assert found[0] == looks(["hificl"])[0]
    colours = [look.colour for look in looks(["hificl_robust", "hificl_paper", "lora", "icl", "plain"])]
    assert len(set(colours)) == 5, "and no two of one colour as long as there are others"
    assert {look.colour for look in found} <= set(VARIABLES)


@pytest.mark.parametrize(("values", "ticks"), [((1.0, 5.5), [1, 2, 5]), ((0.09, 700.0), [0.1, 0.5, 2, 10, 50, 200])])
def test_logarithmic_ticks(values: tuple[float, float], ticks: list[float]) -> None:
    low, high, found = log_ticks(values)
    assert found == pytest.approx(ticks)
    assert low < values[0] < values[1] < high


def test_a_value_far_below_all_others_is_a_number_at_the_edge() -> None:
    dots = [Dot(name, value) for name, value in (("a", 97.0), ("b", 95.0), ("c", 96.0), ("d", 94.0), ("e", 4.4))]
    text = svg_bytes(Dots("far", "Far", "Described", "score, %", tuple(dots))).decode()
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    assert "\N{BLACK LEFT-POINTING SMALL TRIANGLE} 4.4" in shown
    assert "0" not in shown


def test_a_long_label_of_the_axis_is_in_the_picture() -> None:
    dots = tuple(Dot(f"a method with a long name {at}", 90.0 + at) for at in range(3))
    text = svg_bytes(Dots("long", "Long", "Described", "exact match, % (95 % over seeds or queries)", dots)).decode()
    place = re.search(r'<text style="([^"]*)" x="([\d.]+)"[^>]*>exact match', text)
    assert place is not None
    assert "text-anchor: end" in place[1]
    assert float(place[2]) <= 72 * WIDTH


def test_text_of_labels_is_text_in_the_drawing() -> None:
    label = "<b>&$x_1$ \N{SNOWMAN}"
    figure = Lines("own", "Own <title>", 'Described "so"', "n", "score", (Series(label, (1.0, 2.0), (3.0, 4.0)),))
    text = inline_svg(svg_bytes(figure), figure)
    assert "&lt;b&gt;&amp;$x_1$" in text
    assert "Own &lt;title&gt;" in text
    assert "<b>" not in text
    assert "DejaVu" not in text


def test_grey_lines_differ_from_their_neighbours() -> None:
    beside = tuple(Reference(value, f"at {value}") for value in (1.0, 2.0))
    figure = Lines("own", "Own", "Described", "n", "score", (Series("a", (1.0, 2.0), (3.0, 4.0)),), references=beside)
    text = svg_bytes(figure).decode()
    assert len(set(re.findall(r"stroke-dasharray: [^;\"]*", text))) >= len(beside)


def test_a_map_has_the_colours_of_its_ends_and_not_of_its_values() -> None:
    def colours(*values: float) -> list[str]:
        names = tuple(str(number) for number in range(len(values)))
        figure = Heat("m", "M", "Described", "x", "y", names, ("1",), (values,), "share", ends=(0.0, 100.0))
        return re.findall(r"fill: (#[0-9a-f]{6})", svg_bytes(figure).decode())

    assert colours(40.0, 60.0) != colours(0.0, 100.0)


def test_an_interval_of_another_kind_is_hollow() -> None:
    def drawn(*, hollow: bool) -> bytes:
        dots = (Dot("a", 90.0, 89.0, 91.0), Dot("b", 80.0, 79.0, 81.0, hollow=hollow))
        return svg_bytes(Dots("h", "H", "Described", "score, %", dots))

    assert drawn(hollow=True) != drawn(hollow=False)
