import pytest

from shards.errors import InputError
from train.output import check_output, output_file, writing


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
