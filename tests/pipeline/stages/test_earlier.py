"""Workspaces of earlier versions: made here by their rules, which are written out, from a workspace of today."""

import hashlib
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.data.clip_making import run_pipeline
from helpers.processes.pipeline_runs import digests

from pipeline.workspace.ledger import read_ledger_rows, write_ledger_table
from shards.format.dataset import read_dataset
from shards.format.tar import pack

RESULTS = ("keypoints", "poseflow", "handcrops")


def fingerprint(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def stamp(path: Path) -> list[int]:
    return [path.stat().st_size, path.stat().st_mtime_ns]


def age(work: Path, data: Path, archive: str = "", quirks: bool = False) -> None:
    """Make a workspace what the earlier version would have made of the same clips; `quirks`: of the reference."""
    ledgers = {stage: read_ledger_rows(work / "ledger", stage) for stage in (*RESULTS, "frames", "shards")}
    heads = {line.split(",")[0]: int(line.split(",")[1]) for line in (data / "labels.csv").read_text().splitlines()}
    contents = {}
    for key, label in heads.items():
        color = stamp(next((data / "mp4").glob(f"*/{key}_color.mp4")))
        source: list = ["import", ["import", [stamp(data / archive)]], None] if archive else ["import", "import"]
        if not archive:
            folder = next((data / "kp").glob(f"*/{key}_color.kp"))
            files = [stamp(path) for path in folder.iterdir()]
            newest = max(mtime for _, mtime in files)
            source.append([len(files), sum(size for size, _ in files), newest, stamp(folder)[1]])
        prints = {"frames": ledgers["frames"][key].fingerprint}
        prints["keypoints"] = fingerprint("keypoints", 1, [color, *source[1:]])
        prints["poseflow"] = fingerprint("poseflow", 1, [prints["keypoints"], quirks, quirks])
        upstream = [prints[stage] for stage in ("frames", "keypoints", "poseflow")]
        signer = key.removeprefix("signer").partition("_")[0]
        prints["handcrops"] = fingerprint("handcrops", 3, [upstream, [quirks] * 4, 95, signer, label])
        repack(work / "handcrops" / f"{key}.tar", key, {"id": key, "signer": signer, "label": label}, ledgers)
        facts = {name: ledgers["frames"][key].facts[name] for name in ("frames", "width", "height", "fps")}
        ledgers["frames"][key] = replace(ledgers["frames"][key], facts=facts)
        for stage in RESULTS:
            ledgers[stage][key] = replace(ledgers[stage][key], fingerprint=prints[stage])
        contents[key] = [key, prints["handcrops"], ledgers["handcrops"][key].facts["crc32"]]
    for path, row in ledgers["shards"].items():
        with tarfile.open(path) as tar:
            keys = dict.fromkeys(name.split(".")[0] for name in tar.getnames())
        shard = fingerprint(str(work / "shards"), [contents[key] for key in keys])
        ledgers["shards"][path] = replace(row, fingerprint=shard)
    for stage, rows in ledgers.items():
        write_ledger_table(work / "ledger" / f"{stage}.parquet", rows.values())


def repack(path: Path, key: str, head: dict, ledgers: dict) -> None:
    """Put the id, signer and label into a hand crops' tar, where they stood."""
    with tarfile.open(path) as tar:
        members = {member.name.partition(".")[2]: tar.extractfile(member).read() for member in tar}
    value = json.loads(members["json"])
    for track in value["hands"].values():
        track.pop("guessed", None)
    members["json"] = json.dumps(head | value, separators=(",", ":")).encode()
    packed = pack(key, members)
    path.write_bytes(packed.data)
    row = ledgers["handcrops"][key]
    facts = {"missing": row.facts["missing"], "extent": packed.extent, "places": packed.places}
    facts |= {"mtime_ns": path.stat().st_mtime_ns, "crc32": zlib.crc32(packed.data)}
    ledgers["handcrops"][key] = replace(row, facts=facts, bytes=len(packed.data))


@pytest.fixture
def data(tiny: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny, tmp_path / "data")
    return tmp_path / "data"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.out + captured.err


def contents(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_ino) for path in folder.glob("*/*.*") if "ledger" not in str(path)}


@pytest.mark.parametrize("archive", ["", "kp.tar.bz2"])
def test_what_an_earlier_version_made_is_taken_over_once(data: Path, tmp_path: Path, capsys, archive: str) -> None:
    work, more = tmp_path / "work", ("--samples-per-shard", "3", "--recipe", "reference")
    assert run_pipeline(data, work, *more, keypoints=archive or "kp") == 0
    age(work, data, archive, quirks=True)
    before = contents(work)
    capsys.readouterr()
    assert run_pipeline(data, work, *more, keypoints=archive or "kp") == 0
    output = said(capsys)
    # Keypoints of an archive have the fingerprint that they had.
    for stage, count in {"keypoints": 0 if archive else 6, "poseflow": 6, "handcrops": 6, "shards": 3}.items():
        assert (f"{stage}: {count} results of an earlier version are taken over as they are\n" in output) == (count > 0)
    assert output.count("6 done, 0 to do\n") == 4
    assert contents(work).keys() == before.keys()
    results = {path: found for path, found in before.items() if path.suffix in (".tar", ".npy")}
    assert results.items() <= contents(work).items()  # the very files
    assert run_pipeline(data, work, *more, keypoints=archive or "kp") == 0
    assert "taken over" not in said(capsys)


def test_shards_from_tars_with_the_old_json_are_the_same(data: Path, tiny_work: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert run_pipeline(data, work, "--samples-per-shard", "3") == 0
    age(work, data)
    for path in (work / "shards").iterdir():
        path.unlink()
    assert run_pipeline(data, work, "--samples-per-shard", "3") == 0
    assert digests(work) == digests(tiny_work)


def test_hands_that_are_cut_again_are_those_of_a_new_workspace(data: Path, tmp_path: Path) -> None:
    """Color and depth: that version knew only one count and size for both."""
    work, fresh = tmp_path / "work", tmp_path / "fresh"
    assert run_pipeline(data, work) == 0
    age(work, data)
    for folder in (work, fresh):
        assert run_pipeline(data, folder, "--quality", "80") == 0
    assert digests(work) == digests(fresh)
    with tarfile.open(work / "shards" / "train-000.tar") as tar:
        assert sum(name.endswith("left_depth.mjpg") for name in tar.getnames()) == 4


def test_a_label_that_was_corrected_meanwhile_cuts_nothing_again(data: Path, tmp_path: Path, capsys) -> None:
    work, fresh = tmp_path / "work", tmp_path / "fresh"
    assert run_pipeline(data, work) == 0
    age(work, data)
    labels = data / "labels.csv"
    labels.write_text(labels.read_text().replace("sample1,1,train", "sample1,2,val"))
    capsys.readouterr()
    blank_videos(data)
    assert run_pipeline(data, work) == 0
    assert "handcrops: 6 results of an earlier version do not say which hands were guessed" in said(capsys)
    restore_videos(data)
    assert run_pipeline(data, fresh) == 0
    assert digests(work) == digests(fresh)
    assert sum(shard.samples for shard in read_dataset(work / "shards").splits["val"]) == 3


def blank_videos(data: Path) -> None:
    """Make zeros of the videos, which keep size and mtime: who decodes one fails."""
    for path in data.glob("mp4/*/*.mp4"):
        before = path.stat()
        path.with_suffix(".kept").write_bytes(path.read_bytes())
        path.write_bytes(bytes(before.st_size))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def restore_videos(data: Path) -> None:
    for path in data.glob("mp4/*/*.kept"):
        times = path.with_suffix(".mp4").stat()
        path.replace(path.with_suffix(".mp4"))
        os.utime(path.with_suffix(".mp4"), ns=(times.st_atime_ns, times.st_mtime_ns))


def unmark(work: Path) -> None:
    """Make a workspace of today one of the version that did not keep which hands were guessed."""
    ledgers = {stage: read_ledger_rows(work / "ledger", stage) for stage in (*RESULTS, "frames")}
    for key, row in ledgers["handcrops"].items():
        upstream = [ledgers[stage][key].fingerprint for stage in ("frames", "keypoints", "poseflow")]
        files = [[ledgers[stage][key].bytes, ledgers[stage][key].facts["crc32"]] for stage in ("keypoints", "poseflow")]
        repack(work / "handcrops" / f"{key}.tar", key, {}, ledgers)
        facts = ledgers["handcrops"][key].facts | {"json_start": 1}
        made = fingerprint("handcrops", 4, [upstream, files, [False] * 4, 95])
        ledgers["handcrops"][key] = replace(ledgers["handcrops"][key], fingerprint=made, facts=facts)
        assert row.fingerprint != made
    write_ledger_table(work / "ledger" / "handcrops.parquet", ledgers["handcrops"].values())


def test_guesses_are_added_without_a_look_at_the_videos(data: Path, tiny_work: Path, tmp_path: Path, capsys) -> None:
    work, more = tmp_path / "work", ("--samples-per-shard", "3")
    assert run_pipeline(data, work, *more) == 0
    unmark(work)
    blank_videos(data)
    capsys.readouterr()
    assert run_pipeline(data, work, *more) == 0
    output = said(capsys)
    assert "handcrops: 6 results of an earlier version do not say which hands were guessed" in output
    assert "handcrops: 0 done, 6 to do (6 changed since)\n" in output
    assert digests(work) == digests(tiny_work)
    assert run_pipeline(data, work, *more) == 0
    assert "handcrops: 6 done, 0 to do\n" in said(capsys)


def test_a_damaged_tar_without_guesses_is_cut_again(data: Path, tiny_work: Path, tmp_path: Path) -> None:
    work, more = tmp_path / "work", ("--samples-per-shard", "3")
    assert run_pipeline(data, work, *more) == 0
    unmark(work)
    tar = work / "handcrops" / "signer1_sample1.tar"
    tar.write_bytes(bytes(tar.stat().st_size))
    assert run_pipeline(data, work, *more) == 0
    assert digests(work) == digests(tiny_work)


Change = Callable[[Path, Path], object]


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        (lambda data, work: os.utime(next(data.glob("mp4/*/signer1_sample1_color.mp4")), ns=(1, 1)), 4),
        (
            lambda data, work: os.utime(
                next(data.glob("kp/*/signer1_sample1_color.kp/*_000000000003_*")), ns=(1, 2**61)
            ),
            3,
        ),
        (lambda data, work: (work / "handcrops" / "signer1_sample1.tar").write_bytes(b"short"), 1),
    ],
)
def test_what_has_changed_meanwhile_is_made_again(
    data: Path, tmp_path: Path, capsys, change: Change, redone: int
) -> None:
    work, reference = tmp_path / "work", ("--recipe", "reference")
    assert run_pipeline(data, work, *reference) == 0
    age(work, data, quirks=True)
    change(data, work)
    capsys.readouterr()
    assert run_pipeline(data, work, *reference) == 0
    output = said(capsys)
    assert output.count("5 done, 1 to do (1 ") == redone, output
