import json
import subprocess
from pathlib import Path

import pytest
import torch

from shards.errors import InputError
from shards.files import write_whole
from train.fit import run_folder
from train.fit.run_folder import keep_last, lock_folder, open_folder, prepare_folder
from train.ranks.distributed import Ranks


def test_the_last_checkpoint_is_kept_without_a_copy(tmp_path):
    keep_last(tmp_path)  # nothing yet
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "last.pt").write_text("1")
    keep_last(tmp_path)
    assert (tmp_path / "previous.pt").samefile(tmp_path / "last.pt")
    keep_last(tmp_path)  # a run that was killed before it wrote the next
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt"}


def test_the_previous_checkpoint_is_another_file_where_the_last_is_a_link(tmp_path):
    (tmp_path / "last.pt").symlink_to(tmp_path / "elsewhere.pt")
    (tmp_path / "previous.pt").symlink_to("last.pt")  # as an earlier version left it
    for number in (1, 2):
        write_whole(tmp_path / "last.pt", b"%d" % number)
        keep_last(tmp_path)
    write_whole(tmp_path / "last.pt", b"3")
    assert ((tmp_path / "previous.pt").read_text(), (tmp_path / "elsewhere.pt").read_text()) == ("2", "3")


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "last.pt").write_text("1")
    keep_last(tmp_path)
    assert not (tmp_path / "previous.pt").samefile(tmp_path / "last.pt")
    assert (tmp_path / "previous.pt").read_text() == "1"


def test_no_room_for_a_copy_is_one_line(tmp_path, monkeypatch, full_disk):
    monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError("Operation not supported")))
    (tmp_path / "last.pt").write_bytes(bytes(2000))
    with full_disk(1000), pytest.raises(OSError, match=r"File too large: .*previous\.pt"):
        keep_last(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_run_killed_before_its_first_checkpoint_starts_anew(tmp_path):
    (tmp_path / "run").mkdir()
    prepare_folder(tmp_path / "run", {"command": "first"})
    (tmp_path / "run" / ".last.pt.0123456789ab.tmp").write_text("half")
    assert open_folder(tmp_path / "run", resume=True) is None
    assert open_folder(tmp_path / "run", resume=False) is None
    prepare_folder(tmp_path / "run", {"command": "second"})
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.json"}
    assert "second" in (tmp_path / "run" / "config.json").read_text()


def test_a_run_that_goes_on_has_its_present_description_and_keeps_the_first(tmp_path):
    prepare_folder(tmp_path, {"command": "begun"})
    (tmp_path / "last.pt").write_text("1")
    for command in ("second", "third"):
        prepare_folder(tmp_path, {"command": command})
        value = json.loads((tmp_path / "config.json").read_text())
        assert value == {"command": command, "first": {"command": "begun"}}
    (tmp_path / "config.json").write_text("half")
    with pytest.raises(InputError, match=r"config\.json"):
        prepare_folder(tmp_path, {"command": "fourth"})


def test_only_a_previous_checkpoint_is_not_overwritten(tmp_path):
    (tmp_path / "previous.pt").write_text("1")
    with pytest.raises(InputError, match="holds a run already"):
        open_folder(tmp_path, resume=False)


@pytest.mark.parametrize("name", ["best.pt", "epoch-0002.pt"])
def test_what_was_kept_of_a_run_is_not_overwritten(tmp_path, name):
    prepare_folder(tmp_path, {})
    (tmp_path / name).write_text("1")
    with pytest.raises(InputError, match=rf"holds a run's {name} already; give another --run-dir"):
        open_folder(tmp_path, resume=False)


def test_a_run_without_its_last_checkpoint_does_not_start_anew(tmp_path):
    prepare_folder(tmp_path, {})
    (tmp_path / "best.pt").write_text("1")
    with pytest.raises(InputError, match=r"last\.pt: missing; copy it back, or give another --run-dir"):
        open_folder(tmp_path, resume=True)
    (tmp_path / "epoch-0002.pt").write_text("2")
    (tmp_path / "epoch-0010.pt").write_text("10")
    with pytest.raises(InputError, match=r"missing; `cp \S+/epoch-0010\.pt \S+/last\.pt` goes on from there"):
        open_folder(tmp_path, resume=True)


def test_without_git_there_is_no_state_of_the_source(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_folder._git_state() is None


def test_the_state_of_a_checkout_that_the_environment_lies_in_is_not_ours(monkeypatch, tmp_path):
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--allow-empty", "-m", "first"], cwd=tmp_path, check=True)
    installed, checkout = (tmp_path / path / "train" / "fit" for path in ("environment", "."))
    for folder in (installed, checkout):
        folder.mkdir(parents=True)
    monkeypatch.setattr(run_folder, "__file__", str(installed / "run_folder.py"))
    assert run_folder._git_state() is None
    monkeypatch.setattr(run_folder, "__file__", str(checkout / "run_folder.py"))
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert head.stdout.startswith(run_folder._git_state())


def test_the_other_ranks_are_told_that_the_first_has_no_lock(tmp_path):
    """The second rank's folder is locked by nobody; all that it knows is what the first one says."""

    class Second(Ranks):
        def gather(self, value: object) -> list:
            return ["run: another process works on it", value]

    second = Second(1, 2, torch.device("cpu"))
    with pytest.raises(InputError, match="another process works on it"), lock_folder(tmp_path / "run", second):
        pass
    assert not (tmp_path / "run").exists()
