"""Real lists of data sets give what was computed from them by other means (`expected_*.csv` of the corpus)."""

import csv
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.data.clip_making import SHARED

from pipeline.cli import main
from pipeline.workspace.clip import Sample
from pipeline.workspace.clip_list import read_clip_list
from shards.labels import read_classes


@pytest.fixture
def formats() -> Path:
    folder = SHARED / "data" / "formats"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: people's lists are not part of the project")
    return folder


def clips(out: Path, layout: str, *paths: object) -> tuple[dict[str, Sample], list[str], str]:
    """The clips by id, the classes, and what the command said."""
    words = [layout, *paths, "--out", out / "clips.csv", "--classes-out", out / "classes.csv"]
    result = CliRunner().invoke(main, ["clips", *map(str, words)])
    assert result.exit_code == 0, result.output
    samples = read_clip_list(out / "clips.csv").samples
    return {one.id: one for one in samples}, read_classes(out / "classes.csv"), result.output


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def compare(found: dict[str, Sample], classes: list[str], folder: Path, *, color: bool = True) -> None:
    """Every sample and class of the expected lists, and no sample more."""
    expected = read_csv(folder / "expected_samples.csv")
    assert len(expected) == len(found)
    for sample in expected:
        clip = found[sample["id"]]
        assert clip.split == (sample["split"] or "all")
        assert (clip.signer, str(clip.label)) == (sample["signer"], sample["label"])
        assert not color or clip.color.endswith("/" + sample["color"])
    for row in read_csv(folder / "expected_classes.csv"):
        assert classes[int(row["ClassId"])] == row["NAME"]


def touch(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("layout", "folder"),
    [("asl-citizen", "asl_citizen"), ("include", "include"), ("slr500", "slr500"), ("gsl", "gsl_isolated")],
)
def test_lists(formats: Path, tmp_path: Path, layout: str, folder: str) -> None:
    found, classes, output = clips(tmp_path, layout, formats / folder)
    compare(found, classes, formats / folder)
    assert f"{len(found):,} of {len(found):,} clips are missing" in output


def test_wlasl(formats: Path, tmp_path: Path) -> None:
    folder = formats / "wlasl"
    found, classes, _ = clips(tmp_path, "wlasl", folder)
    compare(found, classes, folder)
    for sample in read_csv(folder / "expected_samples.csv"):
        first, last = int(sample["frame_start"]), int(sample["frame_end"])
        clip = found[sample["id"]]
        assert clip.start == (None if (first, last) == (1, -1) else (first - 1) / 25)
        assert clip.end == (None if last == -1 else last / 25)


def test_wlasl_subset(formats: Path, tmp_path: Path) -> None:
    folder = formats / "wlasl"
    found, classes, _ = clips(tmp_path, "wlasl", folder / "asl100_first20.json", folder / "nslt_100_first20.json")
    assert len(found) == 460
    for sample in read_csv(folder / "expected_samples.csv"):
        assert found[sample["id"]].label == int(sample["nslt"].split()[0])
    assert classes == [row["NAME"] for row in read_csv(folder / "expected_classes.csv")[:20]]


def test_msasl(formats: Path, tmp_path: Path) -> None:
    found, classes, _ = clips(tmp_path, "msasl", formats / "msasl")
    compare(found, classes, formats / "msasl", color=False)  # the list has addresses
    for sample in read_csv(formats / "msasl" / "expected_samples.csv"):
        clip = found[sample["id"]]
        assert (clip.start, clip.end) == (float(sample["start_time"]), float(sample["end_time"]))
        assert Path(clip.color).stem == sample["color"].split("v=")[1][:11]
    assert len({clip.color for clip in found.values()}) == 213


def test_lsa64(formats: Path, tmp_path: Path) -> None:
    folder = formats / "lsa64"
    touch(tmp_path / "all", (folder / "listing.txt").read_text().split())
    found, classes, output = clips(tmp_path, "lsa64", tmp_path / "all", folder / "lsa64_signs.md")
    compare(found, classes, folder)
    assert "of the 3,200 clips of LSA64 3,100 are not there, e.g. 001_010_005" in output
    assert len(classes) == 64


@pytest.mark.parametrize("table", ["KARSL-502_Labels.xlsx", "KARSL-502_Labels.json"])
def test_karsl(formats: Path, tmp_path: Path, table: str) -> None:
    folder = formats / "karsl"
    video, pictures = (folder / "names_seen.txt").read_text().splitlines()
    touch(tmp_path / "karsl", [video, *(f"{pictures}/{number}.jpg" for number in range(3))])
    found, classes, _ = clips(tmp_path, "karsl", tmp_path / "karsl", folder / table)
    compare(found, classes, folder)
    assert [classes.count(name) for name in ("nephew", "thermometer")] == [2, 2]


def test_gislr(formats: Path, tmp_path: Path) -> None:
    data = tmp_path / "asl-signs"
    shutil.copytree(formats / "gislr_parquet", data)
    shutil.copy(data / "train_rows_seen.csv", data / "train.csv")
    (data / "train_rows_seen.csv").unlink()
    touch(data, ["train_landmark_files/26734/1000035562.parquet"])
    found, classes, output = clips(tmp_path, "gislr", data)
    assert len(found) == 5
    assert "4 of 5 clips are missing" in output
    clip = found["1000035562"]
    assert (clip.signer, clip.split, classes[clip.label], clip.color) == ("26734", "train", "blow", None)
    assert clip.keypoints == str(data / "train_landmark_files/26734/1000035562.parquet")


def test_karsl_clips_by_a_pattern(tmp_path: Path) -> None:
    data = SHARED / "data" / "karsl-clips"
    if not data.is_dir():
        pytest.skip(f"{data} is not here: real clips are not part of the project")
    found, classes, output = clips(tmp_path, "folders", data, "--pattern", "{split}/{signer}_{rep}_{label}")
    assert [row.split for row in found.values()].count("train") == 31
    assert len(found) == 62
    assert classes == [f"{sign:04}" for sign in range(1, 32)]
    assert "1 signers are in several splits, e.g. 01 (test, train)" in output


def test_krsl20_by_a_pattern(formats: Path, tmp_path: Path) -> None:
    samples = read_csv(formats / "krsl20" / "krsl20_v1.csv")
    touch(tmp_path / "KRSL", [sample["relative_path"] for sample in samples])
    found, classes, _ = clips(
        tmp_path, "folders", tmp_path / "KRSL", "--pattern", "_{group}/{signer}_{label} ({take:d})"
    )
    assert {
        (clip.color.removeprefix(f"{tmp_path}/KRSL/"), clip.signer, classes[clip.label]) for clip in found.values()
    } == {(sample["relative_path"], sample["signer_id"], sample["label"]) for sample in samples}


def test_autsl(tmp_path: Path, autsl_mini: Path, autsl_labels: Path) -> None:
    tables = [autsl_labels / "train_labels.csv", autsl_labels / "val_labels.csv"]
    found, classes, _ = clips(
        tmp_path, "autsl", autsl_mini / "mp4", *tables, autsl_labels / "SignList_ClassId_TR_EN.csv"
    )
    assert len(found) == 24
    assert classes[:2] == ["sister", "hurry"]
    labels = dict(line.split(",") for table in tables for line in table.read_text().split())
    for clip in found.values():
        assert str(clip.label) == labels[clip.id]
        assert clip.depth.endswith(f"/{clip.split}/{clip.id}_depth.mp4")
