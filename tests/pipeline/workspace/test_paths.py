"""Paths, folders, leftovers."""

from pathlib import Path

import pytest

from pipeline.workspace.paths import Workspace
from shards.errors import InputError


def test_create_makes_folders_and_keeps_what_is_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "a" / "work")
    workspace.create()
    workspace.keypoints("x").write_bytes(b"1")
    workspace.create()
    assert workspace.keypoints("x").read_bytes() == b"1"
    assert {path.name for path in workspace.root.iterdir()} == {"ledger", "keypoints", "poseflow", "handcrops"}
    assert {path.parent.parent for path in (workspace.poseflow("x"), workspace.handcrops("x"))} == {workspace.root}


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"work\\udcff': its name is not UTF-8; rename it, or give another --work"):
        Workspace(tmp_path / "work\udcff").create()
    assert not list(tmp_path.iterdir())


def test_leftovers_of_a_killed_run_go(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.create()
    kept = [workspace.manifest, workspace.handcrops("a"), tmp_path / "keypoints" / ".hidden", tmp_path / "x.tmp"]
    gone = [folder / ".a.npy.0123456789ab.tmp" for folder in (tmp_path, tmp_path / "ledger", tmp_path / "handcrops")]
    for path in (*kept, *gone):
        path.touch()
    workspace.remove_leftovers()
    assert [path.exists() for path in (*kept, *gone)] == [True] * len(kept) + [False] * len(gone)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("x")
    with pytest.raises(InputError, match=r"work/ledger: cannot be written \(Not a directory\); give another --work"):
        Workspace(tmp_path / "work").create()
