import subprocess
import sys

import pytest

from shards.errors import InputError
from train.fit.output import check_output, output_file, writing


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


def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path, full_disk):
    path = tmp_path / "p.csv"
    path.write_text("old")
    with full_disk(1000), pytest.raises(InputError) as error, output_file(path) as temporary:
        temporary.write_bytes(bytes(2000))
    assert error.value.message == f"{path}: cannot be written (File too large); make room, or give another place"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(ZeroDivisionError), output_file(tmp_path / "p.csv"):
        raise ZeroDivisionError
    with pytest.raises(InputError, match=r"p\.csv: cannot be written \(no number\)"), writing(tmp_path / "p.csv"):
        raise OSError("no number")


def test_what_is_read_is_not_written_over(tmp_path):
    (tmp_path / "read").write_text("mine")
    (tmp_path / "link").symlink_to("read")
    (tmp_path / "loop").symlink_to("loop")
    check_output(tmp_path / "new.csv", tmp_path / "read")
    check_output(tmp_path / "loop", tmp_path / "read")
    for path in (tmp_path / "read", tmp_path / "link", tmp_path / ".." / tmp_path.name / "read"):
        with pytest.raises(InputError, match="has another part in this command already"):
            check_output(path, tmp_path / "other", tmp_path / "read")


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
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
