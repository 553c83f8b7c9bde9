"""Pickles, read without running anything that they name: plain containers, numbers and arrays of numbers."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.layouts.keypoint_files import one_line

# Whatever a damaged or hostile pickle makes of the unpickler and of the few constructors below.
_DAMAGE: tuple[type[Exception], ...] = (pickle.UnpicklingError, EOFError, AttributeError, ImportError, LookupError)
_DAMAGE += (ValueError, TypeError, MemoryError, RecursionError, ArithmeticError)


class _Dtype:
    """Stands in for numpy.dtype: a type of numbers, and the byte order that its state gives."""

    __slots__ = ("dtype",)

    def __init__(self, name: str, *_: Any) -> None:
        if not isinstance(name, str) or np.dtype(name).kind not in "biuf":
            raise pickle.UnpicklingError(f"an array of {name!r}, which are no numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands in for an empty numpy.ndarray, until its state comes."""

    __slots__ = ("value",)

    value: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _from_bytes(data, dtype, shape, "F" if fortran else "C").value


def _from_bytes(data: Any, dtype: Any, shape: Any, order: Any = "C") -> _Array:
    if isinstance(data, str):  # protocol 2 and Python 2
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray) or not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("an array that is not one of numbers")
    if math.prod(shape) * dtype.dtype.itemsize != len(data):
        raise pickle.UnpicklingError("an array of another size than its bytes")
    array = _Array()
    array.value = np.frombuffer(data, dtype.dtype).reshape(shape, order=order)
    return array


class _Constructor:
    """A function that a pickle may call; without attributes that a pickle could set."""

    __slots__ = ("_call",)

    _call: Callable[..., Any]

    def __init__(self, call: Any) -> None:
        object.__setattr__(self, "_call", call)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("it sets attributes")

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


def _scalar(dtype: Any, data: Any) -> float | int:
    return _from_bytes(data, dtype, (1,)).value[0].item()


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes, as protocol 2 writes them."""
    if encoding != "latin1" or not isinstance(text, str):
        raise pickle.UnpicklingError("text that is not bytes")
    return text.encode(encoding)


_NDARRAY = object()  # only ever handed to `_reconstruct`, which does not look at it
_ALLOWED = {
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": _Constructor(_Dtype),
    "numpy.core.multiarray._reconstruct": _Constructor(lambda *_: _Array()),
    "numpy.core.multiarray.scalar": _Constructor(_scalar),
    "numpy.core.numeric._frombuffer": _Constructor(_from_bytes),
    "_codecs.encode": _Constructor(_encode),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        key = f"{module}.{name}".replace("numpy._core.", "numpy.core.", 1)
        if key not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and objects are not made from pickles")
        return _ALLOWED[key]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it names something outside of it")


def load_pickle(path: Path) -> Any:
    """The content of a pickle: containers, text, numbers, and arrays of numbers.

    Raises:
        ClipError: the file is damaged, or names anything else; nothing of it was run.
    """
    try:
        with path.open("rb") as file:
            return plain(_Unpickler(file, encoding="latin1").load())
    except _DAMAGE as error:
        raise ClipError(f"{path}: not a pickle of plain lists and numbers ({one_line(error)})") from error


def plain(value: Any) -> Any:
    """The value with its arrays in place of what stood in for them: in a dict, and in lists in it."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(item, _Array) for item in value):
        return [plain(item) for item in value]
    return value
