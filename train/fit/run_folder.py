"""A run's folder: what lies in it, whether it may be used, and what it says about the run."""

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from shards.errors import InputError
from shards.files import remove_leftovers, whole_file, write_whole
from shards.lock import file_lock
from shards.remote.urls import command_without_credentials
from train.fit.checkpoint import Checkpoint, read_checkpoint
from train.fit.settings import SessionSettings, in_files
from train.ranks.distributed import Ranks

CONFIG, LAST, PREVIOUS, BEST = "config.json", "last.pt", "previous.pt", "best.pt"
LOCK = "train.lock"


def check_folder(folder: Path, resume: bool) -> None:
    """InputError where there is no run to resume, or one that was not to be resumed."""
    begun = (folder / LAST).exists() or (folder / PREVIOUS).exists()
    # What somebody kept of a finished run; a new one would write over it.
    kept = sorted([*folder.glob(BEST), *folder.glob("epoch-*.pt")])
    if not resume and begun:
        raise InputError(f"{folder}: holds a run already; give --resume to go on with it, or another --run-dir")
    if not resume and kept:
        raise InputError(f"{folder}: holds a run's {kept[0].name} already; give another --run-dir")
    if resume and not (folder / CONFIG).exists():
        raise InputError(f"{folder}: no run to resume; leave --resume out, or give another --run-dir")
    if resume and kept and not begun:
        # best.pt does not have what resuming needs.
        hint = "copy it back" if kept[-1].name == BEST else f"`cp {kept[-1]} {folder / LAST}` goes on from there"
        raise InputError(f"{folder / LAST}: missing; {hint}, or give another --run-dir")


@contextmanager
def lock_folder(folder: Path, ranks: Ranks) -> Iterator[None]:
    """Make the run folder, and hold its lock on behalf of all ranks.

    Raises:
        InputError: on every rank: another process holds the lock, or the folder cannot be made or written to.
    """
    with ExitStack() as stack:
        refusal = None
        if ranks.first:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(file_lock(folder / LOCK, "this run folder"))
            except InputError as error:
                refusal = error.message
            except OSError as error:
                refusal = _not_writable(folder, error)
        # Without a word from the first rank, the others would wait for it when the model is wrapped.
        if refusal := ranks.gather(refusal)[0]:
            raise InputError(refusal)
        yield


def _not_writable(folder: Path, error: OSError) -> str:
    return f"{folder}: cannot be written to ({error.strerror}); give another --run-dir"


def open_folder(folder: Path, resume: bool) -> Checkpoint | None:
    """The checkpoint to go on from; None for a run that starts.

    Raises:
        InputError: there is no run to resume, its checkpoint is damaged, or a run that was not to be resumed.
    """
    check_folder(folder, resume)
    last, previous = folder / LAST, folder / PREVIOUS
    if not resume or not (last.exists() or previous.exists()):
        return None  # with `resume`: killed before its first checkpoint
    try:
        return read_checkpoint(last)
    except InputError as error:
        hint = f"; `cp {previous} {last}` goes on from the one before it" if previous.exists() else ""
        raise InputError(f"{error.message}{hint}") from error


def prepare_folder(folder: Path, description: dict[str, Any]) -> None:
    """Clear the folder of a run that starts or goes on, and write its `config.json`.

    That of a run that goes on has its present settings, and under "first" those that it was begun with.

    Raises:
        InputError: it cannot be written to, or the `config.json` of a run that goes on is damaged.
    """
    try:
        remove_leftovers(folder)
        if (folder / LAST).exists():
            description = description | {"first": _first_description(folder / CONFIG)}
        write_whole(folder / CONFIG, json.dumps(description, indent=1, default=str).encode(), follow=False)
    except OSError as error:
        raise InputError(_not_writable(folder, error)) from error


def _first_description(config: Path) -> Any:
    try:
        value = json.loads(config.read_bytes())
        return value.get("first", value)
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{config}: not as `train` wrote it ({error}); take it away, or give another --run-dir"
        ) from error


def keep_last(folder: Path) -> None:
    """Make `last.pt` the previous one, too, ahead of writing a new one: there is always a whole checkpoint.

    Raises:
        OSError: there is no room for a copy of it.
    """
    last = folder / LAST
    if not last.exists():
        return
    with whole_file(folder / PREVIOUS, follow=False) as temporary:
        try:
            # A hard link to a link would lead to what is written next.
            temporary.hardlink_to(last.resolve())
        except OSError:  # a file system without hard links
            shutil.copyfile(last, temporary)


def describe(settings: SessionSettings, ranks: Ranks) -> dict[str, Any]:
    """What `config.json` holds: the command line, the settings, versions and the state of the source."""
    value = in_files(settings)
    value["loader"]["recipe"] = settings.loader.recipe.to_json()
    return {
        "command": command_without_credentials(sys.argv),
        "settings": value,
        "processes": ranks.count,
        "device": torch.cuda.get_device_name() if ranks.device.type == "cuda" else platform.machine(),
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in ("signshards", "torch", "torchvision", "numpy", "simplejpeg")},
        "git": _git_state(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_state() -> str | None:
    """The commit of the source, with `-dirty` where it was changed; None outside a checkout.

    An environment that the source is installed into may lie in a checkout of something else.
    """
    root = Path(__file__).resolve().parents[2]
    try:
        if _git(root, "rev-parse", "--show-toplevel") != str(root):
            return None
        return _git(root, "describe", "--always", "--dirty", "--abbrev=12") or None
    except FileNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str:
    """What git prints; "" where it fails."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip()
