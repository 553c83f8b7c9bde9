"""A lock on a file between processes; that of a workspace, made of these, has its own tests."""

import errno
import fcntl
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shards.errors import InputError
from shards.lock import file_lock

HOLD = """
import sys
from pathlib import Path
from shards.lock import file_lock
with file_lock(Path(sys.argv[1]), "this", shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path, how: str = "alone") -> subprocess.Popen:
    """Another process that holds the lock until its stdin ends."""
    command = [sys.executable, "-c", HOLD, str(path), how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def refused(path: Path, **how: object) -> str:
    with pytest.raises(InputError) as error, file_lock(path, "this folder", **how):
        pass
    return error.value.message


def test_one_at_a_time_and_the_next_is_told_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holder(path) as first:
        expected = (
            f"{path}: process {first.pid} on {socket.gethostname()} works on this folder; wait for its end, or stop it"
        )
        assert refused(path) == refused(path, shared=True) == expected
        first.kill()
    with file_lock(path, "this folder"):
        assert "another run of this process works on this folder" in refused(path)
    assert path.read_text() == ""


def test_who_shares_it_does_not_sign(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holder(path, "shared") as first:
        with file_lock(path, "this folder", shared=True):
            pass
        assert "another process works on this folder" in refused(path)
        assert "one of many works on this folder" in refused(path, unsigned="one of many")
        first.kill()


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch, capsys) -> None:
    def none(file: object, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    with file_lock(tmp_path / "a.lock", "this folder"):
        pass
    assert re.search(r"a\.lock: no locks on this file system; see that only one", capsys.readouterr().err)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), file_lock(tmp_path / "absent" / "a.lock", "this folder"):
        pass


def test_what_a_link_leads_to_is_neither_locked_nor_emptied(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("process of thought")
    (tmp_path / "a.lock").symlink_to("mine")
    with pytest.raises(OSError) as error, file_lock(tmp_path / "a.lock", "this folder"):
        pass
    assert error.value.filename == str(tmp_path / "a.lock")
    assert (tmp_path / "mine").read_text() == "process of thought"
    (tmp_path / "link").symlink_to(tmp_path)  # a folder may be reached through one
    with file_lock(tmp_path / "link" / "b.lock", "this folder"):
        assert "another run of this process" in refused(tmp_path / "b.lock")


def test_a_file_that_is_no_lock_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text("notes of mine")
    assert "a.lock: holds something else" in refused(tmp_path / "a.lock")
    assert (tmp_path / "a.lock").read_text() == "notes of mine"
    (tmp_path / "a.lock").write_text("process 1 on here")  # of a killed run
    with file_lock(tmp_path / "a.lock", "this folder"):
        pass
