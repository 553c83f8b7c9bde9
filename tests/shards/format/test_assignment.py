from pathlib import Path

import pytest

from shards.errors import InputError
from shards.format.assignment import read_assignment, write_assignment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


def test_assignment_with_classes_windows_lines_and_a_mark(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfa,1,train\r\n\r\n b , 2 , val \r\n")
    assert read_assignment(path) == {"a": (1, "train"), "b": (2, "val")}


def test_assignment_with_and_without_header(path: Path) -> None:
    for header in ("", "id,split\n"):
        path.write_text(f"{header}a,train\nb,dev\n")
        assert read_assignment(path) == {"a": (None, "train"), "b": (None, "dev")}
    path.write_text("a,train\nid,split\n")
    assert read_assignment(path) == {"a": (None, "train"), "id": (None, "split")}
    path.write_text("id,split\na,0\n")
    assert read_assignment(path) == {"a": (None, "0")}
    path.write_text("id,fold\na,0\n")
    assert read_assignment(path) == {"a": (None, "0")}
    path.write_text("id,class,split\na,0,1\n")
    assert read_assignment(path) == {"a": (0, "1")}


def test_assignment_round_trip(path: Path) -> None:
    rows = [("işaret 1", "train"), ('a"b,c', "val")]
    write_assignment(path, rows)
    assert read_assignment(path) == {sample_id: (None, split) for sample_id, split in rows}
    assert path.read_bytes().count(b"\r") == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\nb\0,b\n", "NUL"),
        ("", "no rows"),
        ("a\n", r"a\.csv:1: expected"),
        ("a,b,c,d\n", r"a\.csv:1: expected"),
        ("a,train\na,val\n", r"a\.csv:2: a has val, but train in line 1"),
        ("a,0,train\na,0,val\n", r"a\.csv:2: a has 0,val, but 0,train in line 1"),
        ("a,train\nb,0\n", r"a\.csv:2: '0' is a class"),
        ("a,x,train\n", r"a\.csv:1: class 'x' is not a whole number"),
        ("a,../x\n", r"a\.csv:1: '\.\./x' cannot name a split"),
        ("a,\n", "cannot name a split"),
    ],
)
def test_wrong_assignments(path: Path, content: str, message: str) -> None:
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_assignment(path)


def test_a_row_that_is_there_twice_is_one(path: Path) -> None:
    path.write_text("a,1,train\na,1,train\n")
    assert read_assignment(path) == {"a": (1, "train")}


def test_ids_count_in_their_composed_form(path: Path) -> None:
    path.write_text("o\u0308,train\n")  # as macOS names files
    assert read_assignment(path) == {"\u00f6": (None, "train")}


def test_both_values_of_an_id_are_named(path: Path) -> None:
    path.write_text("a,0,train\n\na,0,val\n")
    with pytest.raises(InputError, match=r"a\.csv:3: a has 0,val, but 0,train in line 1"):
        read_assignment(path)


def test_lines_are_those_of_the_file(path: Path) -> None:
    path.write_text('"a\nb",1,train\n\n"c",x,train\n')
    with pytest.raises(InputError, match=r"a\.csv:4: class 'x'"):
        read_assignment(path)


def test_unreadable(path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_assignment(path)
    path.write_bytes(b"\xff\xff,1\n")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_assignment(path)
