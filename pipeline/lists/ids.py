"""Ids of clips that are legal and unique, made of the names that data sets have."""

import hashlib
import re
from collections.abc import Sequence

from shards.labels import plain_id
from shards.names import LONGEST_ID

_ILLEGAL = re.compile(r"[./\\\x00-\x1f\x7f\ud800-\udfff]")
LONGEST = LONGEST_ID - 3  # bytes; what `unique_ids` puts behind an id has its place


def legal_id(name: str) -> str:
    """A name as an id: NFC; dots, slashes, backslashes and control characters become `_`; shortened with a checksum."""
    text = _ILLEGAL.sub("_", plain_id(name).strip()) or "_"
    if len(text.encode()) <= LONGEST:
        return text
    check = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return f"{text.encode()[: LONGEST - 9].decode(errors='ignore')}_{check}"


def unique_ids(names: Sequence[str], splits: Sequence[str]) -> tuple[list[str], list[str]]:
    """Different ids for names, and what had to be told apart (`a (train), A (test)`).

    Ids that differ in case or Unicode form alone would be one file on some disks, so they count as equal. Where equal
    ones are in different splits, all get the split in front; what is equal then gets `_2`, `_3`, … in the names' order.
    """
    ids = [legal_id(name) for name in names]
    collisions = _groups(ids)
    for group in collisions:
        if len({splits[place] for place in group}) > 1:
            for place in group:
                ids[place] = legal_id(f"{splits[place]}_{ids[place]}")
    taken = {spelling_key(one) for one in ids}
    for group in _groups(ids):
        for number, place in enumerate(sorted(group, key=lambda place: (names[place], place))[1:], 2):
            while spelling_key(candidate := f"{ids[place]}_{number}") in taken:
                number += 1
            taken.add(spelling_key(candidate))
            ids[place] = candidate
    told = [", ".join(f"{names[place]} → {ids[place]}" for place in group[:3]) for group in collisions]
    return ids, told


def _groups(ids: Sequence[str]) -> list[list[int]]:
    """The places of ids that count as equal, where there is more than one."""
    places: dict[str, list[int]] = {}
    for place, one in enumerate(ids):
        places.setdefault(spelling_key(one), []).append(place)
    return [group for group in places.values() if len(group) > 1]


def spelling_key(name: str) -> str:
    """What is equal for names that differ in case or Unicode form alone."""
    return plain_id(name.casefold())
