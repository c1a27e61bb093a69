"""Numbers as people read them."""

from __future__ import annotations

import pytest

from hificl.reporting import numbers


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (97.25, 1, "", "97.2"),
        (-0.04, 1, "+", "0.0"),
        (-3.26, 1, "+", "−3.3"),
        (0.7, 1, "+", "+0.7"),
        (107520, 0, "", "107,520"),
    ],
)
def test_plain(value: float, digits: int, sign: str, text: str) -> None:
    assert numbers.plain(value, digits, sign) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0000042, "4.20 µs"), (0.00383, "3.83 ms"), (29.46, "29.5 s"), (650.0, "10.8 min"), (40000.0, "11.1 h")],
)
def test_seconds(value: float, text: str) -> None:
    assert numbers.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(5, "5.00 B"), (77408, "77.4 kB"), (8.04e8, "804 MB"), (2.5e12, "2.50 TB")]
)
def test_size(value: float, text: str) -> None:
    assert numbers.size(value) == text


def test_intervals_p_values_and_counts_of_operations() -> None:
    assert numbers.with_interval(-3.2, (-5.72, -0.9), 1, "+") == "−3.2 [−5.7, −0.9]"
    assert (numbers.p_value(0.0009), numbers.p_value(0.0634)) == ("< 0.001", "0.063")
    assert numbers.large(2.4e12) == "2.40 trillion"
    assert numbers.ratio(5.5) == "5.50×"
