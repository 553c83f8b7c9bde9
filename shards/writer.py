"""Writing shards by copying samples' bytes: no decoding, no re-encoding, constant memory."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from shards.dataset import Shard
from shards.errors import InputError
from shards.files import whole_file
from shards.sample import end_of_archive

_CHUNK = 1 << 20


class Extent(NamedTuple):
    """The bytes of one sample's members, headers included, inside a tar."""

    path: Path
    start: int
    size: int


def write_shard(path: Path, samples: Iterable[Extent]) -> Shard:
    """Write the samples one after another as a tar, whole or not at all; the same samples give the same bytes."""
    digest = hashlib.sha256()
    count = total = 0
    with whole_file(path) as temporary, temporary.open("wb") as out:
        for extent in samples:
            with extent.path.open("rb") as source:
                source.seek(extent.start)
                left = extent.size
                while left:
                    chunk = source.read(min(left, _CHUNK))
                    if not chunk:
                        raise InputError(f"{extent.path}: ends {left} bytes early; verify or copy it again")
                    digest.update(chunk)
                    out.write(chunk)
                    left -= len(chunk)
            count += 1
            total += extent.size
        padding = end_of_archive(total)
        digest.update(padding)
        out.write(padding)
    return Shard(path.name, count, total + len(padding), digest.hexdigest())
