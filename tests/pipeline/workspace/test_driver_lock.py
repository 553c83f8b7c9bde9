"""Locks between processes, and which part holds which clip."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.workspace.driver_lock import Part, parse_part, workspace_lock
from shards.errors import InputError

HOLD = """
import sys
from pathlib import Path
from pipeline.workspace.driver_lock import parse_part, workspace_lock
with workspace_lock(Path(sys.argv[1]), parse_part(sys.argv[2]) if sys.argv[2] else None):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path, part: str = "") -> subprocess.Popen:
    """Another process that holds the lock until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), part], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_driver_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        who = f"process {first.pid} on {socket.gethostname()} works on this workspace"
        for part in (None, Part(1, 2)):
            with pytest.raises(InputError, match=who), workspace_lock(tmp_path, part):
                pass
        first.stdin.close()
        first.wait(10)
        with workspace_lock(tmp_path, None):
            pass


def test_a_killed_driver_holds_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        first.kill()
        first.wait(10)
    again = pytest.raises(InputError, match="another run of this process")
    with workspace_lock(tmp_path, None), again, workspace_lock(tmp_path, None):
        pass
    with workspace_lock(tmp_path, None):
        pass


def test_parts_work_side_by_side_but_not_twice_nor_with_a_whole_run(tmp_path: Path) -> None:
    with holder(tmp_path, "1/3") as first:
        with workspace_lock(tmp_path, Part(2, 3)):
            pass
        same = pytest.raises(InputError, match=rf"process {first.pid} .* works on part-1-of-3")
        with same, workspace_lock(tmp_path, Part(1, 3)):
            pass
        whole = pytest.raises(InputError, match="a part of a job array works on this workspace")
        with whole, workspace_lock(tmp_path, None):
            pass
        first.stdin.close()


def test_what_a_killed_driver_signed_is_not_laid_on_parts(tmp_path: Path) -> None:
    with holder(tmp_path) as whole:
        whole.kill()
    with holder(tmp_path, "1/2") as part:
        with pytest.raises(InputError, match="a part of a job array"), workspace_lock(tmp_path, None):
            pass
        part.stdin.close()


def test_every_clip_is_in_exactly_one_part_of_about_the_same_size() -> None:
    ids = [f"signer{n % 43}_sample{n}" for n in range(4000)]
    parts = [[key for key in ids if Part(number, 8).holds(key)] for number in range(1, 9)]
    assert sorted(key for part in parts for key in part) == sorted(ids)
    assert all(420 <= len(part) <= 580 for part in parts)  # 500 ± 4 standard deviations


def test_a_clip_stays_in_its_part() -> None:
    # Written down: a part of an array that is started again, by a later version, must hold the same clips.
    ids = ("signer0_sample1", "signer0_sample2", "ä b")
    assert [[part for part in range(1, 9) if Part(part, 8).holds(key)] for key in ids] == [[3], [7], [5]]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "1/4/2", "-1/4", "1.0/4", "", "١/٤"])
def test_what_names_no_part_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="give I/N with I from 1 to N"):
        parse_part(text)


def test_names() -> None:
    assert parse_part("3/8") == Part(3, 8)
    assert Part(3, 8).name == "part-3-of-8"
