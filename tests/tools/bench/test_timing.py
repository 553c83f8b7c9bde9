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

    # The second round is disturbed: both take ten times as long.
    limit, measured = compare(run("limit", 1, 10, 1), {"a": run("a", 2, 20, 4), "b": run("b", 1, 10, 2)}, 2, 3)
    assert order == ["limit", "a", "b"] * 3
    assert (limit, measured) == (0.5, {"a": (2.0, 0.5), "b": (1.0, 1.0)})


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
