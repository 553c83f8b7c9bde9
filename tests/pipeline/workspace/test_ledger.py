"""The journal, the table, parts, and what a kill leaves of them."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.workspace.ledger import Ledger, read_ledger_rows, write_ledger_table
from pipeline.workspace.row import DONE, FAILED, LedgerRow
from shards.errors import InputError


def row(key: str, **more) -> LedgerRow:
    return LedgerRow(key, more.pop("status", DONE), more.pop("fingerprint", "f"), **more)


def test_what_is_recorded_is_on_disk_at_once_and_still_there_after_the_fold(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "frames")
    rows = [
        row("a", seconds=1.5, bytes=7, facts={"frames": 3, "fps": 29.97, "nested": {"x": [1, 2]}}),
        row("ä\u2028b\x85", status=FAILED, error="line\nbreak \u2029 and 'quotes' \udcff"[:-1]),
    ]
    for one in rows:
        ledger.record(one)
    assert read_ledger_rows(tmp_path, "frames") == {one.id: one for one in rows}
    ledger.fold(keep=["a", "ä\u2028b\x85"])
    assert [path.name for path in tmp_path.iterdir()] == ["frames.parquet"]
    assert read_ledger_rows(tmp_path, "frames") == {one.id: one for one in rows}
    assert read_ledger_rows(tmp_path, "keypoints") == read_ledger_rows(tmp_path / "none", "frames") == {}


def test_a_reason_may_name_a_file_whose_name_is_not_utf8(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "frames")
    ledger.record(row("a", status=FAILED, error="kp\udcff: no folder"))
    ledger.fold(keep="a")
    assert ledger.rows["a"].error == read_ledger_rows(tmp_path, "frames")["a"].error == r"kp\udcff: no folder"


def test_of_two_rows_the_later_counts(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "frames")
    ledger.record(row("a", status=FAILED, error="x"))
    ledger.fold(keep=["a"])
    again = Ledger(tmp_path, "frames")
    assert again.rows["a"].status == FAILED
    again.record(row("a"))
    assert read_ledger_rows(tmp_path, "frames")["a"].status == again.rows["a"].status == DONE


def test_rows_of_removed_samples_go(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "frames")
    for key in "abc":
        ledger.record(row(key))
    ledger.fold(keep="ac")
    assert ledger.rows.keys() == read_ledger_rows(tmp_path, "frames").keys() == {"a", "c"}
    again = Ledger(tmp_path, "frames")
    again.fold(keep=[])
    assert read_ledger_rows(tmp_path, "frames") == {}


def test_a_fold_with_nothing_new_leaves_the_table_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "frames")
    ledger.record(row("a"))
    ledger.fold(keep="a")
    before = (tmp_path / "frames.parquet").stat()
    Ledger(tmp_path, "frames").fold(keep="ab")
    assert (tmp_path / "frames.parquet").stat().st_ino == before.st_ino


@pytest.mark.parametrize("cut", [1, 5, 50])
def test_half_a_line_is_that_rows_loss_only(tmp_path: Path, cut: int) -> None:
    ledger = Ledger(tmp_path, "frames")
    ledger.record(row("a"))
    ledger.record(row("b"))
    journal = tmp_path / "frames.jsonl"
    journal.write_bytes(journal.read_bytes()[:-cut])
    after = Ledger(tmp_path, "frames")
    left = {"a", "b"} if cut == 1 else {"a"}  # without the newline the line is still whole
    assert after.rows.keys() == left
    after.record(row("c"))
    assert read_ledger_rows(tmp_path, "frames").keys() == left | {"c"}


def test_lines_that_are_no_rows_are_passed_over(tmp_path: Path) -> None:
    good = json.dumps({"id": "a", "status": DONE, "fingerprint": "f"}).encode()
    (tmp_path / "frames.jsonl").write_bytes(b"\xff\x00\n[1]\nnull\n{}\n\n" + good + b'\n{"id": "b", "other": 1}\n')
    assert read_ledger_rows(tmp_path, "frames").keys() == {"a"}


def test_parts_keep_their_own_files_until_a_whole_run(tmp_path: Path) -> None:
    parts = [Ledger(tmp_path, "frames", f"part-{number}-of-2") for number in (1, 2)]
    for ledger, key in zip(parts, "ab", strict=True):
        ledger.record(row(key))
    parts[0].fold(keep="a")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "frames.part-1-of-2.parquet",
        "frames.part-2-of-2.jsonl",
    ]
    whole = Ledger(tmp_path, "frames")
    assert whole.rows.keys() == {"a", "b"}
    again = Ledger(tmp_path, "frames", "part-1-of-2")
    assert again.rows.keys() == {"a", "b"}
    again.fold(keep="a")  # knows b, but it is not its own
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "frames.part-1-of-2.parquet",
        "frames.part-2-of-2.jsonl",
    ]
    whole.fold(keep="ab")
    assert [path.name for path in tmp_path.iterdir()] == ["frames.parquet"]
    assert read_ledger_rows(tmp_path, "frames").keys() == {"a", "b"}


def test_files_of_others_are_neither_read_nor_removed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "frames")
    ledger.record(row("a"))
    ledger.fold(keep="a")
    theirs = ["frames.parquet.bak", "frames.old.parquet", "frames.part-1-of-2.jsonl~", "frames.copy.jsonl"]
    for name in theirs:
        write_ledger_table(tmp_path / name, [row("x")])
    whole = Ledger(tmp_path, "frames")
    whole.record(row("b"))
    whole.fold(keep="ab")
    assert whole.rows.keys() == {"a", "b"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*theirs, "frames.parquet"])


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "frames.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(
        InputError, match=r"frames.parquet: damaged \(.*\); remove it, and what it listed is done again"
    ):
        read_ledger_rows(tmp_path, "frames")


def test_a_full_disk_is_an_error_and_the_rows_before_are_kept(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from pipeline.workspace.ledger import Ledger
from pipeline.workspace.row import LedgerRow
ledger = Ledger(Path(sys.argv[1]), "frames")
for number in range(1000):
    try:
        ledger.record(LedgerRow(str(number), "done", "f"))
    except OSError as error:
        print(number, error.strerror)
        break
"""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, preexec_fn=limit, timeout=30
    )
    number, _, said = done.stdout.strip().partition(" ")
    assert (done.returncode, said in ("File too large", "No space left on device")) == (0, True), done
    assert read_ledger_rows(tmp_path, "frames").keys() == {str(n) for n in range(int(number))}


def test_write_table_is_in_id_order_and_the_same_every_time(tmp_path: Path) -> None:
    rows = [row("b", time=1.0), row("a", time=2.0)]
    write_ledger_table(tmp_path / "1.parquet", rows)
    write_ledger_table(tmp_path / "2.parquet", rows[::-1])
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


@pytest.mark.parametrize("kind", ["table", "journal"])
def test_a_changed_byte_gives_no_other_rows(tmp_path: Path, kind: str) -> None:
    ledger = Ledger(tmp_path, "frames")
    for key in "abcdefgh":  # alike, so that a byte may change unseen by the compression
        ledger.record(row(key, bytes=123_456, facts={"extent": 123_456}, time=1.0))
    if kind == "table":
        ledger.fold(keep="abcdefgh")
    (path,) = tmp_path.iterdir()
    before, data = ledger.rows.copy(), path.read_bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            after = read_ledger_rows(tmp_path, "frames")
        except InputError as error:
            assert "remove it" in error.message
            continue
        assert all(before[key] == one for key, one in after.items())


@pytest.mark.parametrize("facts", [{"time": "x"}, {"bytes": None}, {"facts": []}, {"error": 1}, {"temporary": "x"}])
def test_a_row_of_other_types_counts_for_nothing(tmp_path: Path, facts: dict) -> None:
    good = {"id": "a", "status": DONE, "fingerprint": "f"}
    (tmp_path / "frames.jsonl").write_text(json.dumps(good) + "\n" + json.dumps({**good, "id": "b", **facts}) + "\n")
    assert read_ledger_rows(tmp_path, "frames").keys() == {"a"}


def test_a_journal_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("precious")
    (tmp_path / "frames.jsonl").symlink_to("theirs")
    with pytest.raises(OSError, match=r"frames\.jsonl"):
        Ledger(tmp_path, "frames").record(row("a"))
    assert (tmp_path / "theirs").read_text() == "precious"
