from pathlib import Path

import pytest

from shards.csv_files import read_cells, read_columns
from shards.errors import InputError


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"\xef\xbb\xbfa,1\r\n\r\n b , 2 \r\n", [(1, ["a", "1"]), (3, ["b", "2"])]),
        ("a,1\rb,2", [(1, ["a", "1"]), (2, ["b", "2"])]),
        ('"a\n",1\nb,2\n', [(1, ["a", "1"]), (3, ["b", "2"])]),
        ('"a", "b, c"\n', [(1, ["a", "b, c"])]),
        ("sep=,\na,1\n", [(2, ["a", "1"])]),
        (",,\n\na;b,1\n", [(3, ["a;b", "1"])]),
        ("<unk>\n[noise]\n", [(1, ["<unk>"]), (2, ["[noise]"])]),
        ("[[noise]],1\n", [(1, ["[[noise]]", "1"])]),
        ("{sic},1\n", [(1, ["{sic}", "1"])]),
        ("", []),
    ],
)
def test_cells(path: Path, content: bytes | str, rows: list[tuple[int, list[str]]]) -> None:
    assert read_cells(write(path, content)) == rows


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a;1\nb;2\n", "a.csv:1: its columns are separated by semicolons; save it with commas"),
        ("sep=;\na;1\n", "a.csv:1: its columns are separated by semicolons"),
        ("\na\t1\n", "a.csv:2: its columns are separated by tabs"),
        ("folder|gloss\n", "separated by bars"),
        ("a,1\nb,2,öğ".encode("cp1254"), "a.csv:2: column 3: cannot be read as CSV: byte 0xf6 is no UTF-8"),
        ("a,1\n".encode("utf-16"), "its text is UTF-16; save it as CSV in UTF-8"),
        ("a,1\n".encode("utf-16-le"), "its text is UTF-16"),
        (b"a,1\nb\0,1\n", "a.csv:2: holds a NUL byte"),
        (b"PK\x03\x04\x00\x00", "is a zip archive or an Excel workbook"),
        (b"\x1f\x8b\x08\x00", "is compressed by gzip"),
        (b"PAR1\x15\x04", "is a Parquet file"),
        ("\n<!DOCTYPE html>\n", "is a web page"),
        ("\ufeff<HTML>", "is a web page"),
        ('<?xml version="1.0"?>', "is a web page or XML"),
        ('[{"gloss": "book"}]', "is JSON"),
        ('{\n "gloss": 1}', "is JSON"),
        ('[\n "book",\n "cup"]', "is JSON"),
        ("version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ('a,1\nb,"2\nc,3\n', "a.csv:2: cannot be read as CSV"),
    ],
)
def test_what_is_no_csv_is_named(path: Path, content: bytes | str, fault: str) -> None:
    with pytest.raises(InputError) as error:
        read_cells(write(path, content))
    assert fault in str(error.value)


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_cells(path)


def test_columns_in_any_order_and_among_others(path: Path) -> None:
    write(path, ',Label,"ID",x,x,Depth\n0,3,"a\nb",,,\n1,4,c,,,d,\n')
    first, second = read_columns(path, ["id", "label"], ["depth", "keypoints"])
    assert (first.line, first["id"], first["label"], first.get("depth"), first.get("keypoints")) == (
        2,
        "a\nb",
        "3",
        "",
        "",
    )
    assert (second.line, second.cells) == (4, {"id": "c", "label": "4", "depth": "d"})
    assert str(second.error("id", "is odd")) == f"{path}:4: column id: is odd"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is empty; its first line must name the columns id"),
        ("name,start,end\na,1,2\n", "a.csv:1: no column id; the first line names name,start,end"),
        ("id,ID\na,b\n", "a.csv:1: two columns id"),
        ("id,b\na\n", "a.csv:2: 1 columns where the header has 2"),
        ("id,b\na,b,c\n", "a.csv:2: 3 columns where the header has 2"),
        ("id,frame_start\na,2\n", "a.csv:1: column frame_start: a part of a video is named by the columns start,end"),
        ("id,end_ms\na,2\n", "column end_ms"),
    ],
)
def test_wrong_columns(path: Path, content: str, fault: str) -> None:
    write(path, content)
    with pytest.raises(InputError) as error:
        list(read_columns(path, ["id"], ["start", "end"]))
    assert fault in str(error.value)


def test_other_ranges_may_stand_beside_start_and_end(path: Path) -> None:
    write(path, "id,start,end,frame_start,gender\na,1,2,30,x\n")
    assert [row.cells for row in read_columns(path, ["id"], ["start", "end"])] == [
        {"id": "a", "start": "1", "end": "2"}
    ]
