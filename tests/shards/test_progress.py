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
