"""One driver per workspace, or one per part of a job array (`--part I/N`).

A whole run takes `driver.lock` alone; parts share it, and each takes its own part's lock alone.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shards.errors import InputError
from shards.lock import file_lock


@dataclass(frozen=True)
class Part:
    """Part `number` (from 1) of `count`: one of that many drivers, which share the clips without talking."""

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


@contextmanager
def workspace_lock(folder: Path, part: Part | None) -> Iterator[None]:
    """Hold the lock of the workspace whose lock files lie in `folder`.

    Raises:
        InputError: another driver holds it.
    """
    with ExitStack() as locks:
        driver, a_part = folder / "driver.lock", "a part of a job array"
        locks.enter_context(file_lock(driver, "this workspace", shared=part is not None, unsigned=a_part))
        if part is not None:
            locks.enter_context(file_lock(folder / f"{part.name}.lock", part.name, unsigned=a_part))
        yield
