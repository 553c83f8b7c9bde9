"""Progress for people and for log files."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_LOG_SECONDS = 30.0


def progress(items: Iterable[Item], total: int, name: str, unit: str = "clip") -> Iterator[Item]:
    """Pass the items on, with a tqdm bar on a terminal, or a plain line now and then (and at the end) in a log file.

    tqdm does not write the lines of a log file: it returns to the start of its line with \\r instead of ending it, so
    that `tail` and `grep` would see hours of work as one line.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=name, unit=unit, dynamic_ncols=True)
        return
    start = last = time.monotonic()
    count = 0
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= _LOG_SECONDS and count < total:
            last, rate = now, count / (now - start)
            left = (total - count) / rate
            print(f"{name}: {count}/{total}, {rate:.1f}/s, {left:.0f} s left", file=sys.stderr, flush=True)
    print(f"{name}: {count}/{total} in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
