"""Folders of workers that were killed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.workers.scratch import remove_json_folders

_WORKER = "import os; from pipeline.scratch import json_folder; f = json_folder(); open(f.name + '/a.json', 'w'); "


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.mark.parametrize(("end", "left"), [("f.cleanup()", 0), ("os.kill(os.getpid(), 9)", 1)])
def test_the_driver_removes_what_a_killed_worker_left(temporary: Path, end: str, left: int) -> None:
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", _WORKER + end], cwd=root, timeout=60, check=False)
    assert len(list(temporary.glob("*/a.json"))) == left
    remove_json_folders()
    assert list(temporary.iterdir()) == []


def test_those_of_other_drivers_and_links_to_elsewhere_stay(temporary: Path) -> None:
    name, ours = os.uname().nodename, os.getpid()
    other, link, target = (
        temporary / f"signshards-{name}-{ours}0-a",
        temporary / f"signshards-{name}-{ours}-b",
        temporary / "c",
    )
    other.mkdir()
    target.mkdir()
    (target / "kept").touch()
    link.symlink_to(target)
    remove_json_folders()
    assert other.is_dir() and (target / "kept").exists()
