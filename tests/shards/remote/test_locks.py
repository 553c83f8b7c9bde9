"""Locks on the shards of a folder, between processes."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shards.errors import InputError
from shards.remote.locks import locks_of

HOLD = """
import sys
from pathlib import Path
from shards.remote.locks import locks_of
locks = locks_of(Path(sys.argv[1]))
print(getattr(locks, sys.argv[2])("a"), flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(folder: Path, how: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-c", HOLD, str(folder), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_many_share_and_one_owns(tmp_path: Path) -> None:
    locks = locks_of(tmp_path)
    with holder(tmp_path, "share"):
        assert not locks.own("a")
        assert locks.share("a")
        assert locks.own("b")
    with holder(tmp_path, "share"):  # ours is still held, with theirs
        pass
    locks.release("a")
    with holder(tmp_path, "own"):
        assert not locks.share("a")
        assert not locks.own("a")
    assert locks.own("a")  # it was killed


def test_a_process_does_not_take_from_itself(tmp_path: Path) -> None:
    assert locks_of(tmp_path).share("a")
    assert not locks_of(tmp_path / ".." / tmp_path.name).own("a")


def test_owner_becomes_one_who_shares(tmp_path: Path) -> None:
    assert locks_of(tmp_path).own("a")
    assert locks_of(tmp_path).share("a")
    with holder(tmp_path, "share"):
        pass


def test_a_child_has_none_and_takes_none(tmp_path: Path) -> None:
    assert locks_of(tmp_path).share("a")
    child = os.fork()
    if child == 0:
        os._exit(locks_of(tmp_path).own("a"))
    assert os.waitpid(child, 0)[1] == 0
    child = os.fork()
    if child == 0:
        os._exit(not locks_of(tmp_path).share("a"))
    assert os.waitpid(child, 0)[1] == 0
    other = [sys.executable, "-c", HOLD, str(tmp_path), "own"]
    assert subprocess.run(other, input="", capture_output=True, text=True).stdout == "False\n"


def test_a_folder_that_was_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    assert locks_of(folder).own("a")
    (folder / ".lock").unlink()
    assert locks_of(folder).own("a")
    other = [sys.executable, "-c", HOLD, str(folder), "own"]
    assert subprocess.run(other, input="", capture_output=True, text=True).stdout == "False\n"


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    with pytest.raises(InputError, match="no locks on this file system"):
        locks_of(tmp_path).share("a")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/.lock").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        locks_of(tmp_path / "cache")
    assert not (tmp_path / "other").exists()
