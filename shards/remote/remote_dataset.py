"""What a folder elsewhere holds: its dataset.json and its indexes, which somebody else wrote and nobody vouches for.

Names, sums and sizes of shards are checked by `read_dataset`, so that none leads out of a folder; the size of what is
fetched is bounded before anything is believed.
"""

import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

from shards.errors import InputError
from shards.files import whole_file
from shards.format.dataset import FILE_NAME, Dataset, Shard, index_name, read_dataset
from shards.format.index import read_shard_rows
from shards.remote.download import Download
from shards.remote.urls import RemoteFolder, RemoteShards

LONGEST_DATASET = 16 << 20  # a thousand shards are 0.2 MB
_LONGEST_ROW = 4096  # bytes of an index; our own have about 300
_OVERHEAD = 1 << 20  # of a Parquet file


def fetch_listing(folder: RemoteFolder, download: Download) -> tuple[bytes, Dataset]:
    """The dataset.json of a folder as it came, and what it says.

    Raises:
        InputError: it cannot be fetched, or is none.
        Stopped: the download was stopped.
    """
    content = download.content(folder, FILE_NAME, LONGEST_DATASET)
    shown = folder.shown(FILE_NAME)
    with tempfile.TemporaryDirectory() as temporary:
        (Path(temporary) / FILE_NAME).write_bytes(content)
        try:
            dataset = read_dataset(Path(temporary))
        except InputError as error:
            fault = error.message.removeprefix(f"{temporary}/{FILE_NAME}: ").partition(";")[0]
            raise InputError(f"{shown}: {fault}; is this the folder of the shards?") from None
    return content, dataset


def wanted_shards(wanted: RemoteShards, dataset: Dataset) -> list[Shard]:
    """The shards that a pattern names, in its order.

    Raises:
        InputError: dataset.json does not list one.
    """
    listed = {shard.name: shard for split in dataset.splits.values() for shard in split}
    if wanted.names is None:
        return [listed[name] for name in sorted(listed)]
    found = []
    for name in wanted.names:
        names = sorted(one for one in listed if fnmatchcase(one, name)) if "*" in name else [name]
        if not names or names[0] not in listed:
            raise InputError(
                f"{wanted.folder.shown(name)}: not in the {FILE_NAME} beside it, which lists {len(listed)}"
            )
        found += [listed[one] for one in names]
    if len({shard.name for shard in found}) < len(found):
        raise InputError(f"{wanted.folder.shown('')}: the pattern names a shard twice")
    return found


def fetch_indexes(folder: RemoteFolder, dataset: Dataset, splits: list[str], place: Path, download: Download) -> None:
    """Fetch the indexes of some splits into the folder `place`.

    Raises:
        InputError: one cannot be fetched, or is not an index of these shards.
        OSError: one cannot be written.
        Stopped: the download was stopped.
    """
    for split in splits:
        path = place / index_name(split)
        samples = sum(shard.samples for shard in dataset.splits[split])
        content = download.content(folder, path.name, samples * _LONGEST_ROW + _OVERHEAD)
        with whole_file(path) as temporary:
            temporary.write_bytes(content)
            try:
                read_shard_rows(temporary, dataset.splits[split], dataset.index_sums.get(split))
            except InputError as error:
                fault = error.message.removeprefix(f"{temporary}: ").partition(";")[0]
                shown = folder.shown(path.name)
                raise InputError(f"{shown}: {fault}; was it changed, or is it of other shards?") from None
