import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main as pipeline
from shards.commands.verify import verify
from shards.format.assignment import write_assignment
from shards.format.dataset import read_dataset
from shards.format.index import read_index, scan_shard
from shards.format.sample import info_from_json
from shards.format.shardset import MemberReader, open_shards

# Stops for good in the middle of the second shard.
_HANG = """
import sys, time
from shards.commands import reshard
from shards.cli import main
original, seen = reshard._pieces, []
def pieces(*arguments):
    seen.append(arguments)
    if len(seen) == 4:
        print("ready", flush=True)
        time.sleep(600)
    return original(*arguments)
reshard._pieces = pieces
main(sys.argv[1:])
"""


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assignment(path: Path, splits: dict[str, str]) -> Path:
    write_assignment(path, splits.items())
    return path


def ids(folder: Path, split: str) -> set[str]:
    return set(read_index(folder / f"{split}.parquet")["id"].to_pylist())


@pytest.fixture
def source(tiny_work: Path):
    """The tiny shard set itself; checked to be as it was afterwards."""
    folder = tiny_work / "shards"
    before = hashes(folder)
    yield folder
    assert hashes(folder) == before


def test_new_splits_and_back_give_the_original_bytes(run, source: Path, tmp_path: Path, split_of) -> None:
    old = split_of(source)
    new = {key: "dev" if key.endswith(("1", "4")) else "rest" for key in old}
    there, back = tmp_path / "there", tmp_path / "back"
    result = run("reshard", "--shards", source, "--assign", assignment(tmp_path / "a.csv", new), "--out", there)
    assert result.exit_code == 0
    assert split_of(there) == new
    assert verify(there, True, 1).faults == []
    result = run(
        *("reshard", "--shards", there, "--assign", assignment(tmp_path / "b.csv", old)),
        *("--samples-per-shard", 3, "--out", back),
    )
    assert result.exit_code == 0
    assert hashes(back) == hashes(source)  # tars, indexes and dataset.json


def test_members_are_copied_byte_for_byte(run, source: Path, tmp_path: Path) -> None:
    run("reshard", "--shards", source, "--samples-per-shard", 1, "--out", tmp_path / "out")
    first, second = open_shards(str(source)), open_shards(str(tmp_path / "out"))
    assert len(second.paths) == 6
    place = {key: i for i, key in enumerate(second.ids.to_pylist())}
    readers = MemberReader(first), MemberReader(second)
    for i, key in enumerate(first.ids.to_pylist()):
        assert (first.labels[i], first.frames[i]) == (second.labels[place[key]], second.frames[place[key]])
        for member in range(7):
            assert readers[0].read(i, member) == readers[1].read(place[key], member)


def test_released_stage_file_serves_as_assignment(run, source: Path, tmp_path: Path, split_of) -> None:
    # Sample n of the tiny set has class n modulo 3.
    (tmp_path / "a.csv").write_bytes(b"".join(f"{key},{int(key[-1]) % 3},val\r\n".encode() for key in split_of(source)))
    assert run("reshard", "--shards", source, "--assign", tmp_path / "a.csv", "--out", tmp_path / "out").exit_code == 0
    assert list(read_dataset(tmp_path / "out").splits) == ["val"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("signer0_sample0,0\nsigner0_sample2,2\n", "a.csv:1: '0' is a class"),
        ("signer0_sample0,2,train\n", "signer0_sample0 has class 2, but 0 in"),
        ("signer0_sample0,train\nsigner0_sample0,val\n", "a.csv:2: signer0_sample0 has val, but train in line 1"),
    ],
)
def test_an_assignment_that_would_be_misread(run, source: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    result = run("reshard", "--shards", source, "--assign", tmp_path / "a.csv", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_splits_may_be_numbers_where_a_header_says_that_they_are_splits(run, source: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,split\nsigner0_sample0,0\nsigner0_sample2,1\n")
    assert run("reshard", "--shards", source, "--assign", tmp_path / "a.csv", "--out", tmp_path / "out").exit_code == 0
    assert list(read_dataset(tmp_path / "out").splits) == ["0", "1"]


def test_subset(run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("reshard", "--shards", source, "--signers", "0,2", "--classes", "0,2", "--out", out)
    assert result.exit_code == 0
    kept = {row for split in ("train", "val") if (out / f"{split}.parquet").exists() for row in ids(out, split)}
    # signer0: samples 0 (class 0) and 2 (class 2); signer2: 4 (class 1) and 5 (class 2)
    assert kept == {"signer0_sample0", "signer0_sample2", "signer2_sample5"}
    assert "3 of 6 samples are left out" in result.stderr
    assert read_dataset(out).classes == ["0", "1", "2"]  # classes keep their numbers
    assert verify(out, True, 1).faults == []


def test_merging_the_parts_gives_the_whole(run, source: Path, tmp_path: Path) -> None:
    for signers in ("0", "1,2"):
        run("reshard", "--shards", source, "--signers", signers, "--out", tmp_path / signers)
    result = run(
        *("reshard", "--shards", tmp_path / "0", "--shards", tmp_path / "1,2"),
        *("--samples-per-shard", 3, "--out", tmp_path / "all"),
    )
    assert result.exit_code == 0
    assert hashes(tmp_path / "all") == hashes(source)


def test_without_depth_is_what_the_pipeline_makes_without_depth(run, source: Path, tiny: Path, tmp_path: Path) -> None:
    arguments = ["run", "--data", tiny / "mp4", "--labels", tiny / "labels.csv", "--work", tmp_path / "work"]
    arguments += ["--pose", "import", "--keypoints", tiny / "kp", "--jobs", 1, "--samples-per-shard", 3, "--no-depth"]
    assert CliRunner().invoke(pipeline, list(map(str, arguments))).exit_code == 0
    out = tmp_path / "out"
    result = run("reshard", "--shards", source, "--drop", "depth", "--samples-per-shard", 3, "--out", out)
    assert result.exit_code == 0
    assert hashes(out) == hashes(tmp_path / "work" / "shards")


def test_without_pose_and_depth(run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("reshard", "--shards", source, "--drop", "depth", "--drop", "pose", "--out", out).exit_code == 0
    assert verify(out, True, 1).faults == []
    shards = open_shards(str(out))
    assert not shards.has("pose.npy").any()
    assert not shards.has("left_depth.mjpg").any()
    info = info_from_json(MemberReader(shards).read(0, 0))
    assert info.hands["left"].depth_jpegs is None


def test_without_pose_leaves_the_json_alone(run, source: Path, tmp_path: Path) -> None:
    run("reshard", "--shards", source, "--drop", "pose", "--samples-per-shard", 3, "--out", tmp_path / "out")
    first, second = open_shards(str(source)), open_shards(str(tmp_path / "out"))
    for sample in range(6):
        assert MemberReader(first).read(sample, 0) == MemberReader(second).read(sample, 0)
        assert MemberReader(first).read(sample, 4) == MemberReader(second).read(sample, 4)


def test_samples_without_video(run, mixed: Path, tmp_path: Path) -> None:
    """They are copied, and have no depth to drop."""
    for drop in ([], ["depth"], ["pose"]):
        out = tmp_path / "-".join(["out", *drop])
        arguments = [word for name in drop for word in ("--drop", name)]
        assert run("reshard", "--shards", mixed, *arguments, "--out", out).exit_code == 0
        assert verify(out, True, 1).faults == []
        found = open_shards(str(out))
        number = found.ids.to_pylist().index("signer0_keypoints")
        assert found.has("left.mjpg").tolist().count(False) == 1 and not found.has("left.mjpg")[number]
        first = open_shards(str(mixed))
        assert MemberReader(found).read(number, 0) == MemberReader(first).read(0, 0)


def test_killed_run_goes_on(run, source: Path, tmp_path: Path) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    arguments = ["reshard", "--shards", str(source), "--samples-per-shard", "2", "--jobs", "1", "--out"]
    command = [sys.executable, "-c", _HANG, *arguments, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        # Another thread notes the first shard while the second is written.
        end = time.monotonic() + 60
        while "train-000.tar" not in (out / ".reshard.jsonl").read_text() and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert [path.name for path in out.glob("*.tar")] == ["train-000.tar"]
    assert len(list(out.glob(".*.tmp"))) == 1
    assert not (out / "dataset.json").exists()
    before = (out / "train-000.tar").stat().st_mtime_ns
    result = run(*arguments, out)
    assert result.exit_code == 0
    assert "3 shards, 1 were there already" in result.stdout
    assert (out / "train-000.tar").stat().st_mtime_ns == before
    run(*arguments, fresh)
    assert hashes(out) == hashes(fresh)
    assert not list(out.glob(".*.tmp"))
    assert "3 shards, 3 were there already" in run(*arguments, out).stdout


def test_the_indexes_of_shards_that_are_kept_are_the_same(run, source: Path, tmp_path: Path) -> None:
    arguments = ["reshard", "--shards", source, "--drop", "depth", "--samples-per-shard", 2, "--out", tmp_path / "out"]
    run(*arguments)
    before = hashes(tmp_path / "out")
    for path in (tmp_path / "out").glob("*.parquet"):
        path.unlink()
    assert "3 shards, 3 were there already" in run(*arguments).stdout
    assert hashes(tmp_path / "out") == before


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("change", [damage, Path.unlink, lambda path: path.write_bytes(b"")])
def test_finished_shard_that_changed_is_made_again(run, source: Path, tmp_path: Path, change: Callable) -> None:
    out = tmp_path / "out"
    arguments = ["reshard", "--shards", source, "--samples-per-shard", 3, "--out", out]
    run(*arguments)
    change(out / "train-001.tar")
    assert "3 shards, 2 were there already" in run(*arguments).stdout
    assert hashes(out) == hashes(source)


def test_half_a_line_in_the_journal(run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["reshard", "--shards", source, "--samples-per-shard", 3, "--out", out]
    run(*arguments)
    journal = out / ".reshard.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    assert "3 shards, 2 were there already" in run(*arguments).stdout
    assert "3 shards, 3 were there already" in run(*arguments).stdout
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_other_plan_in_the_same_folder(run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("reshard", "--shards", source, "--out", out)
    before = hashes(out)
    result = run("reshard", "--shards", source, "--samples-per-shard", 2, "--out", out)
    assert result.exit_code == 2
    assert "with other options or sources was begun here" in result.stderr
    assert hashes(out) == before


@pytest.mark.parametrize("name", ["train-000.tar", "dataset.json", "train.parquet"])
def test_folder_with_something_in_it(run, source: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    result = run("reshard", "--shards", source, "--out", tmp_path)
    assert result.exit_code == 2
    assert f"holds {name} already" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_another_process_works_on(run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["reshard", "--shards", str(source), "--samples-per-shard", "2", "--jobs", "1", "--out", str(out)]
    with subprocess.Popen([sys.executable, "-c", _HANG, *arguments], stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        result = run(*arguments)
        process.kill()
    assert len(list(out.glob(".*.tmp"))) == 1
    assert result.exit_code == 2
    assert f"{out}/.lock: process {process.pid} on " in result.stderr
    assert "works on these shards" in result.stderr


def test_a_folder_whose_name_is_not_utf_8(run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out\udcff"
    result = run("reshard", "--shards", source, "--out", out)
    assert result.exit_code == 2
    assert "its name is not UTF-8; rename it, or give another --out" in result.stderr
    assert not out.exists()


def test_onto_itself(run, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    for out in (source, tmp_path / "link"):
        result = run("reshard", "--shards", source, "--out", out)
        assert result.exit_code == 2
        assert "one of the folders to be read" in result.stderr


def test_shards_that_are_not_what_the_index_says(run, shards: Path, tmp_path: Path) -> None:
    data = (shards / "train-000.tar").read_bytes()
    rows = scan_shard(shards / "train-000.tar")
    second = rows[1]["json_offset"] - 512
    # The same size, but the first sample is not there any more.
    (shards / "train-000.tar").write_bytes(data[second:] + bytes(second))
    result = run("reshard", "--shards", shards, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "is not where the index says" in result.stderr
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_json_that_cannot_be_changed(run, shards: Path, tmp_path: Path) -> None:
    data = bytearray((shards / "val-000.tar").read_bytes())
    data[scan_shard(shards / "val-000.tar")[0]["json_offset"]] = ord("x")
    (shards / "val-000.tar").write_bytes(data)
    result = run("reshard", "--shards", shards, "--drop", "depth", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "val-000.tar: the json of signer2_sample" in result.stderr


def test_notes_on_ids(run, source: Path, tmp_path: Path) -> None:
    path = assignment(tmp_path / "a.csv", {"signer0_sample0": "train", "signer0_sample2": "val", "absent": "val"})
    result = run("reshard", "--shards", source, "--assign", path, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "1 of its ids are not in the shards" in result.stderr
    assert "4 of 6 samples are left out" in result.stderr
    assert "warning: 1 signers are in several splits" in result.stderr


def test_names_that_lead_out_of_the_folder(run, shards: Path, tmp_path: Path) -> None:
    text = (shards / "dataset.json").read_text()
    (shards / "dataset.json").write_text(text.replace('"val"', '"../evil"'))
    before = sorted(tmp_path.rglob("*"))
    result = run("reshard", "--shards", shards, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "'../evil' cannot name a split" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_classes(run, source: Path, tmp_path: Path) -> None:
    result = run("reshard", "--shards", source, "--classes", "sister", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "'sister' is no class" in result.stderr
    assert not (tmp_path / "out").exists()
