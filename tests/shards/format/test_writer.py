import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shards.errors import InputError
from shards.format.sample import end_of_archive, pack, tar_member
from shards.format.writer import Extent, write_shard

_BIG = """
import resource, sys
from pathlib import Path
from shards.format.writer import Extent, write_shard
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_shard(Path(sys.argv[2]), [Extent(Path(sys.argv[1]), 0, 200_000_000)])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def two_samples(folder: Path) -> tuple[list[Extent], bytes]:
    extents, data = [], b""
    for name in ("a", "b"):
        packed = pack(name, {"json": name.encode() * 1000, "pose.npy": name.encode() * 900_000})
        (folder / f"{name}.bin").write_bytes(b"before" + packed.data + b"after")
        extents.append(Extent(folder / f"{name}.bin", 6, packed.extent))
        data += packed.data[: packed.extent]
    return extents, data + end_of_archive(len(data))


def test_shard_is_the_samples_one_after_another(tmp_path: Path) -> None:
    extents, expected = two_samples(tmp_path)
    shard = write_shard(tmp_path / "train-000.tar", extents)
    assert (tmp_path / "train-000.tar").read_bytes() == expected
    assert shard.name == "train-000.tar"
    assert (shard.samples, shard.bytes, shard.sha256) == (2, len(expected), hashlib.sha256(expected).hexdigest())


def test_sample_in_pieces(tmp_path: Path) -> None:
    extents, expected = two_samples(tmp_path)
    head = 512 + 1024
    pieces = [tar_member("b", "json", b"b" * 1000), extents[1]._replace(start=6 + head, size=extents[1].size - head)]
    shard = write_shard(tmp_path / "x.tar", [extents[0], pieces])
    assert (tmp_path / "x.tar").read_bytes() == expected
    assert shard.samples == 2


def test_source_that_ends_early_leaves_no_shard(tmp_path: Path) -> None:
    extents, _ = two_samples(tmp_path)
    os.truncate(extents[1].path, extents[1].size - 100)
    with pytest.raises(InputError, match=r"b\.bin: ends 106 bytes early"):
        write_shard(tmp_path / "x.tar", extents)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_constant_memory(tmp_path: Path) -> None:
    source = tmp_path / "sparse"
    source.touch()
    os.truncate(source, 200_000_000)
    command = [sys.executable, "-c", _BIG, str(source), str(tmp_path / "x.tar")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 20_000  # KiB, for 200 MB
