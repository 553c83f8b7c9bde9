"""What a folder elsewhere holds: its dataset.json and its indexes, which somebody else wrote and nobody vouches for.

Names, sums and sizes of shards are checked by `read_dataset`, so that none leads out of a folder; the size of what is
fetched is bounded before anything is believed.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shards.errors import InputError
from shards.files import write_whole
from shards.format.dataset import FILE_NAME, Dataset, Shard, read_dataset
from shards.remote.download import Download
from shards.remote.urls import RemoteFolder, RemoteShards

LONGEST_DATASET = 16 << 20  # a thousand shards are 0.2 MB
_ROWS = 256  # of an index that are looked at together
_LONGEST_ROW = 4096  # bytes, in memory; our own have about 300
_OVERHEAD = 1 << 20  # of a Parquet file


@dataclass(frozen=True)
class RemoteDataset:
    """A dataset.json as it came, and what it says."""

    content: bytes
    dataset: Dataset


def fetch_listing(folder: RemoteFolder, download: Download) -> RemoteDataset:
    """The dataset.json of a folder.

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
    return RemoteDataset(content, dataset)


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
        path = place / f"{split}.parquet"
        samples = sum(shard.samples for shard in dataset.splits[split])
        content = download.content(folder, path.name, samples * _LONGEST_ROW + _OVERHEAD)
        fault = _index_fault(content, samples, dataset.index_sums.get(split))
        if fault:
            raise InputError(f"{folder.shown(path.name)}: {fault}; was it changed, or is it of other shards?")
        write_whole(path, content)


def _index_fault(content: bytes, samples: int, sha256: str | None) -> str | None:
    """Why an index must not be read as a whole; what its rows say is looked at by who opens the shards.

    Args:
        content: of the file.
        samples: of the split.
        sha256: what dataset.json says of the index; None: it does not say.
    """
    if sha256 not in (None, hashlib.sha256(content).hexdigest()):
        return f"its SHA-256 is not that in {FILE_NAME}"
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            if file.metadata.num_rows != samples:
                return f"an index of {file.metadata.num_rows} samples, but {FILE_NAME} says {samples}"
            # A file of a kilobyte can unfold to any size.
            for batch in file.iter_batches(_ROWS):
                if batch.nbytes > _ROWS * _LONGEST_ROW:
                    return f"{batch.nbytes} bytes in {len(batch)} rows"
    except (OSError, pa.ArrowException) as error:
        return f"not an index ({error})"
    return None
