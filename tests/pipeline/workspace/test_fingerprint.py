"""Stamps and fingerprints change when what they stand for does, and only then."""

import os
from pathlib import Path

from pipeline.workspace.fingerprint import fingerprint, stamp, stamp_files


def test_fingerprints_depend_on_values_alone() -> None:
    assert fingerprint("a", {"x": 1, "y": [None, 2.5]}) == fingerprint("a", {"y": [None, 2.5], "x": 1})
    values = [("a",), ("a", "b"), (["a", "b"],), ("ab",), (1,), ("1",), (1.5,), (None,), (True,), ({"a": 1},), ()]
    assert len({fingerprint(*value) for value in values}) == len(values)
    # Written down: ledgers of earlier versions are compared with it.
    assert fingerprint("frames", 1, [[5, 6], None]) == "668cb0e94a4c8686e30a"


def test_stamps(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert stamp(path) is stamp(None) is stamp("") is None
    path.write_bytes(b"123")
    os.utime(path, ns=(1, 5_000_000_001))
    assert stamp(path) == stamp(str(path)) == [3, 5_000_000_001]


def test_the_stamp_of_a_folder_sees_every_change_of_a_file_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "kp"
    assert stamp_files(None) is stamp_files(str(folder)) is None
    folder.mkdir()
    seen = [stamp_files(str(folder))]
    for number in range(3):
        (folder / f"{number}.json").write_text("{}")
    seen.append(stamp_files(str(folder)))
    assert stamp_files(str(folder)) == seen[-1]
    old = (folder / "1.json").stat()
    with (folder / "1.json").open("r+") as file:
        file.write("[]")  # in place: the folder's own time stays
    os.utime(folder / "1.json", ns=(old.st_atime_ns, old.st_mtime_ns + 10**9))
    seen.append(stamp_files(str(folder)))
    (folder / "2.json").rename(folder / "3.json")
    seen.append(stamp_files(str(folder)))
    (folder / "0.json").unlink()
    seen.append(stamp_files(str(folder)))
    assert len({str(value) for value in seen}) == len(seen)


def test_a_file_of_the_future_hides_no_change(tmp_path: Path) -> None:
    for name in ("0.json", "1.json"):
        (tmp_path / name).write_text("{}")
    os.utime(tmp_path / "1.json", ns=(1, 2**62))
    before = stamp_files(str(tmp_path))
    (tmp_path / "0.json").write_text("[]")  # of the same size
    os.utime(tmp_path / "0.json", ns=(1, 1))
    assert stamp_files(str(tmp_path)) != before


def test_the_stamp_of_a_file_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_text("{}")
    assert stamp_files(str(tmp_path / "a.npy")) == stamp(tmp_path / "a.npy")


def test_what_cannot_be_looked_at_is_no_error(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "0.json").write_text("{}")
    (tmp_path / "1.json").symlink_to("gone")
    before = stamp_files(str(tmp_path))
    (tmp_path / "gone").write_text("[]")
    assert stamp_files(str(tmp_path)) != before

    def denied(folder: str) -> None:
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(os, "scandir", denied)
    assert stamp_files(str(tmp_path)) is not None
