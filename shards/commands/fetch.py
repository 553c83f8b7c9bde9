"""`shards fetch`: a copy of shards that lie elsewhere."""

from pathlib import Path

from shards.command_line import print_line
from shards.remote.cache import gigabytes
from shards.remote.localize import fetch_into


def fetch(pattern: str, out: Path) -> None:
    """Fetch what the URL names into `out`, and say what is there now.

    Raises:
        InputError: as `fetch_into`.
    """
    shards, size, dataset = fetch_into(pattern, out)
    everything = sum(map(len, dataset.splits.values()))
    some = "" if shards == everything else f"; it lists {everything}, so read these as '{out}/*.tar'"
    print_line(f"{out}: {shards} shards, {gigabytes(size)}, as dataset.json has them{some}")
