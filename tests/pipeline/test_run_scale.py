"""A workspace of AUTSL's size in which everything is done. The clips are empty files, the results small ones."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers.processes.pipeline_runs import ROOT, command, fake_openpose

from pipeline.pose.estimators import OpenPose
from pipeline.pose.source import KeypointSource
from pipeline.run_stages import RunSettings
from pipeline.workspace.clip import Clip
from pipeline.workspace.fingerprint import stamp
from pipeline.workspace.ledger import write_ledger_table
from pipeline.workspace.manifest import read_data
from pipeline.workspace.paths import STAGES, Workspace
from pipeline.workspace.result import named, write_result
from pipeline.workspace.row import DONE, LedgerRow, Made
from shards.format.sample import MEMBERS
from shards.format.tar import pack

AUTSL = {"train": 28_142, "val": 4_418, "test": 3_742}


class Used(NamedTuple):
    status: int
    seconds: float  # of CPU time, which other programs on the machine hardly change
    megabytes: float  # the most that was resident
    output: str


# What a process has resident counts for what it starts, until it calls exec: after tests with torch pytest has a
# gigabyte, so that this small process starts the command.
LAUNCH = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stderr=subprocess.STDOUT)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(status)
"""


def measure(arguments: list[str]) -> Used:
    """Run a command and see what it takes."""
    launched = [sys.executable, "-c", LAUNCH, *arguments]
    done = subprocess.run(launched, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    output, _, used = done.stdout.rstrip().rpartition("\n")
    seconds, kilobytes = used.split()
    return Used(done.returncode, float(seconds), int(kilobytes) / 1024, f"{output}\n")


def generate(folder: Path, counts: dict[str, int]) -> Path:
    """A manifest CSV and its clips: empty files, since nobody will open them."""
    (folder / "clips").mkdir()
    with (folder / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "split", "signer", "label", "color", "depth"])
        splits = [split for split, count in counts.items() for _ in range(count)]
        for number, split in enumerate(splits):
            name = f"signer{number % 43}_sample{number}"
            videos = [f"clips/{name}_color.mp4", f"clips/{name}_depth.mp4"]
            for video in videos:
                (folder / video).touch()
            rows.writerow([name, split, number % 43, number % 226, *videos])
    return folder / "clips.csv"


def pretend_finished(data: Path, work: Path, openpose: Path) -> None:
    """Ledgers and result files as if all clips had come through the first four stages.

    The fingerprints are those that the stages themselves compute; the result files are small, and only the samples'
    tars are in their real form, since the shards stage copies them.
    """
    workspace = Workspace(work)
    workspace.create()
    estimator = OpenPose(str(openpose), None, ())
    source = KeypointSource(estimator.name, [estimator.name, estimator.version], estimator)
    clips = [Clip(sample, stamp(sample.color), stamp(sample.depth)) for sample in read_data(data).samples]
    members = dict.fromkeys(set(MEMBERS) - {"json"}, b"x" * 300) | {"json": b'{"fps":30.0}'}
    for stage in RunSettings(workspace, STAGES, source, []).clip_stages():
        rows = []
        for clip in clips:
            clip.fingerprints[stage.name] = stage.fingerprint(clip)
            made = Made({"frames": 60, "width": 512, "height": 512, "fps": 30.0})
            if stage.name == "handcrops":
                packed = pack(clip.id, members)
                facts: dict[str, Any] = {"guessed": [0, 0], "missing": [0, 0], "frames": 60, "json_start": 1}
                facts |= {"extent": packed.extent, "places": packed.places}
                made = write_result(stage.result(clip.id), packed.data, facts)
            elif stage.suffix:
                made = write_result(stage.result(clip.id), clip.id.encode(), {})  # of two equal ones, one is a copy
            row = LedgerRow(clip.id, DONE, clip.fingerprints[stage.name], 1.0, made.bytes, facts=made.facts)
            rows.append(named(replace(row, temporary=made.temporary), stage.result(clip.id)))
            stage.found(clip, rows[-1])
        write_ledger_table(workspace.ledgers / f"{stage.name}.parquet", rows)


def check(folder: Path, counts: dict[str, int]) -> tuple[Used, Used, Used, Used]:
    """Make the shards, then run with nothing to do, `status`, and `status --json`."""
    data, openpose, total = generate(folder, counts), fake_openpose(folder), sum(counts.values())
    pretend_finished(data, folder / "work", openpose)
    run = [*command(data, folder / "work", "--openpose-bin", str(openpose), "--jobs", "1")]
    first, second = measure(run), measure(run)
    assert (first.status, second.status) == (0, 0), first.output
    for stage in STAGES[:-1]:
        assert f"{stage}: {total} done, 0 to do\n" in first.output
        assert f"{stage}: {total} done, 0 to do\n" in second.output
    shards = sum(-(-count // 256) for count in counts.values())
    assert ["shards", str(shards), str(shards), "0", "0"] in [line.split() for line in first.output.splitlines()]
    assert ["shards", str(shards), "0", "0", "0"] in [line.split() for line in second.output.splitlines()]
    status = [sys.executable, "-m", "pipeline.cli", "status", "--work", str(folder / "work")]
    table, listing = measure(status), measure([*status, "--json"])
    assert ["handcrops", str(total), "0", "0"] in [line.split()[:4] for line in table.output.splitlines()]
    assert f'"done": {total}' in listing.output
    return first, second, table, listing


def test_a_small_one(tmp_path: Path) -> None:
    check(tmp_path, {"train": 300, "val": 20, "test": 5})


@pytest.mark.slow
def test_autsl_has_nothing_to_do(tmp_path: Path) -> None:
    first, second, table, listing = check(tmp_path, AUTSL)
    for name, used in (("with shards to make", first), ("nothing to do", second), ("status", table), ("json", listing)):
        print(f"{name}: {used.seconds:.2f} s, {used.megabytes:.0f} MB")
    # The aims are 5 s, 500 MB and 2 s on an idle machine; where others work, too, caches are shared.
    assert second.seconds < 30
    assert second.megabytes < 500
    assert table.seconds < 15
