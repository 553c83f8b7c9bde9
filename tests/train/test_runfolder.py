from pathlib import Path

import pytest

from shards.errors import InputError
from train import runfolder
from train.runfolder import keep_last, open_folder, prepare_folder


def test_the_last_checkpoint_is_kept_without_a_copy(tmp_path):
    keep_last(tmp_path)  # nothing yet
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "last.pt").write_text("1")
    keep_last(tmp_path)
    assert (tmp_path / "previous.pt").samefile(tmp_path / "last.pt")
    keep_last(tmp_path)  # a run that was killed before it wrote the next
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt"}


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "last.pt").write_text("1")
    keep_last(tmp_path)
    assert not (tmp_path / "previous.pt").samefile(tmp_path / "last.pt")
    assert (tmp_path / "previous.pt").read_text() == "1"


def test_a_run_killed_before_its_first_checkpoint_starts_anew(tmp_path):
    prepare_folder(tmp_path / "run", {"command": "first"})
    (tmp_path / "run" / ".last.pt.0123.tmp").write_text("half")
    assert open_folder(tmp_path / "run", resume=True) is None
    assert open_folder(tmp_path / "run", resume=False) is None
    prepare_folder(tmp_path / "run", {"command": "second"})
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.json"}
    assert "second" in (tmp_path / "run" / "config.json").read_text()


def test_a_run_that_goes_on_keeps_its_description(tmp_path):
    prepare_folder(tmp_path, {"command": "first"})
    (tmp_path / "last.pt").write_text("1")
    prepare_folder(tmp_path, {"command": "second"})
    assert "first" in (tmp_path / "config.json").read_text()


def test_only_a_previous_checkpoint_is_not_overwritten(tmp_path):
    (tmp_path / "previous.pt").write_text("1")
    with pytest.raises(InputError, match="holds a run already"):
        open_folder(tmp_path, resume=False)


def test_without_git_there_is_no_state_of_the_source(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runfolder._git_state() is None
