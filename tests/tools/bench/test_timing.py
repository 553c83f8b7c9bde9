import pytest

from tools.bench import timing
from tools.bench.timing import Figure, compare, table


@pytest.fixture
def clock(monkeypatch):
    """A clock that only `clock.append(seconds)` moves."""
    passed: list[float] = []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: sum(passed))
    return passed


def test_a_ratio_is_the_median_over_the_rounds_and_turns_are_taken(clock) -> None:
    order = []

    def run(name: str, *seconds: float):
        times = iter(seconds)

        def go() -> None:
            order.append(name)
            clock.append(next(times))

        return go

    # The machine grows slower from the first limit to the last but two: a takes twice the mean of its neighbours, b as
    # long as they.
    limit = run("limit", 1, 3, 5, 7, 9, 1, 1)
    limit, measured = compare(limit, {"a": run("a", 4, 12, 10), "b": run("b", 4, 8, 1)}, 2, 3)
    assert order == ["limit", *["a", "limit", "b", "limit"] * 3]
    assert (limit, measured) == (1.5, {"a": (5.0, 0.5), "b": (2.0, 1.0)})


def test_a_limit_that_does_less(clock) -> None:
    assert compare(lambda: clock.append(1), {"a": lambda: clock.append(8)}, 4, 1, limit_units=1) == (1, {"a": (2, 0.5)})


def test_what_is_done_before_is_not_timed(clock) -> None:
    order = []
    before = {"a": lambda: (order.append("before"), clock.append(100)), "limit": lambda: clock.append(50)}
    run = {"a": lambda: (order.append("a"), clock.append(2)), "b": lambda: clock.append(4)}
    limit, measured = compare(lambda: clock.append(1), run, 1, 3, before)
    assert order == ["before", "a"] * 3
    assert (limit, measured) == (1, {"a": (2, 0.5), "b": (4, 0.25)})


def test_a_table_has_the_limit_first() -> None:
    made = table("t", "clip", "bare", (0.5, {"ours": (1.0, 0.5)}), {"ours": "≥ 0.9"})
    assert made.figures == [Figure("bare", 0.5, None), Figure("ours", 1.0, 0.5, "≥ 0.9")]
