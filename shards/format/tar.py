"""The tar layout of samples: headers of one block, members in the order of `MEMBERS`, nothing that depends on time."""

import tarfile
from typing import NamedTuple

from shards.format.sample import MEMBERS

BLOCK = 512
RECORD = 20 * BLOCK


class Packed(NamedTuple):
    """A tar of one sample, and where its members are."""

    data: bytes
    places: dict[str, tuple[int, int]]  # member: offset and size of its content
    extent: int  # bytes without the end-of-archive blocks: what goes into a shard


def pack(sample_id: str, members: dict[str, bytes]) -> Packed:
    """A tar of one sample, in the order of `MEMBERS`, with nothing in it that depends on time, user or machine."""
    layout = lay_out({name: len(content) for name, content in members.items()})
    data = b"".join(tar_member(sample_id, name, members[name]) for name in layout.places)
    return Packed(data + end_of_archive(layout.extent), layout.places, layout.extent)


class TarLayout(NamedTuple):
    """Where the members of a sample are, from the start of its first header."""

    places: dict[str, tuple[int, int]]  # member: offset and size of its content
    extent: int  # bytes of all members, headers and padding included


def lay_out(sizes: dict[str, int]) -> TarLayout:
    """The layout of a sample whose members have these sizes in bytes."""
    places, position = {}, 0
    for name in MEMBERS:
        if name in sizes:
            position += BLOCK  # the header
            places[name] = (position, sizes[name])
            position += padded(sizes[name])
    return TarLayout(places, position)


def tar_member(sample_id: str, name: str, content: bytes) -> bytes:
    """A member as it stands in a tar: header, content, padding."""
    return tar_header(sample_id, name, len(content)) + content + bytes(-len(content) % BLOCK)


def tar_header(sample_id: str, name: str, size: int) -> bytes:
    """The header of a member: one block, the same everywhere (mtime, owner and group are 0).

    Raises:
        ValueError: the id is longer than `shards.names.LONGEST_ID`, so that its name needs more than one.
    """
    header = tarfile.TarInfo(f"{sample_id}.{name}")
    header.size = size
    block = header.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")
    if len(block) != BLOCK:
        raise ValueError(f"{header.name} is too long for the header of a tar")
    return block


def padded(size: int) -> int:
    """Bytes that a content of `size` bytes takes in a tar."""
    return size + -size % BLOCK


def end_of_archive(extent: int) -> bytes:
    """What follows `extent` bytes of members: two zero blocks, filled up to a record as GNU tar and tarfile do."""
    return bytes(-(extent + 2 * BLOCK) % RECORD + 2 * BLOCK)


def split_member_name(name: str) -> tuple[str, str]:
    """(`signer0_sample1`, `left.mjpg`) of `signer0_sample1.left.mjpg`."""
    key, _, member = name.partition(".")
    return key, member
