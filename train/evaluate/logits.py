"""Logits files: the `.npz` that `predict --save-logits` writes."""

import json
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from shards.errors import InputError

_LARGEST = 1 << 32  # bytes of all arrays
# What a damaged .npz makes of numpy and zipfile: RuntimeError of the flag for encryption, MemoryError of a shape with
# other digits.
_DAMAGE = (
    ValueError,
    KeyError,
    EOFError,
    OSError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class ModelRecord:
    """A model that gave logits, and what is known of how it was made."""

    checkpoint: str  # the file
    weight: float  # its share where several were fused
    settings: dict[str, str]  # by name, such as `learning_rate`

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def _model_from_json(text: str) -> ModelRecord:
    """ValueError, TypeError or KeyError where `ModelRecord.to_json` did not write it."""
    value = json.loads(text)
    settings = {str(name): str(setting) for name, setting in dict(value["settings"]).items()}
    return ModelRecord(str(value["checkpoint"]), float(value["weight"]), settings)


@dataclass(frozen=True)
class Logits:
    """What a model, or several, said of N samples."""

    source: str  # the file, for errors
    ids: list[str]
    logits: np.ndarray  # float64 (N, C), finite
    classes: list[str]  # C names
    models: tuple[ModelRecord, ...] = ()  # that gave them; files of earlier versions do not say it


def read_logits(path: Path) -> Logits:
    """Read the arrays `ids` (N,), `logits` (N, C), `classes` (C,) and, where it is there, `models` (M,), the JSON of
    `ModelRecord`. Nothing is unpickled.

    Raises:
        InputError: not such a file, an id twice, or logits that are not finite.
    """
    hint = "give a file that `predict --save-logits` wrote"
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(part.file_size for part in file.zip.infolist()) > _LARGEST:
                raise InputError(f"{path}: unfolds to more than {_LARGEST / 1e9:.0f} GB; {hint}")
            ids, logits, classes = file["ids"], file["logits"], file["classes"]
            models = tuple(map(_model_from_json, file["models"].tolist())) if "models" in file else ()
    except (*_DAMAGE, AttributeError, TypeError) as error:
        # np.load gives a plain array for a .npy file, which is no context manager: AttributeError or TypeError.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: cannot be read ({reason}); {hint}") from error
    if ids.dtype.kind != "U" or classes.dtype.kind != "U" or logits.dtype.kind != "f":
        raise InputError(f"{path}: ids and classes must be text and logits floating point; {hint}")
    if (ids.ndim, classes.ndim) != (1, 1) or logits.shape != (ids.size, classes.size) or not ids.size:
        raise InputError(
            f"{path}: logits of shape {logits.shape} for ids of {ids.shape} and classes of {classes.shape}; {hint}"
        )
    if len(np.unique(ids)) < len(ids):
        raise InputError(f"{path}: an id occurs twice; {hint}")
    if not np.isfinite(logits).all():
        broken = ids[~np.isfinite(logits).all(axis=1)]
        raise InputError(f"{path}: {len(broken)} samples have logits that are not finite, e.g. {broken[0]}; {hint}")
    return Logits(str(path), ids.tolist(), logits.astype(np.float64), classes.tolist(), models)


def read_together(paths: Sequence[Path]) -> list[Logits]:
    """Several files about the same samples and classes, in the sample order of the first.

    Raises:
        InputError: a file is unreadable, or its ids or classes are others than the first one's.
    """
    parts = [read_logits(path) for path in paths]
    return [parts[0], *(_in_order_of(parts[0], part) for part in parts[1:])]


def _in_order_of(first: Logits, other: Logits) -> Logits:
    if other.classes != first.classes:
        raise InputError(
            f"{other.source}: has other classes than {first.source}, or in another order; fuse models of one list"
        )
    place = {sample_id: number for number, sample_id in enumerate(other.ids)}
    unlike = set(first.ids) ^ place.keys()
    if unlike:
        raise InputError(
            f"{other.source}: {len(unlike)} ids are not in both this file and {first.source}, e.g. {min(unlike)}; "
            f"predict the same shards with every model"
        )
    rows = [place[sample_id] for sample_id in first.ids]
    return replace(other, ids=first.ids, logits=other.logits[rows])
