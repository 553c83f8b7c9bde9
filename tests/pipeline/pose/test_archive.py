"""Archives as one stream of members. What comes of keypoints in them is `test_keypoint_archive.py`'s business."""

import io
import os
import resource
import signal
import tarfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.pose.archive import archive_parts, read_members
from shards.errors import InputError


def test_many_parts_count_as_split_does(tmp_path: Path) -> None:
    names = [f"{a}{b}" for a in "ab" for b in "abcdefghijklmnopqrstuvwxyz"]
    for name in names:
        (tmp_path / f"kp.tar.bz2.{name}").touch()
    assert [path.suffix[1:] for path in archive_parts(tmp_path / "kp.tar.bz2.aa")] == names


def test_a_single_file_is_its_only_part(tmp_path: Path) -> None:
    for name in ("kp.tar", "kp.tar.bz2", "kp.tar.gz", "kp.tar.xz", "kp.tgz"):
        (tmp_path / name).touch()
        assert archive_parts(tmp_path / name) == [tmp_path / name]
    with pytest.raises(InputError, match=r"none.tar: no such file"):
        archive_parts(tmp_path / "none.tar")


def test_names_may_hold_what_a_glob_would_match(tmp_path: Path) -> None:
    parts = [tmp_path / f"kp[1]*.tar.bz2.{name}" for name in ("aa", "ab")]
    for path in (*parts, tmp_path / "kp1x.tar.bz2.ac", tmp_path / "kp[1]*.tar.bz2.old.ac"):
        path.touch()
    assert archive_parts(parts[0]) == parts


@pytest.mark.parametrize("name", ["kp.tar.zst", "kp.tar.lzma", "kp.tar.bz2.ab"])
def test_another_compression_or_a_lonely_part_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError) as error:
        archive_parts(tmp_path / name)
    suffix = Path(name).suffix
    first = f"{name.removesuffix(suffix)}.{'a' * (len(suffix) - 1)}"
    assert error.value.message == (
        f"{tmp_path / name}: {suffix} is neither gz, bz2 nor xz, and if it is a part, the first one, {first}, "
        "is missing; unpack it to a tar, or find that part"
    )


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"text\n" * 2000, b"BZh9" + b"x" * 2000, b"BZh9")):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{path}: not a tar archive, or cut off at its very beginning"):
            list(read_members([path]))


def test_headers_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "kp.tar"
    header = tarfile.TarInfo("kp/train/x_color.kp/" + "x" * 70 + "_000000000000_keypoints.json").tobuf()
    with path.open("wb") as file:
        for _ in range(20):
            file.write(header * 1000)
        file.write(bytes(10240))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in read_members([path])) == 20_000
    # tarfile keeps about 1 kB for a header: 20 MB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000


def packed(path: Path, contents: dict[str, bytes], mode: str) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in contents.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_members_come_in_order_with_their_bytes(tmp_path: Path, mode: str) -> None:
    # Sizes about the blocks of tar and the chunks that are decompressed at a time, and what is too large.
    random = np.random.default_rng(0)
    sizes = (0, 1, 511, 512, 513, 3000, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 7)
    contents = {f"kp/{number}-{'x' * 60 * (number % 3)}": random.bytes(size) for number, size in enumerate(sizes)}
    path = packed(tmp_path / "kp.tar", contents, mode)
    expected = [(name, content) for name, content in contents.items() if len(content) <= 1 << 20]
    assert list(read_members([path])) == expected


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_a_reader_that_stops_early_leaves_no_process(tmp_path: Path) -> None:
    contents = {f"kp/{number}": bytes(1 << 20) for number in range(20)}
    members = read_members([packed(tmp_path / "kp.tar.bz2", contents, "w:bz2")])
    before = children()
    next(members)
    assert len(children()) == len(before) + 1
    members.close()
    assert children() == before


def test_a_killed_decompression_is_no_end(tmp_path: Path) -> None:
    contents = {f"kp/{number}": bytes(1 << 20) for number in range(20)}
    members = read_members([packed(tmp_path / "kp.tar.bz2", contents, "w:bz2")])
    before = children()
    next(members)
    (decompression,) = set(children()) - set(before)
    os.kill(decompression, signal.SIGKILL)
    with pytest.raises(EOFError, match=r"kp.tar.bz2: the archive ends too early .* \(decompression was killed\)"):
        list(members)


def _header(kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo("x")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "headers",
    [
        _header(tarfile.XHDTYPE, 3 << 30),
        _header(tarfile.GNUTYPE_LONGNAME, 3 << 30),
        (_header(tarfile.GNUTYPE_LONGNAME, 5) + b"name\0".ljust(512, b"\0")) * 4000,
        _header(tarfile.GNUTYPE_SPARSE, 10),
        _header(tarfile.XHDTYPE, 12) + b"12 size=-99\n".ljust(512, b"\0") + _header(tarfile.REGTYPE, 0),
        _header(tarfile.XHDTYPE, 22) + b"22 GNU.sparse.map=0,1\n".ljust(512, b"\0") + _header(tarfile.REGTYPE, 0),
    ],
)
def test_headers_that_ask_for_gigabytes_or_nest_without_end(tmp_path: Path, headers: bytes) -> None:
    path = tmp_path / "kp.tar"
    path.write_bytes(headers + bytes(1 << 20))
    with pytest.raises((InputError, EOFError), match=r"kp\.tar"):
        list(read_members([path]))
