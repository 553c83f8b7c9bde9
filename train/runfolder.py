"""A run's folder: what lies in it, whether it may be used, and what it says about the run."""

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from shards.errors import InputError
from shards.files import remove_leftovers, whole_file, write_whole
from train.checkpoint import Checkpoint, read_checkpoint
from train.distributed import Ranks
from train.settings import SessionSettings

CONFIG, LAST, PREVIOUS, BEST = "config.json", "last.pt", "previous.pt", "best.pt"


def open_folder(folder: Path, resume: bool) -> Checkpoint | None:
    """The checkpoint to go on from; None for a run that starts.

    Raises:
        InputError: there is no run to resume, its checkpoint is damaged, or a run that was not to be resumed.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    if not resume:
        if last.exists() or previous.exists():
            raise InputError(f"{folder}: holds a run already; give --resume to go on with it, or another --run-dir")
        return None
    if not (folder / CONFIG).exists():
        raise InputError(f"{folder}: no run to resume; leave --resume out, or give another --run-dir")
    if not last.exists() and not previous.exists():
        return None  # killed before its first checkpoint
    try:
        return read_checkpoint(last)
    except InputError as error:
        hint = f"; `cp {previous} {last}` goes on from the one before it" if previous.exists() else ""
        raise InputError(f"{error.message}{hint}") from error


def prepare_folder(folder: Path, description: dict[str, Any]) -> None:
    """Make the folder of a run that starts or goes on; a run that starts gets its `config.json`.

    Raises:
        InputError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        if not (folder / LAST).exists():
            write_whole(folder / CONFIG, json.dumps(description, indent=1, default=str).encode())
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}); give another --run-dir") from error


def keep_last(folder: Path) -> None:
    """Make `last.pt` the previous one, too, ahead of writing a new one: there is always a whole checkpoint."""
    last = folder / LAST
    if not last.exists():
        return
    with whole_file(folder / PREVIOUS) as temporary:
        try:
            temporary.hardlink_to(last)
        except OSError:  # a file system without hard links
            shutil.copyfile(last, temporary)


def describe(settings: SessionSettings, ranks: Ranks) -> dict[str, Any]:
    """What `config.json` holds: the command line, the settings, versions and the state of the source."""
    value = asdict(settings)
    value["loader"]["recipe"] = settings.loader.recipe.to_json()
    return {
        "command": sys.argv,
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
    """The commit of the source, with `-dirty` where it was changed; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
