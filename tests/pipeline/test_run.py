"""What a second run does again: exactly what depends on what has changed."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.data.clip_making import make_clip
from helpers.processes.pipeline_runs import digests

from pipeline.cli import main
from pipeline.workspace.ledger import read_ledger_rows, write_ledger_table
from shards.format.dataset import read_dataset

IDS = [f"signer{n % 2 if n < 4 else 2}_sample{n}" for n in range(6)]


@pytest.fixture
def data(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the clips, their keypoints and labels that a test may change."""
    shutil.copytree(tiny, tmp_path / "data")
    return tmp_path / "data"


def run(data: Path, work: Path, *more: str) -> tuple[int, dict[str, tuple[int, int]], str]:
    """The exit status, per stage how many were done before and how many are to do, and what was said."""
    options = ["--work", str(work), "--keypoints", str(data / "kp"), "--jobs", "1", "--samples-per-shard", "3"]
    result = CliRunner().invoke(main, ["run", "--data", str(data / "mp4"), *options, *more])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    plans = re.findall(r"^(\w+): (\d+) done, (\d+) to do", result.output, re.MULTILINE)
    return result.exit_code, {stage: (int(done), int(todo)) for stage, done, todo in plans}, result.output


RESULTS = ("keypoints", "poseflow", "handcrops")
NOTHING = dict.fromkeys(("frames", "keypoints", "poseflow", "handcrops"), (6, 0))


def labels(data: Path) -> list[str]:
    return ["--labels", str(data / "labels.csv")]


def new_color(data: Path, ffmpeg: str) -> None:
    make_clip(ffmpeg, data / "mp4" / "train" / f"{IDS[1]}_color.mp4", 21, "162x120")
    make_clip(ffmpeg, data / "mp4" / "train" / f"{IDS[1]}_depth.mp4", 21, "162x120", gray=True)


def new_depth(data: Path, ffmpeg: str) -> None:
    path = data / "mp4" / "train" / f"{IDS[1]}_depth.mp4"
    mirrored = path.with_name("mirrored.mp4")
    subprocess.run([ffmpeg, "-loglevel", "error", "-i", str(path), "-vf", "hflip", str(mirrored)], check=True)
    mirrored.replace(path)


def new_keypoints(data: Path, ffmpeg: str) -> None:
    """One frame's file, in place."""
    path = data / "kp" / "train" / f"{IDS[1]}_color.kp" / f"{IDS[1]}_color_{4:012d}_keypoints.json"
    with path.open("r+") as file:
        content = file.read().replace("0.9", "0.8")
        file.seek(0)
        file.write(content)


def new_label(data: Path, ffmpeg: str) -> None:
    path = data / "labels.csv"
    path.write_text(path.read_text().replace(f"{IDS[1]},1", f"{IDS[1]},2"))


def new_split(data: Path, ffmpeg: str) -> None:
    path = data / "labels.csv"
    path.write_text(path.read_text().replace(f"{IDS[1]},1,train", f"{IDS[1]},1,val"))


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        (new_color, ("frames", "keypoints", "poseflow", "handcrops")),
        (new_depth, ("frames", "handcrops")),
        (new_keypoints, ("keypoints", "poseflow", "handcrops")),
        (new_label, ()),
        (new_split, ()),
    ],
)
def test_a_changed_input_redoes_what_depends_on_it(
    tiny: Path, tiny_work: Path, data: Path, ffmpeg: str, tmp_path: Path, change: Callable, redone: tuple[str, ...]
) -> None:
    work, fresh = tmp_path / "work", tmp_path / "fresh"
    assert run(data, work, *labels(data))[0] == 0
    assert digests(work) == digests(tiny_work)
    change(data, ffmpeg)
    code, plans, said = run(data, work, *labels(data))
    assert (code, plans) == (0, NOTHING | dict.fromkeys(redone, (5, 1)))
    assert said.count("1 to do (1 changed since)") == len(redone)
    assert run(data, fresh, *labels(data))[0] == 0
    assert digests(work) == digests(fresh) != digests(tiny_work)
    assert run(data, work, *labels(data))[1] == NOTHING


def test_changed_settings_redo_what_depends_on_them(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    options = labels(data)
    assert run(data, work, *options)[0] == 0
    before = digests(work)
    changed = (6, 0), (0, 6)
    keep, redo = changed
    assert run(data, work, *options, "--quality", "80")[1] == NOTHING | {"handcrops": redo}
    reference = run(data, work, *options, "--recipe", "reference")
    assert reference[1] == NOTHING | {"poseflow": redo, "handcrops": redo}
    assert "poseflow: 0 done, 6 to do (6 changed since)" in reference[2]
    assert read_dataset(work / "shards").recipe.name == "reference"
    no_depth = run(data, work, *options, "--no-depth")
    assert no_depth[1] == {"frames": redo, "keypoints": keep, "poseflow": redo, "handcrops": redo}
    # What is needed only for the shards is done without the stages before.
    names = {"--samples-per-shard": "2", "--jobs": "2"}
    sized = run(data, work, *options, "--no-depth", *(word for pair in names.items() for word in pair))
    assert (sized[1], len(list((work / "shards").glob("train-*.tar")))) == (NOTHING, 2)
    assert run(data, work, *options)[0] == 0
    assert digests(work) == before


def test_removed_clips_leave_the_shards_and_may_come_back(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run(data, work, *labels(data))[0] == 0
    before = digests(work)
    gone = [path for number in (4, 5) for path in (data / "mp4").glob(f"*/{IDS[number]}_*")]
    for path in gone:
        path.rename(path.with_suffix(".away"))
    code, plans, said = run(data, work, *labels(data))
    assert (code, "labels.csv: 2 ids name no clip, e.g. signer2_sample4" in said) == (3, True)
    assert plans == dict.fromkeys(NOTHING, (4, 0))
    assert read_dataset(work / "shards").splits.keys() == {"train"}
    assert not list((work / "shards").glob("val*"))
    for path in gone:
        path.with_suffix(".away").rename(path)
    code, plans, _ = run(data, work, *labels(data))
    assert (code, plans) == (0, dict.fromkeys(NOTHING, (6, 0)))
    assert digests(work) == before


def test_lost_and_damaged_results_are_made_again(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run(data, work)[0] == 0
    before = digests(work)
    (work / "keypoints" / f"{IDS[0]}.npy").unlink()
    (work / "poseflow" / f"{IDS[1]}.npy").write_bytes(b"")
    os.truncate(work / "handcrops" / f"{IDS[2]}.tar", 100)
    (work / "shards" / "val-000.tar").unlink()
    code, plans, said = run(data, work)
    assert code == 0
    assert plans == NOTHING | dict.fromkeys(("keypoints", "poseflow", "handcrops"), (5, 1))
    assert said.count("1 to do (1 with a lost result)") == 3
    assert digests(work) == before


@pytest.mark.parametrize("name", ["dataset.json", "train.parquet", "val.parquet"])
@pytest.mark.parametrize("damage", ["gone", "changed", "nothing"])
def test_an_index_is_written_again_where_it_is_not_as_it_was(
    data: Path, tmp_path: Path, name: str, damage: str
) -> None:
    work = tmp_path / "work"
    assert run(data, work)[0] == 0
    path, before = work / "shards" / name, digests(work)
    file = path.stat().st_ino
    if damage == "gone":
        path.unlink()
    elif damage == "changed":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert run(data, work)[:2] == (0, NOTHING)
    assert digests(work) == before
    if damage == "nothing":
        assert path.stat().st_ino == file


def test_other_settings_of_the_set_are_written_where_no_shard_changes(data: Path, tmp_path: Path) -> None:
    work, names = tmp_path / "work", tmp_path / "classes.csv"
    for word in ("book", "lamp"):
        names.write_text(f"ClassId,NAME\n0,{word}\n1,b\n2,c\n")
        code, _, said = run(data, work, *labels(data), "--classes", str(names))
        assert code == 0, said
        assert read_dataset(work / "shards").classes[0] == word


def test_stages_may_be_run_one_by_one(data: Path, tmp_path: Path, tiny_work: Path) -> None:
    work, options = tmp_path / "work", labels(data)
    code, _, said = run(data, work, *options, "--stage", "handcrops")
    waiting = (
        "none of 6 clips, e.g. signer0_sample0, has come through frames with these options; run --stage frames first"
    )
    assert (code, said.splitlines()[-1]) == (2, f"Error: handcrops: {waiting}")
    code, _, said = run(data, work, *options, "--stage", "shards")
    assert (code, "6 clips, e.g. signer0_sample0, have no hand crops yet; run the earlier stages first" in said) == (
        2,
        True,
    )
    for stage in ("frames", "keypoints", "poseflow", "handcrops", "shards"):
        code, plans, _ = run(data, work, *options, "--stage", stage)
        assert (code, plans) == (0, {} if stage == "shards" else {stage: (0, 6)})
    assert digests(work) == digests(tiny_work)


def test_a_stage_that_has_some_clips_lets_the_others_wait(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run(data, work, "--stage", "frames", "--stage", "keypoints")[0] == 0
    (data / "mp4" / "train" / f"{IDS[1]}_color.mp4").touch()
    code, _, said = run(data, work, "--stage", "poseflow")
    assert (code, "poseflow       5    5       0        1" in said) == (0, True), said


def test_a_stage_whose_clips_have_all_failed_has_nothing_to_do(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for path in data.glob("kp/*/*/*"):
        path.write_text('{"people": []}')
    assert run(data, work, "--stage", "frames", "--stage", "keypoints")[0] == 3
    code, plans, said = run(data, work, "--stage", "poseflow")
    assert (code, plans) == (0, {"poseflow": (0, 0)}), said


def test_a_clip_that_fails_later_leaves_the_shards(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run(data, work)[0] == 0
    for path in (data / "kp" / "train" / f"{IDS[1]}_color.kp").iterdir():
        path.write_text('{"people": []}')
    code, _, said = run(data, work)
    assert code == 3
    assert f"failed: {IDS[1]} (keypoints): " in said
    assert "no person in any of 21 frames" in said
    assert sum(shard.samples for shard in read_dataset(work / "shards").splits["train"]) == 3


def test_a_dangling_link_among_keypoints_is_that_clips_failure(data: Path, tmp_path: Path) -> None:
    path = next((data / "kp" / "train" / f"{IDS[1]}_color.kp").iterdir())
    path.unlink()
    path.symlink_to("gone")
    code, _, said = run(data, tmp_path / "work", "--stage", "frames", "--stage", "keypoints")
    assert (code, "keypoints      5    5       1        0" in said) == (3, True), said
    (line,) = [line for line in said.splitlines() if line.startswith(f"failed: {IDS[1]} (keypoints): ")]
    assert str(path) in line, line


def test_keypoints_in_a_folder_whose_name_is_not_utf8(data: Path, tmp_path: Path) -> None:
    shutil.rmtree(data / "kp" / "train" / f"{IDS[1]}_color.kp")
    folder = (data / "kp").rename(data / "kp\udcff")
    code, _, said = run(
        data, tmp_path / "work", "--keypoints", str(folder), "--stage", "frames", "--stage", "keypoints"
    )
    assert (code, "keypoints      5    5       1        0" in said) == (3, True), said
    assert rf"kp\udcff: no keypoints of {IDS[1]} in it" in said


def test_the_shards_alone_name_the_clips_that_failed_before(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for path in (data / "kp" / "train" / f"{IDS[1]}_color.kp").iterdir():
        path.write_text('{"people": []}')
    for stage in NOTHING:
        assert run(data, work, "--stage", stage)[0] == (3 if stage == "keypoints" else 0)
    code, plans, said = run(data, work, "--stage", "shards")
    assert (code, plans) == (3, {})
    assert f"failed: {IDS[1]} (keypoints): " in said
    assert "keypoints      5    0       1        0\nshards         2    2       0        0\n" in said


def test_a_result_of_other_settings_that_no_ledger_tells_of_is_made_again(data: Path, tmp_path: Path) -> None:
    work, other = tmp_path / "work", tmp_path / "other"
    result = Path("poseflow") / f"{IDS[1]}.npy"
    assert run(data, work)[0] == 0
    before = (work / result).read_bytes()
    assert run(data, other, "--recipe", "reference")[0] == 0
    # As when a driver with the other settings is killed after a worker's renaming and before its row.
    shutil.copy(other / result, work / result)
    assert (work / result).read_bytes() != before
    assert (work / result).stat().st_size == len(before)
    code, plans, said = run(data, work)
    assert (code, plans) == (0, NOTHING | {"poseflow": (5, 1)})
    assert "1 to do (1 with a lost result)" in said
    assert (work / result).read_bytes() == before
    assert run(data, work)[1] == NOTHING


@pytest.mark.parametrize("keypoints", ["kp", "kp.tar.bz2"])
def test_every_stage_knows_its_files_again(data: Path, tmp_path: Path, keypoints: str) -> None:
    work, options = tmp_path / "work", ["--keypoints", str(data / keypoints)]
    assert run(data, work, *options)[0] == 0
    assert run(data, work, *options)[1] == NOTHING
    for path in work.glob(f"*/{IDS[2]}.*"):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(path, ns=(0, 1))
    assert run(data, work, *options)[1] == NOTHING | dict.fromkeys(("keypoints", "poseflow", "handcrops"), (5, 1))


def test_a_workspace_copied_without_its_times_is_known_by_its_bytes(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run(data, work)[0] == 0
    times = {path: path.stat().st_mtime_ns for path in work.glob("*/*.*") if path.parent.name in RESULTS}
    assert len(times) == len(RESULTS) * len(IDS)
    for path in times:
        os.utime(path, ns=(0, 1))
    assert run(data, work)[1] == NOTHING
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_ledger_without_mtimes_still_counts(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run(data, work)[0] == 0
    for stage in (*RESULTS, "shards"):
        rows = read_ledger_rows(work / "ledger", stage)
        assert all(row.facts.pop("mtime_ns") for row in rows.values())
        write_ledger_table(work / "ledger" / f"{stage}.parquet", rows.values())
    before = {path: path.stat().st_ino for path in work.glob("shards/*.tar")}
    assert run(data, work)[1] == NOTHING
    assert {path: path.stat().st_ino for path in work.glob("shards/*.tar")} == before


def test_a_folder_that_the_shards_cannot_have_is_refused_before_any_work(data: Path, tmp_path: Path) -> None:
    work, theirs = tmp_path / "work", tmp_path / "theirs"
    shutil.copytree(data / "mp4", theirs)
    (theirs / "mine.tar").touch()
    for folder, said in (
        (work, "keeps other files there"),
        (theirs, "holds mine.tar, which this workspace's ledger does not know"),
    ):
        code, plans, output = run(data, work, "--shards", str(folder))
        assert (code, plans, said in output) == (2, {}, True), output
    assert (work / "manifest.parquet").is_file()
    assert (theirs / "mine.tar").is_file()


def test_a_csv_without_rows_leaves_the_workspace_as_it_is(data: Path, tmp_path: Path) -> None:
    work, empty = tmp_path / "work", tmp_path / "empty.csv"
    assert run(data, work)[0] == 0
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    empty.write_text("id,split,signer,label,color\n")
    for options in ([], labels(data)):
        code, plans, said = run(data, work, "--data", str(empty), *options)
        assert (code, plans, "empty.csv: has no rows" in said) == (2, {}, True), said
    assert {path: path.read_bytes() for path in work.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("stage", RESULTS)
def test_a_link_that_leads_nowhere_is_a_lost_result(data: Path, tmp_path: Path, stage: str) -> None:
    work = tmp_path / "work"
    assert run(data, work)[0] == 0
    before = digests(work)
    path = next((work / stage).glob(f"{IDS[1]}.*"))
    path.unlink()
    path.symlink_to("gone")
    code, plans, said = run(data, work)
    assert (code, plans) == (0, NOTHING | {stage: (5, 1)}), said
    assert not path.is_symlink()
    assert digests(work) == before


def test_names_with_braces(data: Path, tmp_path: Path) -> None:
    work, shards = tmp_path / "{work}", tmp_path / "out{a,b}"
    (data / "mp4").rename(data / "mp{4,5}")
    code, _, said = run(data, work, *labels(data), "--data", str(data / "mp{4,5}"), "--shards", str(shards))
    assert code == 0, said
    assert {split: len(found) for split, found in read_dataset(shards).splits.items()} == {"train": 2, "val": 1}


@pytest.mark.parametrize("stage", ["keypoints", "poseflow"])
@pytest.mark.parametrize("place", [61, -3])  # in the header, in the last value
def test_bad_bytes_under_an_old_time_fail_the_clip_and_are_made_again(
    data: Path, tmp_path: Path, stage: str, place: int
) -> None:
    work = tmp_path / "work"
    assert run(data, work)[0] == 0
    before = digests(work)
    path = work / stage / f"{IDS[1]}.npy"
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[place] ^= 64
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    reader = "poseflow" if stage == "keypoints" else "handcrops"
    for result in (work / reader).iterdir():
        result.unlink()
    code, _, said = run(data, work)
    assert code == 3
    assert f"failed: {IDS[1]} ({reader}): {path}: damaged since it was written" in said
    assert run(data, work)[:2][0] == 0
    assert digests(work) == before
    assert run(data, work)[1] == NOTHING
