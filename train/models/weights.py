"""Reading torch files that others made, without ever running code from them."""

import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shards.errors import InputError, escaped

# A damaged pickle can fail in any of its steps: 400,000 files, cut short or with up to 8 bytes changed, raised these
# from torch.load and no other but OverflowError, of numbers that somebody chose.
DAMAGE = (
    pickle.UnpicklingError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
# What a damaged directory makes of zipfile; ValueError of names, RuntimeError of the flag for encryption.
_ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


def load_untrusted(path: Path, allowed: Sequence[Callable | tuple[Callable, str]] = ()) -> Any:
    """What `torch.save` wrote to `path`: tensors (on the CPU) and plain values only; nothing in the file is executed.

    Args:
        path: the file.
        allowed: globals that the file may name besides torch's own tensors, as `torch.serialization.safe_globals` takes
            them: `(stand_in, "module.name")` gives `stand_in` where the file says `module.name`, which is not imported.

    Raises:
        InputError: the file cannot be read, is damaged, is no torch file, names another global, or needs more
            memory than there is.
    """
    _check_sums(path)
    with torch.serialization.safe_globals(list(allowed)), warnings.catch_warnings():
        # Torch warns of pickle protocols that it then refuses: the one line below says enough.
        warnings.simplefilter("ignore")
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}); give a torch file") from error
        except (MemoryError, *DAMAGE) as error:
            raise InputError(f"{path}: {_reason(error)}") from error


def _check_sums(path: Path) -> None:
    """InputError where a part of a zip does not match its CRC-32: torch writes them, but does not look at them."""
    try:
        if not zipfile.is_zipfile(path):
            return  # of the format before torch 1.6, or `torch.load` says what is wrong
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); give a torch file") from error
    except _ZIP_DAMAGE as error:
        raise InputError(f"{path}: damaged ({error}); give another file") from error
    if wrong:
        raise InputError(f"{path}: damaged (the checksum of {wrong} is wrong); give another file")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch has no class for it."""
    return isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)


def _reason(error: Exception) -> str:
    """Why torch refused a file, in one line; torch's own text is many lines and advises to load the file unsafely."""
    if out_of_memory(error):
        return "needs more memory than there is; free some, or give another"
    refused = re.search(r"GLOBAL (\S+)", str(error))
    if refused:
        name = escaped(refused[1])
        return f"refused, as it names {name}, which could run code; give a file of tensors and plain values only"
    detail = re.search(r"WeightsUnpickler error: (.+)", str(error)) or re.search(r"(.+)", str(error))
    # RuntimeErrors of the zip reader go on for many sentences.
    first = escaped(detail[1]).split(". ")[0] if detail else type(error).__name__
    return f"damaged, or not a torch file ({first}); copy it again, or give another"


def load_state(module: nn.Module, state: Mapping[str, Any], source: Path | str) -> None:
    """Load the weights `state`, read from `source`, into `module`; every name and shape must fit.

    Only batch norm's `num_batches_tracked` may be missing: files older than torch 0.4.1 lack it, and with a fixed
    momentum, as here, no layer reads it.

    Raises:
        InputError: names are missing, unexpected or of another shape (up to five of each are named), or a value is not
            a finite number.
    """
    check_state(module, state, source)
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{source}: its weights {name} are not all finite numbers; give another checkpoint")
    module.load_state_dict(state, strict=False)


def _is_stored(value: Tensor) -> bool:
    """Whether all numbers of a tensor are in memory: a file can say one number for a tensor of any size, or none."""
    whole = value.layout == torch.strided and value.device.type == "cpu"
    return whole and value.untyped_storage().nbytes() >= value.numel() * value.element_size()


def check_state(module: nn.Module, state: Mapping[str, Any], source: Path | str) -> None:
    """InputError where names, shapes or kinds of the weights are not those of `module`, see `load_state`."""
    wanted = {name: (value.shape, value.is_floating_point()) for name, value in module.state_dict().items()}
    given = {
        name: (value.shape, value.is_floating_point()) if isinstance(value, Tensor) and _is_stored(value) else None
        for name, value in state.items()
    }
    problems = {
        "missing": {name for name in wanted.keys() - given.keys() if not name.endswith("num_batches_tracked")},
        "unexpected": given.keys() - wanted.keys(),
        "of another shape": {name for name in wanted.keys() & given.keys() if wanted[name] != given[name]},
    }
    found = [
        f"{len(names)} {problem}: {escaped(', '.join(sorted(map(str, names))[:5]))}{', …' if len(names) > 5 else ''}"
        for problem, names in problems.items()
        if names
    ]
    if found:
        raise InputError(f"{source}: its weights do not fit the model ({'; '.join(found)}); give a file of this model")
