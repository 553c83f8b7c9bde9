"""Writing shards by copying samples' bytes: no decoding, no re-encoding, constant memory."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from shards.errors import InputError
from shards.files import whole_file
from shards.format.dataset import Shard
from shards.format.sample import end_of_archive

# Stays in the second-level cache between reading, hashing and writing.
_CHUNK = 1 << 18


class Extent(NamedTuple):
    """The bytes of one sample's members (or of some of them), headers included, inside a tar."""

    path: Path
    start: int
    size: int


Piece = Extent | bytes  # bytes: members that are new


def write_shard(path: Path, samples: Iterable[Extent | Sequence[Piece]]) -> Shard:
    """Write the samples one after another as a tar, whole or not at all; the same samples give the same bytes.

    Args:
        path: of the shard.
        samples: each an extent, or a list of pieces that make up a sample.

    Raises:
        InputError: a source ends before its extent does.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    count = total = 0
    with whole_file(path) as temporary, temporary.open("wb") as out:
        for sample in samples:
            for piece in [sample] if isinstance(sample, Extent) else sample:
                for chunk in [piece] if isinstance(piece, bytes) else _chunks(piece, buffer):
                    # hashlib and write both let other threads run meanwhile, so threads over shards are parallel.
                    digest.update(chunk)
                    out.write(chunk)
                    total += len(chunk)
            count += 1
        padding = end_of_archive(total)
        digest.update(padding)
        out.write(padding)
    return Shard(path.name, count, total + len(padding), digest.hexdigest())


def _chunks(extent: Extent, buffer: memoryview) -> Iterator[memoryview]:
    """The bytes of an extent, each time in the same buffer."""
    file = os.open(extent.path, os.O_RDONLY)
    try:
        position, left = extent.start, extent.size
        while left:
            got = os.preadv(file, [buffer[: min(left, len(buffer))]], position)
            if not got:
                raise InputError(f"{extent.path}: ends {left} bytes early; verify or copy it again")
            yield buffer[:got]
            position, left = position + got, left - got
    finally:
        os.close(file)
