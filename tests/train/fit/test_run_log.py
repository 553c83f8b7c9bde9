import csv
import re
import threading

import pytest

from shards.errors import InputError
from train.fit import run_log as module
from train.fit.run_log import COLUMNS, EpochTime, ProgressLine, RunLog, duration, read_metrics


def row(epoch: int, **more) -> dict[str, float]:
    return {"epoch": epoch, "train_loss": 1 / 3, "val_top1": 0.5, **more}


def test_a_row_per_epoch(tmp_path):
    log = RunLog(tmp_path, 0)
    log.add(row(1))
    log.add({"epoch": 2, "train_loss": 2.0})
    log.close()
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(COLUMNS)
    found = read_metrics(tmp_path / "metrics.csv")
    assert [(line["epoch"], line["train_loss"], line["val_top1"]) for line in found] == [
        ("1", "0.333333", "0.5"),
        ("2", "2", ""),
    ]
    assert read_metrics(tmp_path / "absent.csv") == []


def test_a_run_that_goes_on_replaces_what_comes_after(tmp_path):
    log = RunLog(tmp_path, 0)
    for epoch in range(1, 5):
        log.add(row(epoch, val_loss=9.0))
    log.close()
    log = RunLog(tmp_path, 2)
    log.add(row(3, val_loss=1.0))
    log.close()
    found = read_metrics(tmp_path / "metrics.csv")
    assert [(line["epoch"], line["val_loss"]) for line in found] == [("1", "9"), ("2", "9"), ("3", "1")]


@pytest.mark.parametrize(
    "text",
    ["epoch;train_loss\n0;1\n", "epoch,train_loss\n0.0,1\n", "epoch,train_loss\n\xff,1\n", "epoch,train_loss\n0,1,2\n"],
)
def test_a_table_that_something_else_wrote_is_one_line(tmp_path, text):
    (tmp_path / "metrics.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"metrics\.csv: not as `train` wrote it"):
        RunLog(tmp_path, 1)


@pytest.fixture(autouse=True)
def silent_thread(monkeypatch):
    """TensorBoard writes events in a thread, which says so, too, when the disk is full."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)


def test_a_full_disk_is_a_warning(tmp_path, full_disk, capsys):
    log = RunLog(tmp_path, 0)
    log.add(row(1))
    before = (tmp_path / "metrics.csv").read_bytes()
    with full_disk(len(before)):
        log.add(row(2))
    warning = capsys.readouterr().err.splitlines()[0]
    assert warning.startswith("warning: ") and "metrics.csv" in warning and "File too large" in warning
    assert (tmp_path / "metrics.csv").read_bytes() == before
    log.add(row(3))  # there is room again
    assert [line["epoch"] for line in read_metrics(tmp_path / "metrics.csv")] == ["1", "2", "3"]


def test_a_full_disk_for_events_is_a_warning(tmp_path, full_disk, capsys):
    log = RunLog(tmp_path, 0)
    log.add(row(0))
    (events,) = tmp_path.glob("*tfevents*")
    size = max(events.stat().st_size, 1000)
    with full_disk(size):
        for _ in range(100):  # the same epoch again: the table stays small
            log._rows.clear()
            log.add(row(0))
    log.close()
    assert all(line.startswith("warning: ") for line in capsys.readouterr().err.splitlines())


def test_columns_that_somebody_added_stay(tmp_path):
    log = RunLog(tmp_path, 0)
    log.add(row(0))
    log.close()
    header, values = (tmp_path / "metrics.csv").read_text().splitlines()
    (tmp_path / "metrics.csv").write_text(f"{header},notes\n{values},good\n")
    log = RunLog(tmp_path, 1)
    log.add(row(1))
    log.close()
    found = read_metrics(tmp_path / "metrics.csv")
    assert [line["notes"] for line in found] == ["good", ""]
    assert list(found[0]) == [*COLUMNS, "notes"]


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OSError, match=r"File exists: .*run"):
        RunLog(tmp_path / "run", 0)


def test_the_time_left_counts_from_where_this_process_began(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("train.fit.run_log.time.monotonic", lambda: now[0])
    line = ProgressLine("epoch 3", 50, 100, speak=True)
    assert not line.due()
    now[0] += 31.0
    assert line.due()
    line.show(60, "loss 1")
    assert not line.due()
    # 10 of the 50 samples that were left took 31 seconds.
    assert capsys.readouterr().err == "epoch 3 60/100  loss 1  2 min left\n"
    line.end("loss 2")
    assert capsys.readouterr().err == "epoch 3  loss 2\n"


def test_other_ranks_are_silent(capsys):
    line = ProgressLine("epoch 1", 0, 10, speak=False)
    line.end("loss")
    assert not line.due()
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_one_line_that_is_rewritten(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    line = ProgressLine("epoch 1", 0, 10, speak=True)
    line.show(5, "a")
    line.show(6, "b")
    text = capsys.readouterr().err
    assert "\n" not in text
    assert re.fullmatch(r"(\r\x1b\[2Kepoch 1 \d/10  [ab]  \d+ s left){2}", text)


def test_metrics_have_no_columns_of_their_own(tmp_path):
    log = RunLog(tmp_path, 0)
    log.add(row(0, unknown=1.0))
    log.close()
    assert "unknown" not in read_metrics(tmp_path / "metrics.csv")[0]
    with pytest.raises(KeyError):
        RunLog(tmp_path / "other", 0).add({"train_loss": 1.0})


def test_rows_of_earlier_versions_which_counted_from_0_are_counted_from_1(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,train_loss\n0,3\n1,2\n2,1\n")
    log = RunLog(tmp_path, 2)  # killed in its third epoch
    log.add(row(3))
    log.close()
    assert [line["epoch"] for line in read_metrics(tmp_path / "metrics.csv")] == ["1", "2", "3"]
    assert [line["train_loss"] for line in read_metrics(tmp_path / "metrics.csv")] == ["3", "2", "0.333333"]


def test_the_time_of_an_epoch_is_said_once_after_the_first_seconds(monkeypatch) -> None:
    """100 samples in 10 s, after a first step that took longer: an epoch of 36,000 takes an hour."""
    times = iter([50.0, 55.0, 60.5, 61.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    pace = EpochTime(20)
    found = [pace.line(done, 36_000) for done in (4, 54, 109, 120)]
    assert found[:2] == [None, None]
    assert found[2] == "an epoch takes about 60 min, all 20 at most 20.0 h, without validation"
    assert found[3] is None


def test_an_epoch_of_under_ten_seconds_is_not_measured_across_its_end(monkeypatch) -> None:
    times = iter([0.0, 6.0, 12.0, 23.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    pace = EpochTime(2)
    assert [pace.line(done, 8) for done in (4, 8, 4)] == [None, None, None]
    assert pace.line(8, 8) == "an epoch takes about 22 s, all 2 at most 44 s, without validation"


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.4, "42 s"), (600, "10 min"), (4 * 3600, "4.0 h"), (2.1 * 86400, "2.1 days")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
