import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.data.shard_making import rewrite_index

from shards.commands.verify import verify
from shards.errors import InputError
from shards.format.dataset import read_dataset
from shards.format.index import read_index, write_index


def faults(folder: Path, full: bool = False) -> list[str]:
    return verify(folder, full, 1).faults


def row(folder: Path, number: int = 1) -> dict:
    return read_index(folder / "train.parquet").to_pylist()[number]


def cut(folder: Path, size: int) -> None:
    with (folder / "train-000.tar").open("r+b") as file:
        file.truncate(size)


def flip(folder: Path, byte: int) -> None:
    path = folder / "train-000.tar"
    data = bytearray(path.read_bytes())
    data[byte] ^= 4
    path.write_bytes(data)


def change_index(folder: Path, change: Callable[[list[dict]], object]) -> None:
    rows = read_index(folder / "train.parquet").to_pylist()
    change(rows)
    rewrite_index(folder, "train", rows)


def swap_shards(folder: Path) -> None:
    (folder / "train-000.tar").rename(folder / "x")
    (folder / "val-000.tar").rename(folder / "train-000.tar")
    (folder / "x").rename(folder / "val-000.tar")


@pytest.mark.parametrize("full", [False, True])
def test_good_sets(tiny_work: Path, tiny_reference_work: Path, full: bool) -> None:
    for work in (tiny_work, tiny_reference_work):
        report = verify(work / "shards", full, 1)
        assert report.faults == []
        size = sum(path.stat().st_size for path in (work / "shards").glob("*.tar"))
        assert (report.shards, report.samples, report.bytes) == (3, 6, size)


_QUICK = {
    "cut at a sample boundary": (lambda f: cut(f, row(f)["json_offset"] - 512), "train-000.tar"),
    "cut between members": (lambda f: cut(f, row(f)["flow_offset"] - 512), "train-000.tar"),
    "cut inside a member": (lambda f: cut(f, row(f)["flow_offset"] + 99), "train-000.tar"),
    "cut in the end of the archive": (lambda f: cut(f, (f / "train-000.tar").stat().st_size - 512), "train-000.tar"),
    "empty": (lambda f: cut(f, 0), "train-000.tar"),
    "bit in a header": (lambda f: flip(f, row(f)["flow_offset"] - 512 + 3), "train-000.tar"),
    "bit in a size field": (lambda f: flip(f, row(f)["flow_offset"] - 512 + 130), "train-000.tar"),
    "missing shard": (lambda f: (f / "train-001.tar").unlink(), "train-001.tar: missing"),
    "missing index": (lambda f: (f / "val.parquet").unlink(), "val.parquet"),
    "index that is none": (lambda f: (f / "val.parquet").write_text("x"), "val.parquet: cannot read"),
    "index of another split": (
        lambda f: shutil.copy(f / "val.parquet", f / "train.parquet"),
        "lists samples of val-000",
    ),
    "foreign tar": (
        lambda f: shutil.copy(f / "val-000.tar", f / "train-007.tar"),
        "train-007.tar: not in dataset.json",
    ),
    "swapped shards": (swap_shards, "train-000.tar: sample signer2_"),
    "other offset": (lambda f: change_index(f, lambda r: r[1].update(pose_offset=512)), "has pose_offset"),
    "other class": (lambda f: change_index(f, lambda r: r[0].update(label=99)), "has label"),
    "other signer": (lambda f: change_index(f, lambda r: r[0].update(signer="5")), "in the index 5"),
    "other frames": (lambda f: change_index(f, lambda r: r[0].update(frames=5)), "has frames"),
    "sample too few": (lambda f: change_index(f, lambda r: r.pop(2)), "3 samples, in the index 2"),
    "sample twice": (lambda f: change_index(f, lambda r: r.append(r[3])), "in the indexes 2 times"),
    "other order": (lambda f: change_index(f, lambda r: r.reverse()), "is the shard or the index of another run"),
}


@pytest.mark.parametrize(("damage", "message"), _QUICK.values(), ids=_QUICK)
def test_quick_check_finds(shards: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(shards)
    found = faults(shards)
    assert any(message in fault for fault in found)
    assert all("\n" not in fault and str(shards) in fault for fault in found)
    assert faults(shards, full=True)


def test_index_of_a_run_with_another_recipe(shards: Path, tiny_reference_work: Path) -> None:
    shutil.copy(tiny_reference_work / "shards" / "train.parquet", shards / "train.parquet")
    assert any("of another run" in fault for fault in faults(shards))


def test_shards_of_a_run_with_another_recipe(shards: Path, tiny_reference_work: Path) -> None:
    shutil.copy(tiny_reference_work / "shards" / "val-000.tar", shards / "val-000.tar")
    assert any("val-000.tar" in fault and "bytes" in fault for fault in faults(shards))


@pytest.mark.parametrize("member", ["left", "right_depth", "flow", "pose"])
def test_full_check_finds_a_bit_in_a_payload(shards: Path, member: str) -> None:
    flip(shards, row(shards)[f"{member}_offset"] + row(shards)[f"{member}_size"] // 2)
    assert faults(shards) == []  # that is what --full is for
    found = faults(shards, full=True)
    assert any("train-000.tar: its SHA-256" in fault for fault in found)


def test_full_check_finds_a_bit_in_the_padding(shards: Path) -> None:
    flip(shards, row(shards)["left_offset"] + row(shards)["left_size"])
    assert len(faults(shards, full=True)) == 1


def test_full_check_names_sample_and_member(shards: Path) -> None:
    data = bytearray((shards / "train-000.tar").read_bytes())
    where = row(shards)
    data[where["left_offset"] : where["left_offset"] + 2] = b"no"
    data[where["pose_offset"] + 128 : where["pose_offset"] + 132] = b"\xff" * 4  # a NaN
    (shards / "train-000.tar").write_bytes(data)
    found = faults(shards, full=True)
    assert f"{shards}/train-000.tar: {where['id']}: pose.npy has values that are not finite" in found
    assert any(f"{where['id']}: left.mjpg: the JPEG at byte 0 does not begin" in fault for fault in found)


def test_flood_of_faults_is_cut_short(shards: Path) -> None:
    data = bytearray((shards / "train-000.tar").read_bytes())
    where = row(shards)
    for offset in range(where["left_offset"], where["left_offset"] + where["left_size"] - 1):
        if data[offset : offset + 2] == b"\xff\xd8":
            data[offset] = 0
    (shards / "train-000.tar").write_bytes(data)
    found = faults(shards, full=True)
    assert len(found) == 11
    assert found[-1].endswith("more faults")


def test_workers_find_the_same(shards: Path) -> None:
    flip(shards, row(shards)["left_offset"] + 900)
    (shards / "train-001.tar").unlink()
    assert verify(shards, True, 2).faults == faults(shards, full=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [(rb'"frames":\d\d', b'"frames":""'), (b'"width":160', b'"width":"x"'), (rb'"label":\d', b'"label":x')],
)
def test_a_json_of_other_types_is_a_fault(shards: Path, old: bytes, new: bytes) -> None:
    path = shards / "train-000.tar"
    path.write_bytes(re.sub(old, new, path.read_bytes()))
    for full in (False, True):
        assert any(str(path) in fault for fault in faults(shards, full))


def test_classes_that_dataset_json_does_not_name(shards: Path) -> None:
    replace(read_dataset(shards), classes=["0", "1"]).write(shards)
    for full in (False, True):
        found = faults(shards, full)
        assert any("has class 2, but dataset.json names 2 classes" in fault for fault in found)
        assert all("\n" not in fault and str(shards) in fault for fault in found)


def test_what_macos_leaves_behind_is_no_fault(shards: Path) -> None:
    for path in list(shards.iterdir()):
        (shards / f"._{path.name}").write_bytes(b"\0\5\x16\7")
    assert faults(shards) == faults(shards, full=True) == []
    shutil.copy(shards / "val-000.tar", shards / "train-002.tar")
    assert any("train-002.tar: not in dataset.json" in fault for fault in faults(shards))


def test_control_characters_do_not_reach_the_terminal(run, shards: Path) -> None:
    """A set could otherwise write "all right" over its faults."""
    replace(read_dataset(shards), settings={"estimator": "\x1b[2J\x9b1mall right"}).write(shards)
    change_index(shards, lambda rows: rows[0].update(signer="\x1b[1A\rall right"))
    for command in (["list"], ["list", "--json"], ["verify"], ["verify", "--full"]):
        result = run(*command, shards)
        output = result.stdout + result.stderr
        assert all(line.isprintable() for line in output.splitlines())
        assert "all right" in output
        assert "\r" not in output
    assert run("verify", shards).exit_code == 3


def test_an_index_that_was_changed(run, shards: Path) -> None:
    """A signer is in no byte of a tar's headers: who reads the index alone sees nothing else of it."""
    rows = read_index(shards / "train.parquet").to_pylist()
    write_index(shards / "train.parquet", [rows[0] | {"signer": "9"}, *rows[1:]])
    first, second = faults(shards)
    assert "train.parquet: its SHA-256 is not that in dataset.json" in first
    assert "has signer 0, in the index 9" in second or "has signer 1, in the index 9" in second
    for command in (["list"], ["split", "--by", "sample", "--out", shards / "s.csv", "--shards"]):
        result = run(*command, shards)
        assert (result.exit_code, "SHA-256" in result.stderr) == (2, True)


def test_no_shard_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.json"):
        verify(tmp_path, False, 1)


def test_count_in_dataset_json(shards: Path) -> None:
    dataset = read_dataset(shards)
    first, second = dataset.splits["train"]
    replace(dataset, splits=dataset.splits | {"train": [replace(first, samples=4), second]}).write(shards)
    assert [shard.samples for shard in read_dataset(shards).splits["train"]] == [4, 1]
    assert any("3 samples, but dataset.json says 4" in fault for fault in faults(shards))


def test_samples_with_and_without_video(mixed: Path) -> None:
    assert faults(mixed) == faults(mixed, full=True) == []
    assert verify(mixed, True, 1).samples == 2


def test_some_shards_by_a_pattern(run, shards: Path) -> None:
    """What is wrong with the others, or lies beside them, is not looked at."""
    (shards / "val-000.tar").write_bytes(b"")
    (shards / "stranger-000.tar").write_bytes(b"")
    assert run("verify", shards).exit_code == 3
    result = run("verify", "--full", shards / "train-*.tar")
    assert result.exit_code == 0, result.output
    assert "2 shards, 4 samples" in result.stdout
    result = run("verify", shards / "*.tar")
    assert result.exit_code == 2
    assert "stranger-000.tar: not in dataset.json" in result.stderr
