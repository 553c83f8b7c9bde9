"""The folder that shards go to: whether it may be written, and which of the files in it are this workspace's."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.workspace.fingerprint import stamp
from pipeline.workspace.paths import Workspace
from pipeline.workspace.result import is_result
from pipeline.workspace.row import LedgerRow
from shards.errors import InputError
from shards.format.dataset import FILE_NAME, read_dataset
from shards.lock import file_lock
from shards.names import is_utf8


@contextmanager
def shards_folder(
    folder: Path, splits: set[str], workspace: Workspace, rows: Mapping[str, LedgerRow]
) -> Iterator[None]:
    """Hold the folder that shards of these splits go to, against other workspaces; make it where it is not there.

    Raises:
        InputError: it cannot be written, another driver holds it, its name is not UTF-8, or it has files that the
            ledger (`rows`) does not know. In the workspace's own folder for shards everything counts as its own.
    """
    if not is_utf8(str(folder)):
        raise InputError(f"{str(folder)!r}: its name is not UTF-8; rename it, or give another --shards-out")
    if folder.resolve() in {path.resolve() for path in (workspace.root, *workspace.folders)}:
        raise InputError(f"--shards-out {folder}: the workspace keeps other files there; give another folder")
    with ExitStack() as lock:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            _refuse_strangers(folder, splits, workspace, rows)
            lock.enter_context(file_lock(folder / ".lock", "these shards"))
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror}); give another --shards-out") from error
        _refuse_strangers(folder, splits, workspace, rows)  # which may have come since
        yield


def _refuse_strangers(folder: Path, splits: set[str], workspace: Workspace, rows: Mapping[str, LedgerRow]) -> None:
    if folder == workspace.shards:
        return
    own = own_shards(folder, rows)
    ours = [f"{split}.parquet" for split in splits - splits_of(own)] + [FILE_NAME] * (not own)
    # Names with a dot in front are no shards: macOS writes ._NAME beside a file.
    tars = sorted(path.name for path in folder.glob("*.tar") if path.name not in own and path.name[0] != ".")
    if found := tars + [name for name in ours if (folder / name).exists()]:
        raise InputError(
            f"{folder}: holds {found[0]}, which this workspace's ledger does not know; "
            "move it away, or give another --shards-out"
        )


def own_shards(folder: Path, rows: Mapping[str, LedgerRow]) -> set[str]:
    """Names of the shards in a folder that the ledger has rows of: the id of a row is the shard's path.

    The folder may have been named otherwise then, or a link of that name may have led elsewhere: such a row has to be
    of the very file that is there.
    """
    here, own = os.path.realpath(folder), set()
    for path, row in zip(map(Path, rows), rows.values(), strict=True):
        if path.parent == folder or (
            os.path.realpath(path.parent) == here and is_result(row, stamp(folder / path.name))
        ):
            own.add(path.name)
    return own


def listed_shards(folder: Path) -> set[str]:
    """Names of the shards of the set in a folder, where there is a whole one."""
    try:
        splits = read_dataset(folder).splits
    except InputError:
        return set()
    return {shard.name for shards in splits.values() for shard in shards}


def rows_to_keep(folder: Path, shards: Iterable[str], rows: Iterable[str]) -> set[str]:
    """Ids of the rows of the shards planned for a folder, and of those in other folders, where a run may come again."""
    here = os.path.realpath(folder)
    elsewhere = {key for key in rows if os.path.realpath(Path(key).parent) != here and Path(key).exists()}
    return elsewhere | {str(folder / name) for name in shards}


def splits_of(names: Iterable[str]) -> set[str]:
    """Of shards `<split>-NNN.tar`."""
    return {name.rpartition("-")[0] for name in names}
