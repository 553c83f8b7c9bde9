"""Shards that lie elsewhere as local PATTERNs: `localize`, and `fetch_into` for who wants the files."""

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shards.errors import InputError
from shards.files import write_whole
from shards.format.dataset import FILE_NAME, Dataset, Shard, index_name, sha256_of
from shards.format.pattern import folder_and_names, tars_in
from shards.format.shardset import ShardSet, open_shards
from shards.lock import file_lock
from shards.remote.cache import Cache, CacheSettings, gigabytes, is_there, partial_path
from shards.remote.download import Download
from shards.remote.fetching import fetch_all
from shards.remote.remote_dataset import fetch_indexes, fetch_listing, wanted_shards
from shards.remote.urls import RemoteFolder, RemoteShards, is_url, parse, without_credentials


@dataclass(frozen=True)
class _Set:
    """The shards wanted of one folder elsewhere, and where they go."""

    remote: RemoteShards
    shards: list[Shard]
    place: Path

    @property
    def splits(self) -> list[str]:
        return sorted({shard.name.rpartition("-")[0] for shard in self.shards})


def open_patterns(patterns: str | Sequence[str], settings: CacheSettings) -> ShardSet:
    """The samples of a PATTERN, local or of a URL, or of several together, as `open_shards` has them.

    To be called in the main process: it holds the shards in the cache.

    Raises:
        InputError: as `localize` and `open_shards`.
        OSError: the cache cannot be written.
    """
    patterns = [patterns] if isinstance(patterns, str) else patterns
    shards = open_shards([local for pattern in patterns for local in localize(pattern, settings)])
    return replace(shards, source=" ".join(map(without_credentials, patterns)))


def local_folder(pattern: str, settings: CacheSettings, with_shards: bool = True) -> tuple[Path, set[str] | None]:
    """The local folder of the shards that a PATTERN names, and their names; None: all of them.

    Args:
        pattern: as `folder_and_names` takes it, or a URL that ends in `/` (of a command, one with `{}`).
        settings: the cache.
        with_shards: False where the dataset.json and the indexes of a URL are enough.

    Raises:
        InputError: the URL names no whole folder, or as `localize` and `folder_and_names`.
        OSError: the cache cannot be written.
    """
    if not is_url(pattern):
        return folder_and_names(pattern)
    wanted, *others = parse(pattern)
    if others or wanted.names is not None:
        raise InputError(f"{without_credentials(pattern)}: is no folder; end a URL in /, or a pipe: command in {{}}")
    store = _store(settings)
    found = _open(wanted, store)
    if with_shards:
        _fetch_missing([found], store)
    return found.place, None


def localize(pattern: str, settings: CacheSettings) -> list[str]:
    """Local PATTERNs of the shards that `pattern` names; what lies elsewhere is fetched into the cache first.

    All of them, before this returns: an epoch reads samples in an order that is random over all shards, so a cache
    smaller than its set would fetch every shard again and again. They stay, whatever other processes fetch, until this
    process ends. A local pattern is returned as it is.

    Args:
        pattern: a PATTERN, local or of a URL (see `shards.remote.urls.parse`).
        settings: the cache; its folder is made where it is not there.

    Raises:
        InputError: something cannot be fetched, is not what dataset.json says, or finds no room.
        OSError: the cache cannot be written.
    """
    if not is_url(pattern):
        return [pattern]
    store = _store(settings)
    sets = [_open(wanted, store) for wanted in parse(pattern)]
    _fetch_missing(sets, store)
    if len(sets) == 1 and sets[0].remote.names is None:
        return [str(sets[0].place)]
    return [str(one.place / shard.name) for one in sets for shard in one.shards]


def _store(settings: CacheSettings) -> Cache:
    folder = settings.cache.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return Cache(folder, None if settings.cache_gb is None else int(settings.cache_gb * 1e9))


def _open(wanted: RemoteShards, store: Cache) -> _Set:
    """Find out what there is, and have dataset.json and the indexes in the cache."""
    download = Download(threading.Event(), lambda size: None)
    content, dataset = fetch_listing(wanted.folder, download)
    # In sets of earlier versions the indexes have no checksum: those of another place may differ.
    location = wanted.folder.location
    place = store.place(Path(location.partition("://")[2]).name or "shards", f"{location}\n{content.hex()}")
    one, sums = _Set(wanted, wanted_shards(wanted, dataset), place), dataset.index_sums
    missing = [split for split in one.splits if not _has_index(place / index_name(split), sums.get(split))]
    fetch_indexes(wanted.folder, dataset, missing, place, download)
    if not (place / FILE_NAME).exists():
        write_whole(place / FILE_NAME, content)
    return one


def _has_index(path: Path, sha256: str | None) -> bool:
    return path.exists() and sha256 in (None, sha256_of(path))


def _fetch_missing(sets: Sequence[_Set], store: Cache) -> None:
    needed = sum(shard.bytes for one in sets for shard in one.shards)
    if store.limit is not None and needed > store.limit:
        raise InputError(f"--cache-gb: {gigabytes(store.limit)} are less than these shards, {gigabytes(needed)}")
    # What is there is held first, so that it does not have to make room for what is not.
    missing = [(one, shard) for one in sets for shard in one.shards if not store.hold(one.place, shard)]
    total = sum(shard.bytes for _, shard in missing)
    if store.limit is None:
        _check_disk(store.folder, total - sum(_size(partial_path(one.place, shard)) for one, shard in missing))

    def obtain(job: tuple[_Set, Shard], download: Download) -> None:
        one, shard = job
        store.obtain(one.place, shard, download.stop, lambda path: download.shard(one.remote.folder, shard, path))

    fetch_all(missing, total, obtain)


def fetch_into(pattern: str, out: Path) -> tuple[int, int, Dataset]:
    """Fetch the shards that a URL PATTERN names into a folder, which then is a shard folder; dataset.json comes last.

    Shards that are there already, whole or in part, are kept if their bytes are right.

    Returns:
        How many shards, how many bytes, and what dataset.json says.

    Raises:
        InputError: the pattern is not a URL or one of several folders; `out` holds other shards, or another process
            fetches into it; something cannot be fetched, is not what dataset.json says, or finds no room.
        OSError: `out` cannot be written.
    """
    if not is_url(pattern):
        raise InputError(f"{pattern}: is no URL; copy files that are here")
    wanted, *others = parse(pattern)
    if others:
        raise InputError(f"{without_credentials(pattern)}: names several folders; fetch each into a folder of its own")
    download = Download(threading.Event(), lambda size: None)
    content, dataset = fetch_listing(wanted.folder, download)
    one = _Set(wanted, wanted_shards(wanted, dataset), out)
    out.mkdir(parents=True, exist_ok=True)
    with file_lock(out / ".lock", "these shards"):
        _refuse_others(out, content, dataset)
        missing = [shard for shard in one.shards if not _is_whole(out / shard.name, shard)]
        total = sum(shard.bytes for shard in missing)
        _check_disk(out, total - sum(_size(partial_path(out, shard)) for shard in missing))
        fetch_all(missing, total, lambda shard, download: _fetch_file(wanted.folder, shard, out, download))
        fetch_indexes(wanted.folder, dataset, one.splits, out, download)
        write_whole(out / FILE_NAME, content)
    return len(one.shards), sum(shard.bytes for shard in one.shards), dataset


def _fetch_file(folder: RemoteFolder, shard: Shard, out: Path, download: Download) -> None:
    partial = partial_path(out, shard)
    download.shard(folder, shard, partial)
    partial.replace(out / shard.name)


def _refuse_others(out: Path, content: bytes, dataset: Dataset) -> None:
    """What is in the folder must not be of another set."""
    path = out / FILE_NAME
    if path.exists() and path.read_bytes() != content:
        raise InputError(f"{path}: other shards than those of the URL; give --out a new folder")
    listed = {shard.name for shards in dataset.splits.values() for shard in shards}
    if stranger := next((path for path in tars_in(out) if path.name not in listed), None):
        raise InputError(f"{stranger}: is not one of the URL's shards; give --out a new folder")


def _is_whole(path: Path, shard: Shard) -> bool:
    return is_there(path, shard) and sha256_of(path) == shard.sha256


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _check_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{folder}: {gigabytes(needed)} are to be fetched, but {gigabytes(free)} are free on its disk")
