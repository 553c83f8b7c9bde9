"""Locks between processes."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.workspace.lock import workspace_lock
from pipeline.workspace.part import Part
from shards.errors import InputError

HOLD = """
import sys
from pathlib import Path
from pipeline.workspace.lock import workspace_lock
from pipeline.workspace.part import parse_part
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
