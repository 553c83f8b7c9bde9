import os
from pathlib import Path

import pytest
from helpers.data.clip_making import SHARED

from pipeline.workspace.clip import Sample
from pipeline.workspace.clip_list import read_clip_list
from shards.errors import InputError

HEADER = "id,split,signer,label,color"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clips.csv"


def test_every_column_in_any_order(path: Path, tmp_path: Path) -> None:
    path.write_text(
        "note,end,START,keypoints,depth,color,label,signer,split,id\n"
        '"two\nlines",2.5,1,k/a.npy,a_d.mkv,a.mp4,3,anna,train,a\n'
        ",,,/else/b.pose,,,,,,b\n"
    )
    assert read_clip_list(path).samples == [
        Sample("a", "train", "anna", 3, f"{tmp_path}/a.mp4", f"{tmp_path}/a_d.mkv", f"{tmp_path}/k/a.npy", 1.0, 2.5),
        Sample("b", "all", "", None, None, None, "/else/b.pose", None, None),
    ]


def test_labels_that_are_names(path: Path) -> None:
    path.write_text(f"{HEADER}\na,train,,book,a.mp4\nb,train,,Apple,b.mp4\nc,test,,,c.mp4\n")
    found = read_clip_list(path)
    assert ([row.label for row in found.samples], found.classes) == ([1, 0, None], ["Apple", "book"])
    found = read_clip_list(path, ["x", "book", "Apple"])
    assert ([row.label for row in found.samples], found.classes) == ([1, 2, None], ["x", "book", "Apple"])


def test_paths_and_ids_in_other_unicode_forms(path: Path, tmp_path: Path) -> None:
    (tmp_path / "o\u0308.mp4").touch()
    path.write_text(f"{HEADER}\no\u0308,train,,0,\u00f6.mp4\n")
    row = read_clip_list(path).samples[0]
    assert (row.id, row.color) == ("\u00f6", str(tmp_path / "o\u0308.mp4"))


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("", "has no rows"),
        ("ok,train,x,0,a.mp4\nx/y,train,x,0,a.mp4\n", "clips.csv:3: column id: an id cannot contain '/' ('x/y')"),
        ("a,train,,0,a.mp4\na,test,,0,b.mp4\n", "clips.csv:3: column id: a is in line 2 already"),
        ("\u00f6,train,,0,a.mp4\no\u0308,test,,0,b.mp4\n", "is in line 2 already"),
        (",train,,0,a.mp4\n", "clips.csv:2: column id"),
        ("a,tr/ain,,0,a.mp4\n", "clips.csv:2: column split: 'tr/ain' cannot name a split"),
        ("a,train,,0,\n", "clips.csv:2: column color: empty; a clip needs a video or keypoints"),
        ("a,train,nan,0,a.mp4\n", "clips.csv:2: column signer: nan is pandas' word for nothing"),
        ("a,train,,hello,a.mp4\nb,train,,nan,b.mp4\n", "clips.csv:3: class 'nan' is pandas' word for nothing"),
        ("a,train,,1234567,a.mp4\n", "clips.csv:2: class '1234567' is larger than 999999"),
        ("a,train,,0\n", "clips.csv:2: 4 columns where the header has 5"),
        ('"a\n",train,,0,a.mp4\nb,train,,-1,b.mp4\n', "clips.csv:4: class '-1'"),
    ],
)
def test_wrong_rows(path: Path, rows: str, fault: str) -> None:
    path.write_text(f"{HEADER}\n{rows}")
    with pytest.raises(InputError) as error:
        read_clip_list(path)
    assert fault in str(error.value)


def test_depth_without_color(path: Path) -> None:
    path.write_text(f"{HEADER},depth,keypoints\na,train,,0,,a_d.mkv,a.npy\n")
    with pytest.raises(InputError, match=r"clips.csv:2: column depth: goes with a color video"):
        read_clip_list(path)


@pytest.mark.parametrize(
    ("start", "end", "fault"),
    [
        ("x", "2", "column start: 'x' is no number of seconds"),
        ("-1", "2", "column start: '-1'"),
        ("1", "nan", "column end: nan"),
        ("1", "inf", "column end: 'inf'"),
        ('"1,5"', "2", "column start: '1,5' is no number of seconds from 0 up, as in 1.5"),
        ("2", "2", "column end: 2 is not after start"),
        ("", "0", "column end: 0 is not after start"),
    ],
)
def test_wrong_seconds(path: Path, start: str, end: str, fault: str) -> None:
    path.write_text(f"{HEADER},start,end\na,train,,0,a.mp4,{start},{end}\n")
    with pytest.raises(InputError) as error:
        read_clip_list(path)
    assert f"clips.csv:2: {fault}" in str(error.value)


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        (
            "wlasl-columns/data.csv",
            "column frame_start: a part of a video is named by the columns start,end",
        ),
        ("csv-dialects/d-semicolon.csv", "its columns are separated by semicolons"),
        ("csv-dialects/d-json.csv", "is JSON, not CSV"),
        ("csv-dialects/d-pandas-nan.csv", "d-pandas-nan.csv:2: column signer: nan"),
        ("csv-dialects/train.zip", "is a zip archive"),
        ("csv-dialects/bom-crlf.csv", "no column id"),
        ("csv-wrong-id/data.csv", "data.csv:3: column id"),
        ("csv-wrong-id/twice.csv", "twice.csv:3: column id: a is in line 2 already"),
        ("huge-class-id/seven.csv", "seven.csv:2: class '1234567' is larger than 999999"),
    ],
)
def test_cases_that_are_refused(case: str, fault: str) -> None:
    with pytest.raises(InputError) as error:
        read_clip_list(shared_case(case))
    assert fault in str(error.value)


@pytest.mark.parametrize("name", ["d-order.csv", "d-upper.csv", "d-quoted-spaces.csv", "d-pandas-index.csv"])
def test_cases_that_are_read(name: str) -> None:
    row = read_clip_list(shared_case(f"csv-dialects/{name}")).samples[0]
    assert (row.id, row.split, row.signer, row.label) == ("00335", "train", "a", 0)
    assert os.path.exists(row.color)  # noqa: PTH110


def test_a_folder_of_pictures_is_a_color(tmp_path: Path) -> None:
    row = read_clip_list(shared_case("frames-folder/data.csv")).samples[0]
    assert Path(row.color).is_dir()


def shared_case(name: str) -> Path:
    path = SHARED / "cases" / name
    if not path.is_file():
        pytest.skip(f"{path} is not here: the cases are not part of the project")
    return path
