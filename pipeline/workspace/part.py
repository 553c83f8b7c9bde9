"""`--part I/N`: one of N drivers that share the clips of a workspace without talking to each other."""

import hashlib
import re
from dataclasses import dataclass

from shards.errors import InputError


@dataclass(frozen=True)
class Part:
    """Part `number` (from 1) of `count`."""

    number: int
    count: int

    @property
    def name(self) -> str:
        """Of this part's ledger and lock files."""
        return f"part-{self.number}-of-{self.count}"

    def holds(self, sample_id: str) -> bool:
        """Whether a clip belongs to this part: by a hash of its id, so that other clips may come and go."""
        return int.from_bytes(hashlib.sha256(sample_id.encode()).digest()[:8], "big") % self.count == self.number - 1


def parse_part(text: str) -> Part:
    """The part that `3/8` names.

    Raises:
        InputError: it names none.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--part {text}: give I/N with I from 1 to N, e.g. 3/8; in a job array --array=1-8")
    return Part(int(match[1]), int(match[2]))
