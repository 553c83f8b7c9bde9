"""Progress for people and for log files."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_LOG_SECONDS = 30.0
_SHORT_SECONDS = 2.0


def progress(
    items: Iterable[Item],
    total: int,
    name: str,
    unit: str = "clip",
    size: Callable[[Item], int] = lambda _: 1,
    may_be_short: bool = False,
) -> Iterator[Item]:
    """Pass the items on, with a tqdm bar on a terminal, or a plain line now and then (and at the end) in a log file.

    Both have the rate and the time left. tqdm does not write the lines of a log file: it returns to the start of its
    line with \\r instead of ending it, so that `tail` and `grep` would see hours of work as one line.

    Args:
        items: what is worked on; time passes while the next one is made.
        total: units in all.
        name: of the work.
        unit: what is counted.
        size: how many units an item is.
        may_be_short: no bar in the first 2 seconds, and no line at the end.
    """
    if sys.stderr.isatty():
        delay = _SHORT_SECONDS if may_be_short else 0.0
        with tqdm(total=total, desc=name, unit=unit, dynamic_ncols=True, delay=delay) as bar:
            for item in items:
                yield item
                bar.update(size(item))
        return
    start = last = time.monotonic()
    count = 0
    for item in items:
        yield item
        count += size(item)
        now = time.monotonic()
        if now - last >= _LOG_SECONDS and count < total:
            last, rate = now, count / (now - start)
            left = (total - count) / rate
            print(f"{name}: {count}/{total}, {rate:.1f}/s, {left:.0f} s left", file=sys.stderr, flush=True)
    if not may_be_short:
        print(f"{name}: {count}/{total} in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
