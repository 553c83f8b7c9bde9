from pathlib import Path

import pytest

from shards.errors import InputError
from shards.names import is_split_name, signer_of, signer_order
from shards.tables import read_assignment, read_classes, read_labels, write_assignment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


def test_labels_with_and_without_splits_windows_lines_and_a_mark(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfsigner0_sample1,41\r\n\r\n b , 0 \r\n")
    assert read_labels(path) == {"signer0_sample1": (41, None), "b": (0, None)}
    path.write_text("a,1,train\nb,2,val\n")
    assert read_labels(path) == {"a": (1, "train"), "b": (2, "val")}
    assert read_assignment(path) == {"a": "train", "b": "val"}


def test_assignment_with_and_without_header(path: Path) -> None:
    for header in ("", "id,split\n"):
        path.write_text(f"{header}a,train\nb,dev\n")
        assert read_assignment(path) == {"a": "train", "b": "dev"}
    path.write_text("a,train\nid,split\n")
    assert read_assignment(path) == {"a": "train", "id": "split"}


def test_assignment_round_trip(path: Path) -> None:
    rows = [("işaret 1", "train"), ('a"b,c', "val")]
    write_assignment(path, rows)
    assert read_assignment(path) == dict(rows)
    assert path.read_bytes().count(b"\r") == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\nb\0,b\n", "NUL"),
        ("", "no rows"),
        ("a\n", r"a\.csv:1: expected"),
        ("a,b,c,d\n", r"a\.csv:1: expected"),
        ("a,train\na,val\n", r"a\.csv:2: a is further up"),
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
    assert read_labels(path) == {"a": (1, "train")}


@pytest.mark.parametrize(
    "content",
    ["", "a\n", "a,x\n", "a,-1\n", "a,1.5\n", "id,class\n", "a,²\n", "a,1\na,2\n", "a,1,x\na,1,y\n", "a,1,-x\n"],
)
def test_wrong_labels(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(InputError, match=r"a\.csv"):
        read_labels(path)


def test_unreadable(path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_labels(path)
    path.write_bytes(b"\xff\xff,1\n")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_labels(path)


def test_signers_and_split_names() -> None:
    assert [signer_of(key) for key in ("signer12_sample3", "signer1_sample2_x", "x", "signer_sample1")] == [
        "12",
        "",
        "",
        "",
    ]
    assert [is_split_name(name) for name in ("train", "", "a/b", "a.b", "-x", "\udcff")] == [True] + [False] * 5


def test_signers_are_sorted_by_number() -> None:
    signers = ["²", "10", "anna", "9", "", "٣", "1" * 5000]
    assert sorted(signers, key=signer_order) == ["٣", "9", "10", "", "1" * 5000, "anna", "²"]


def test_autsl(autsl_labels):
    names = read_classes(autsl_labels / "SignList_ClassId_TR_EN.csv")
    assert len(names) == 226
    assert (names[0], names[225]) == ("sister", "difficult")


def test_without_an_english_column_the_second_counts(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text("ClassId,TR\n1,zor\n0,abla\n")
    assert read_classes(path) == ["abla", "zor"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0,abla\n",
        "ClassId\n0\n",
        "ClassId,EN\n0,a\n2,b\n",
        "ClassId,EN\n0\n",
        "ClassId,EN\nx,a\n",
        "ClassId,EN\n0,a\n0,b\n",
    ],
)
def test_wrong_files(tmp_path, text):
    path = tmp_path / "classes.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"classes\.csv"):
        read_classes(path)
