"""Turns, ratios and medians."""

import os
from collections.abc import Callable

import pytest

from tools.bench import timing
from tools.bench.timing import Contender, Measurement, compare, on_cores


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only `clock.append(seconds)` moves."""
    passed: list[float] = []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: sum(passed))
    return passed


def takes(clock: list[float], *seconds: float, order: list[str] | None = None, name: str = "") -> Callable[[], None]:
    times = iter(seconds)

    def run() -> None:
        if order is not None:
            order.append(name)
        clock.append(next(times))

    return run


def test_turns_are_taken_and_a_ratio_is_to_the_limit_before_and_after(clock: list[float]) -> None:
    order: list[str] = []
    # The machine grows slower from the first limit to the last but two: a takes twice the mean of its neighbors, b as
    # long as they.
    limit = Contender("limit", takes(clock, 1, 3, 5, 7, 9, 1, 1, order=order, name="limit"), 2)
    a = Contender("a", takes(clock, 4, 12, 10, order=order, name="a"), 2, "≥ 0.9")
    b = Contender("b", takes(clock, 4, 8, 1, order=order, name="b"), 2)
    table = compare("t", "clip", limit, [a, b], 3)
    assert order == ["limit", *["a", "limit", "b", "limit"] * 3]
    assert table.rows == [
        Measurement("limit", [0.5, 1.5, 2.5, 3.5, 4.5, 0.5, 0.5]),
        Measurement("a", [2, 6, 5], [0.5, 0.5, 0.5], "≥ 0.9"),
        Measurement("b", [2, 4, 0.5], [1, 1, 1]),
    ]
    assert [line.split()[-3:] for line in table.text().splitlines()[-3:]] == [
        ["1500.00", "0.7", "limit"],
        ["0.50", "≥", "0.9"],
        ["2000.00", "0.5", "1.00"],
    ]


def test_a_limit_may_do_less_work(clock: list[float]) -> None:
    table = compare("t", "clip", Contender("limit", takes(clock, 1, 1), 1), [Contender("a", takes(clock, 8), 4)], 1)
    assert [row.seconds for row in table.rows] == [[1, 1], [2]]


def test_what_is_done_before_is_not_timed(clock: list[float]) -> None:
    order: list[str] = []
    before = takes(clock, 100, 100, 100, order=order, name="before")
    a = Contender("a", takes(clock, 2, 2, 2, order=order, name="a"), 1, before=before)
    table = compare("t", "clip", Contender("limit", lambda: clock.append(1), 1), [a], 3)
    assert order == ["before", "a"] * 3
    assert table.rows[1].seconds == [2, 2, 2]


def test_a_run_may_say_how_long_it_took(clock: list[float]) -> None:
    a = Contender("a", lambda: clock.append(50) or 4.0, 2)
    assert compare("t", "clip", Contender("limit", takes(clock, 1, 1), 1), [a], 1).rows[1].seconds == [2]


def test_cores_are_given_back() -> None:
    before = os.sched_getaffinity(0)
    with on_cores(1):
        assert os.sched_getaffinity(0) == {max(before)}
    assert os.sched_getaffinity(0) == before
