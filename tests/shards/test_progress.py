import sys

from shards import progress as module
from shards.progress import progress


def test_log_gets_a_last_line(capsys) -> None:
    assert list(progress("abc", 3, "verify", "shard")) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("verify: 3/3 in ")
    assert captured.err.count("\n") == 1


def test_log_gets_lines_in_between_with_time(capsys, monkeypatch) -> None:
    now = iter(range(0, 1000, 20))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    list(progress(range(5), 5, "verify"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "verify: 2/5, 0.1/s, 60 s left"
    assert len(lines) == 3


def test_nothing_to_do(capsys) -> None:
    assert list(progress([], 0, "verify")) == []
    assert "0/0" in capsys.readouterr().err


def test_terminal_gets_a_bar(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress("abc", 3, "verify", "shard")) == ["a", "b", "c"]
    assert "3/3" in capsys.readouterr().err


def test_items_of_several_units_and_short_work(capsys, monkeypatch) -> None:
    now = iter(range(0, 1000, 20))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    assert list(progress(["ab", "cd", "e"], 5, "predict", "clip", len, may_be_short=True)) == ["ab", "cd", "e"]
    assert capsys.readouterr().err.splitlines() == ["predict: 4/5, 0.1/s, 10 s left"]


def test_short_work_shows_no_bar(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    list(progress("abc", 3, "predict", may_be_short=True))
    assert capsys.readouterr().err == ""
