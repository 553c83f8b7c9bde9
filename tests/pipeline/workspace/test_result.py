"""Result files: named by the driver, recognized, and compared while they are read."""

import os
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.workspace.clip import ResultFile
from pipeline.workspace.fingerprint import stamp
from pipeline.workspace.result import is_result, named, read_array, read_result, write_result
from pipeline.workspace.row import DONE, LedgerRow
from shards.files import remove_leftovers
from shards.format.sample import npy_bytes


def test_a_result_has_its_name_only_when_the_driver_takes_the_row(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    made = write_result(path, b"12345", {"x": 1})
    assert (made.bytes, made.facts["x"], made.facts["crc32"]) == (5, 1, zlib.crc32(b"12345"))
    assert not path.exists() and made.temporary.read_bytes() == b"12345"
    row = named(LedgerRow("a", DONE, "1", bytes=5, facts=made.facts, temporary=made.temporary), path)
    assert path.read_bytes() == b"12345" and row.temporary is None
    assert is_result(row, stamp(path))
    write_result(path, b"late", {})  # of a worker whose driver is no more
    assert path.read_bytes() == b"12345"
    assert remove_leftovers(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_result(tmp_path / "none" / "a.npy", b"1", {})
    assert caught.value.filename == str(tmp_path / "none" / "a.npy")


def test_a_result_is_recognized_by_its_size_and_mtime(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"12345")
    first = stamp(path)
    row = LedgerRow("a", DONE, "1", bytes=5, facts={"mtime_ns": first[1]})
    assert is_result(row, first)
    assert not is_result(row, (5, first[1] + 1))
    assert not is_result(row, (4, first[1]))
    assert not is_result(row, None)
    assert is_result(replace(row, facts={}), first)  # of a version that did not note the mtime


def test_bytes_that_are_not_those_that_were_written_fail_the_clip_and_go(tmp_path: Path) -> None:
    path, data = tmp_path / "a.npy", npy_bytes(np.arange(6.0).reshape(3, 2))
    expected = ResultFile(len(data), zlib.crc32(data))
    path.write_bytes(data)
    np.testing.assert_array_equal(read_array(path, expected), np.arange(6.0).reshape(3, 2))
    for place in (20, 61, len(data) - 1):  # the header, or a value; size and time stay
        changed = bytearray(data)
        changed[place] ^= 64
        path.write_bytes(changed)
        os.utime(path, ns=(1, 1))
        with pytest.raises(ClipError, match=r"a.npy: damaged since it was written"):
            read_result(path, expected)
        assert not path.exists()
    with pytest.raises(ClipError, match=r"a.npy: is gone"):
        read_result(path, expected)


def test_a_broken_header_without_a_checksum_is_the_clips_failure(tmp_path: Path) -> None:
    path, data = tmp_path / "a.npy", bytearray(npy_bytes(np.arange(6.0)))
    data[61:65] = b"????"
    path.write_bytes(data)
    with pytest.raises(ClipError, match=r"a.npy: not a .npy file"):
        read_array(path, ResultFile(len(data), None))
