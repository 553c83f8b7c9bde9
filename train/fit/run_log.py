"""What a training run leaves to read: `metrics.csv`, TensorBoard events, and a progress line."""

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from shards.errors import InputError
from shards.files import whole_file, writing

_ESTIMATE_SECONDS = 10.0
COLUMNS = (
    "epoch",
    "learning_rate",
    "train_loss",
    "train_top1",
    "val_loss",
    "val_top1",
    "val_top5",
    "val_class_mean",
    "samples_per_second",
    "waiting",
    "seconds",
)


class RunLog:
    """One row per epoch, counted from 1. A resumed run drops the rows after its `done` epochs before it goes on.

    The constructor raises OSError where the folder cannot be written to, and InputError where `metrics.csv` is
    something else. What cannot be logged afterwards is a warning: figures are not worth a training.
    """

    def __init__(self, folder: Path, done: int) -> None:
        # TensorBoard brings half a second of imports with it.
        from torch.utils.tensorboard import SummaryWriter

        self._path = folder / "metrics.csv"
        self._rows = [row for row in read_metrics(self._path) if int(row["epoch"]) <= done]
        # purge_step hides what a killed run logged after its last checkpoint.
        with writing(folder):
            self._board = SummaryWriter(str(folder), purge_step=done + 1)

    def add(self, row: dict[str, float]) -> None:
        """Keep an epoch's figures."""
        self._rows.append({name: f"{row[name]:.6g}" if name in row else "" for name in COLUMNS})
        # Columns that somebody added to the file stay.
        columns = list(dict.fromkeys(chain(COLUMNS, *self._rows)))
        with _warning(), whole_file(self._path, follow=False) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self._rows)
        with _warning(), writing(self._path.parent):
            for name, value in row.items():
                if name != "epoch":
                    self._board.add_scalar(name, value, int(row["epoch"]))
            self._board.flush()

    def close(self) -> None:
        """Close the event file."""
        with _warning(), writing(self._path.parent):
            self._board.close()


@contextmanager
def _warning() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        print(f"warning: not logged: {error.filename}: {error.strerror}", file=sys.stderr, flush=True)


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The rows of a `metrics.csv`; none where there is no file.

    Earlier versions counted epochs from 0; their rows are counted from 1, too.

    Raises:
        InputError: something else wrote it, as a spreadsheet does that was told to save.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if not all(row["epoch"].isdecimal() for row in rows):
            raise ValueError("an epoch is no number")
        if any(None in row or None in row.values() for row in rows):
            raise ValueError("a row has more or fewer values than there are columns")
    except (ValueError, KeyError, AttributeError, csv.Error) as error:
        raise InputError(f"{path}: not as `train` wrote it; put it elsewhere, and the run begins a new one") from error
    first = 1 if not rows or int(rows[0]["epoch"]) else 0
    return [row | {"epoch": str(int(row["epoch"]) + 1 - first)} for row in rows]


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 12 min, 3.5 h, 2.1 days."""
    for most, size, unit in ((90, 1, "s"), (90 * 60, 60, "min")):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"


class EpochTime:
    """How long an epoch will take: one line, some seconds after the first step, which takes longer than others."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs  # that are to come
        self._begun: tuple[float, int] | None = None
        self._said = False

    def line(self, done: int, total: int) -> str | None:
        """To be called after every step, with the samples seen; the line once, else None."""
        now = time.monotonic()
        if self._begun is None or done <= self._begun[1]:  # an epoch that was shorter has a line of its own
            self._begun = now, done
        start, before = self._begun
        if self._said or now - start < _ESTIMATE_SECONDS:
            return None
        self._said = True
        epoch = (now - start) / (done - before) * total
        return (
            f"an epoch takes about {duration(epoch)}, all {self._epochs} at most {duration(self._epochs * epoch)}, "
            "without validation"
        )


class ProgressLine:
    """The line that shows an epoch as it goes: rewritten on a terminal, repeated now and then in a log file."""

    def __init__(self, name: str, begun: int, total: int, speak: bool) -> None:
        self._name, self._begun, self._total, self._speak = name, begun, total, speak
        self._terminal = sys.stderr.isatty()
        self._start = self._last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time to show figures; what they cost to fetch from the device is spent only then."""
        return self._speak and time.monotonic() - self._last >= (0.5 if self._terminal else 30.0)

    def show(self, done: int, figures: str) -> None:
        """Show how far it is."""
        self._last = time.monotonic()
        left = (self._last - self._start) / max(done - self._begun, 1) * (self._total - done)
        text = "  ".join(filter(None, (f"{self._name} {done}/{self._total}", figures, f"{duration(left)} left")))
        if self._terminal:
            print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line of its own."""
        if self._speak:
            self.clear()
            print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._speak and self._terminal:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)

    def end(self, figures: str) -> None:
        """Show the whole epoch's figures."""
        self.say(f"{self._name}  {figures}")
