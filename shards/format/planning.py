"""Which sample goes into which shard: pure functions of the samples' ids."""

import hashlib
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")

SAMPLES_PER_SHARD = 256


def shard_order(sample_id: str) -> bytes:
    """The sort key of samples within a split: a hash, so that a sequential reader meets classes and signers mixed."""
    return hashlib.sha256(sample_id.encode()).digest()


def plan_split(
    split: str, items: Iterable[Item], id_of: Callable[[Item], str], samples_per_shard: int
) -> dict[str, list[Item]]:
    """The shards of a split by file name (`train-000.tar`, …): its samples in hash order, cut into pieces."""
    ordered = sorted(items, key=lambda item: shard_order(id_of(item)))
    pieces = [ordered[start : start + samples_per_shard] for start in range(0, len(ordered), samples_per_shard)]
    # Names of one length, so that a folder listing has the shards in order.
    digits = max(3, len(str(len(pieces) - 1)))
    return {f"{split}-{number:0{digits}d}.tar": piece for number, piece in enumerate(pieces)}
