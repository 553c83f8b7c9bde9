"""`pipeline clips` as a user calls it, on files made here."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.workspace.clip_list import read_clip_list
from shards.labels import read_classes


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clips(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["clips", *map(str, words), "--out", "clips.csv"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def test_the_list_is_relative_below_its_folder_and_absolute_elsewhere(here: Path) -> None:
    write(here, {"data/train/a/1.mp4": "1", "data/test/b/2.pose": "2"})
    code, output = clips("folders", "data", "--classes-out", "classes.csv")
    assert code == 0
    assert Path("clips.csv").read_text() == (
        "id,split,signer,label,color,keypoints\ntest_b_2,test,,1,,data/test/b/2.pose\ntrain_a_1,train,,0,data/train/a/1.mp4,\n"
    )
    assert read_classes(Path("classes.csv")) == ["a", "b"]
    assert output.endswith("clips.csv: 2 rows; classes.csv: 2 classes\n")
    Path("lists").mkdir()
    CliRunner().invoke(main, ["clips", "folders", "data", "--out", "lists/clips.csv"])
    assert read_clip_list(Path("lists/clips.csv")).samples[1].color == str(here / "data/train/a/1.mp4")
    assert f",{here}/data" in Path("lists/clips.csv").read_text()


LISTED = {
    "train_greek_iso.csv": "a_signer1_glosses/1|X\na_signer1_glosses/2|Y\n",
    "test_greek_iso.csv": "a_signer1_glosses/3|X\n",
    "iso_classes.csv": "X\nY\n",
    "a_signer1_glosses/1/0.jpg": "picture",
}


def test_a_quoted_glob_of_folders(here: Path) -> None:
    write(here, {"set1/001_001_001.mp4": "1", "set2/002_003_001.mp4": "2"})
    code, output = clips("lsa64", "set1", "set2")
    by_name = Path("clips.csv").read_text()
    assert (code, by_name.count(".mp4")) == (0, 2), output
    assert clips("lsa64", "set*")[0] == 0
    assert Path("clips.csv").read_text() == by_name
    code, output = clips("lsa64", "other*")
    assert (code, output) == (2, "Error: other*: names no file; give another pattern\n")


def test_missing_clips(here: Path) -> None:
    write(here, LISTED)
    code, output = clips("gsl", ".")
    assert (code, len(read_clip_list(Path("clips.csv")).samples)) == (0, 3)
    assert "warning: 2 of 3 clips are missing, e.g. " in output
    code, output = clips("gsl", ".", "--missing", "skip")
    assert (code, [row.label for row in read_clip_list(Path("clips.csv")).samples]) == (0, [0])
    Path("clips.csv").unlink()
    code, output = clips("gsl", ".", "--missing", "fail")
    assert (code, Path("clips.csv").exists()) == (2, False)
    assert output.startswith("Error: 2 of 3 clips are missing, e.g. ")
    Path("a_signer1_glosses/1/0.jpg").unlink()
    code, output = clips("gsl", ".", "--missing", "skip")
    assert (code, "give the folder of the clips as one of the paths" in output) == (2, True)


def test_the_report(here: Path) -> None:
    files = {
        "train/a/s1/1.mp4": "same",
        "test/a/s1/1.mp4": "same",
        "train/b/s2/1.mp4": "x",
        "train/b/s2/1.txt": "",
        "train/b/s2/e.mp4": "",
    }
    write(here, {f"data/{name}": content for name, content in files.items()})
    code, output = clips("folders", "data")
    warnings = [line.removeprefix("warning: ") for line in output.splitlines() if line.startswith("warning: ")]
    data = here / "data"
    assert (code, warnings) == (
        0,
        [
            f"1 files matched nothing, e.g. {data}/train/b/s2/1.txt",
            f"1 files are empty, e.g. {data}/train/b/s2/e.mp4",
            "1 files are clips of several splits or classes, e.g. "
            f"{data}/test/a/s1/1.mp4 = {data}/train/a/s1/1.mp4 (test class 0, train class 0)",
            "1 classes have no test clip, e.g. b",
            "1 signers are in several splits, e.g. s1 (test, train)",
        ],
    )
    assert "4 clips: test 1, train 3; 2 of 2 classes; 2 signers known" in output


def test_parts_of_one_video_in_two_splits_are_told_where_they_overlap(here: Path) -> None:
    def record(start: float, end: float) -> str:
        url = "youtu.be/PWGruSSI30c"
        return (
            f'[{{"url": "{url}", "start_time": {start}, "end_time": {end}, "label": 0, "text": "a", "signer_id": 1}}]'
        )

    write(here, {"MSASL_classes.json": '["a"]', "MSASL_train.json": record(0, 2), "MSASL_test.json": record(2, 4)})
    assert "several splits or classes" not in clips("msasl", ".")[1]
    write(here, {"MSASL_test.json": record(1.9, 4)})
    assert "1 files are clips of several splits or classes" in clips("msasl", ".")[1]
    write(here, {"MSASL_test.json": record(4, 4)})
    output = clips("msasl", ".")[1]
    assert "1 clips end before they begin: left out, e.g. test_0" in output
    assert "1 clips: train 1" in output


def test_assigned_splits(here: Path) -> None:
    write(here, {"data/a/1.mp4": "1", "data/a/2.mp4": "2", "split.csv": "a_1,train\na_3,test\n"})
    _, output = clips("folders", "data", "--assign", "split.csv")
    assert [row.split for row in read_clip_list(Path("clips.csv")).samples] == ["train", "all"]
    assert "1 ids in split.csv name no clip, e.g. a_3" in output
    assert "1 clips have no split, e.g. a_2" in output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("folders", "nowhere"), "nowhere: no such file or folder"),
        (("lsa64", "data"), "data: no clip of lsa64 in it, e.g. "),
        (("lsa64", "data/list.csv"), "data/list.csv: is a file; give the folder of the clips"),
        (("lsa64", "data", "--pattern", "{label}"), "--pattern goes with the layout folders, not with lsa64"),
        (("folders", "data", "--classes-out", "clips.csv"), "clips.csv: has another part in this command"),
        (("folders", "data", "--assign", "clips.csv"), "clips.csv: has another part in this command"),
        (("folders", "data", "--classes-out", "none/classes.csv"), "none/classes.csv: its folder does not exist"),
        (("folders", "data", "--pattern", "{split}/{label}"), "'-a' cannot name a split"),
    ],
)
def test_wrong_command_lines(here: Path, words: tuple[str, ...], fault: str) -> None:
    write(here, {"data/-a/1.mp4": "", "data/list.csv": "", "clips.csv": "x,train\n"})
    code, output = clips(*words)
    assert (code, output.splitlines()[-1].startswith("Error: ")) == (2, True), output
    assert fault in output
    assert Path("clips.csv").read_text() == "x,train\n"


def test_names_of_other_bytes_are_left_out(here: Path) -> None:
    write(here, {"data/a/1.mp4": "1"})
    Path("data/a/\udcff.mp4").write_text("2")
    code, output = clips("folders", "data")
    assert (code, "1 clips have a path that is not UTF-8: left out" in output) == (0, True)
    assert len(read_clip_list(Path("clips.csv")).samples) == 1
