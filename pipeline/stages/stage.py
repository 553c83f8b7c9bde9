"""What the stages have in common. How they are run is `pipeline/run.py`'s business, which treats them all alike."""

import os
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pipeline.errors import ClipError
from pipeline.workers.local import Engine, Task, Work, row_of
from pipeline.workspace.clip import Clip
from pipeline.workspace.fingerprint import fingerprint
from pipeline.workspace.paths import Workspace
from pipeline.workspace.row import LedgerRow, Made


@dataclass(frozen=True)
class Stage(ABC):
    """A stage over clips. What it needs of a clip, the stages before it have put into the clip's record."""

    name: ClassVar[str]
    version: ClassVar[int]  # to be raised when the stage's code changes what it writes
    suffix: ClassVar[str] = ""  # of its result file, <stage>/<id><suffix>; "": it only states facts
    one_core: ClassVar[bool] = False  # the work is one FFmpeg's, and ours with its frames

    workspace: Workspace

    def applies(self, clip: Clip) -> bool:
        """Whether the stage has anything to do with a clip; others are passed by."""
        return True

    @abstractmethod
    def depends(self, clip: Clip) -> list[Any]:
        """Everything that the stage's result for a clip depends on, as JSON."""

    @abstractmethod
    def work(self, clip: Clip, number: int) -> Work:
        """The partial of a plain function that makes the result, for the clip of this number in the plan."""

    @abstractmethod
    def found(self, clip: Clip, row: LedgerRow) -> None:
        """Put what the row of a clip that is done says into the clip's record.

        Raises:
            KeyError, TypeError, ValueError: the row is not one of this stage.
        """

    def notes(self, row: LedgerRow) -> list[str]:
        """What a user should know of a clip that is done, a few words each."""
        return [str(note) for note in row.facts.get("notes", [])]

    def make(self, clips: Sequence[Clip], run: Engine) -> Iterator[LedgerRow]:
        """The rows of the clips that are to do, in any order."""
        yield from run([self._task(clip, self.work(clip, number)) for number, clip in enumerate(clips)])

    def fingerprint(self, clip: Clip) -> str:
        """Of everything that the result for a clip depends on."""
        return fingerprint(self.name, self.version, self.depends(clip))

    def result(self, sample_id: str) -> Path:
        """The result file of a clip."""
        return self.workspace.root / self.name / f"{sample_id}{self.suffix}"

    def results(self) -> dict[str, tuple[int, int]] | None:
        """Size in bytes and mtime (ns) of the result files there are, by id; None for a stage without files."""
        if not self.suffix:
            return None
        found = {}
        with os.scandir(self.workspace.root / self.name) as entries:
            for entry in entries:
                if entry.name.endswith(self.suffix):
                    try:
                        stat = entry.stat()
                    except OSError:
                        continue  # a link that leads nowhere, say: the result is lost, and its new file takes the name
                    found[entry.name.removesuffix(self.suffix)] = stat.st_size, stat.st_mtime_ns
        return found

    def restore(self, row: LedgerRow) -> bool:
        """Whether a row's result file has the row's bytes; it gets the row's time, which copying a workspace loses."""
        path = self.result(row.id)
        try:
            if path.stat().st_size != row.bytes or row.facts.get("crc32") != zlib.crc32(path.read_bytes()):
                return False
            os.utime(path, ns=(time.time_ns(), row.facts["mtime_ns"]))
        except OSError:
            return False
        return True

    def rows_of(
        self, clips: Iterable[Clip], arrays: Iterator[tuple[str, Any]], keep: Callable[[Clip, Any], Made]
    ) -> Iterator[LedgerRow]:
        """The rows of results that come out of one stream.

        `keep` writes an array as the result file of a clip; a ClipError in an array's place fails the clip.
        """
        by_id = {clip.id: clip for clip in clips}
        for key, array in arrays:
            yield row_of(self._task(by_id[key], partial(_kept, by_id[key], array, keep)))

    def _task(self, clip: Clip, work: Work) -> Task:
        return Task(clip.id, clip.fingerprints[self.name], work, self.one_core)


def _kept(clip: Clip, array: Any, keep: Callable[[Clip, Any], Made]) -> Made:
    if isinstance(array, ClipError):
        raise array
    return keep(clip, array)
