import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shards.errors import InputError
from shards.files import check_output, is_among, read_limited, remove_leftovers, whole_file, write_whole, writing

_HALF = """
import sys, time
from pathlib import Path
from shards.files import whole_file
with whole_file(Path(sys.argv[1])) as temporary, temporary.open("wb") as file:
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_pipe_or_a_device_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        write_whole(pipe, b"new")
        assert reader.stdout.read() == b"new"
    assert pipe.is_fifo()
    write_whole(Path("/dev/null"), b"new")
    assert Path("/dev/null").is_char_device()
    out, into = os.pipe()  # as the standard output of a command in a shell's pipe
    write_whole(Path(f"/dev/fd/{into}"), b"new")
    assert os.read(out, 9) == b"new"
    os.close(out)
    os.close(into)


def test_write_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_temporary_name_is_hidden_and_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with whole_file(path) as first, whole_file(path) as second:
        assert first.parent == second.parent == tmp_path  # a rename over file systems would not be atomic
        assert first != second
        assert first.name.startswith(".")
        assert not list(tmp_path.glob("*.tar"))
        first.write_bytes(b"1")
        second.write_bytes(b"2")
    assert path.read_bytes() == b"1"  # the outer block ends last


def test_an_error_names_the_file_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "absent" / "a.bin", b"")
    assert caught.value.filename == str(tmp_path / "absent" / "a.bin")
    with pytest.raises(FileNotFoundError) as caught, whole_file(tmp_path / "a.bin"):
        (tmp_path / "source").read_bytes()
    assert caught.value.filename == str(tmp_path / "source")


def test_killed_writer_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with subprocess.Popen([sys.executable, "-c", _HALF, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "ready\n"
        writer.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == ["a.bin"]


def test_remove_leftovers_leaves_other_files_alone(tmp_path: Path) -> None:
    others = [".hidden", ".keep.tmp", ".x.0123456789AB.tmp", ".x.0123456789abc.tmp", "a.0123456789ab.tmp", "a.tmp"]
    for name in others:
        (tmp_path / name).touch()
    assert remove_leftovers(tmp_path) == 0
    assert names(tmp_path) == others
    assert remove_leftovers(tmp_path / "absent") == 0


def test_where_a_file_can_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_output(tmp_path / "new.csv")
    check_output((tmp_path / "new.csv").relative_to(tmp_path))
    (tmp_path / "old.csv").touch()
    check_output(tmp_path / "old.csv")
    with pytest.raises(InputError, match=r"absent/p\.csv: its folder does not exist"):
        check_output(tmp_path / "absent" / "p.csv")
    with pytest.raises(InputError, match=f"{tmp_path}: is a folder; give a file"):
        check_output(tmp_path)


def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path, full_disk):
    path = tmp_path / "p.csv"
    path.write_text("old")
    with full_disk(1000), pytest.raises(OSError) as error, whole_file(path) as temporary:
        temporary.write_bytes(bytes(2000))
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(path))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_a_file_names_what_was_asked_for(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as error:
        write_whole(tmp_path / "file" / "p.csv", b"")
    assert error.value.filename == str(tmp_path / "file" / "p.csv")


def test_an_error_without_a_name_gets_one(tmp_path):
    with pytest.raises(OSError) as error, writing(tmp_path / "p.csv"):
        raise OSError("no number")
    assert error.value.filename == str(tmp_path / "p.csv")
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "p.csv"):
        raise ZeroDivisionError


def test_what_is_read_is_not_written_over(tmp_path):
    (tmp_path / "read").write_text("mine")
    (tmp_path / "link").symlink_to("read")
    (tmp_path / "loop").symlink_to("loop")
    check_output(tmp_path / "new.csv", tmp_path / "read")
    check_output(tmp_path / "loop", tmp_path / "read")
    for path in (tmp_path / "read", tmp_path / "link", tmp_path / ".." / tmp_path.name / "read"):
        with pytest.raises(InputError, match="has another part in this command already"):
            check_output(path, tmp_path / "other", tmp_path / "read")


def test_a_hard_link_is_the_same_file(tmp_path):
    (tmp_path / "read").write_text("mine")
    (tmp_path / "hard").hardlink_to(tmp_path / "read")
    (tmp_path / "twin").write_text("mine")
    assert is_among(tmp_path / "hard", [tmp_path / "other", tmp_path / "read"])
    assert not is_among(tmp_path / "twin", [tmp_path / "read"])
    assert not is_among(tmp_path / "absent", [tmp_path / "read", tmp_path / "gone"])


def test_a_link_is_written_through_and_stays(tmp_path):
    (tmp_path / "store").mkdir()
    link, target = tmp_path / "out.csv", tmp_path / "store" / "kept.csv"
    link.symlink_to("store/kept.csv")
    for data in (b"first", b"second"):  # the file is not there yet, then it is
        with whole_file(link) as temporary:
            assert temporary.parent == target.parent  # so that the rename is atomic
            temporary.write_bytes(data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    assert names(tmp_path / "store") == ["kept.csv"]


def test_a_link_that_cannot_be_followed_is_replaced(tmp_path):
    stored = tmp_path / "object"
    stored.write_bytes(b"stored")
    stored.chmod(0o444)  # as git-annex and DVC keep theirs
    for target in (stored, tmp_path / "absent" / "a", tmp_path / "link"):
        link = tmp_path / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        write_whole(link, b"new")
        assert not link.is_symlink()
        assert link.read_bytes() == b"new"
    assert stored.read_bytes() == b"stored"


@pytest.mark.parametrize("kind", ["file", "folder", "absent"])
def test_a_link_that_is_not_to_be_followed_is_replaced(tmp_path, kind):
    other, link = tmp_path / "other", tmp_path / "link"
    if kind == "folder":
        other.mkdir()
    elif kind == "file":
        other.write_bytes(b"precious")
    link.symlink_to(other)
    write_whole(link, b"new", follow=False)
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert names(tmp_path) == (["link"] if kind == "absent" else ["link", "other"])
    assert kind != "file" or other.read_bytes() == b"precious"


@pytest.mark.parametrize("command", [pytest.param("train", marks=pytest.mark.slow), "predict", "evaluate"])
def test_a_name_that_is_too_long_is_one_line(command, tmp_path):
    """The system refuses it before anything of ours looks at it: each command must have caught that."""
    long, labels = tmp_path / ("a" * 300), tmp_path / "labels.csv"
    labels.write_text("signer0_sample1,0\n")
    arguments = {
        "train": ["train.cli", "--shards", long, "--run-dir", tmp_path],
        "predict": ["train.predict.cli", "--checkpoint", tmp_path, "--video", labels, "--out", long],
        "evaluate": ["train.evaluate.cli", "--predictions", labels, "--labels", labels, "--report", tmp_path],
    }
    arguments["evaluate"] += ["--shards", long]
    done = subprocess.run([sys.executable, "-m", *map(str, arguments[command])], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("cannot be read or written (File name too long)")
    assert "Traceback" not in done.stderr


def test_endless_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_limited(tmp_path / "a", 5) == b"12345"
    with pytest.raises(InputError, match="larger than"):
        read_limited(tmp_path / "a", 4)
    with pytest.raises(InputError, match="larger than"):
        read_limited(Path("/dev/zero"), 1000)
