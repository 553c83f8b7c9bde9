"""Pickles: what is read of them, and that nothing in them runs."""

import datetime
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.pose.layouts.find import find_layout
from pipeline.pose.layouts.pickles import load_pickle
from pipeline.pose.layouts.read import read_keypoints


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    values = {
        "keypoints": [np.arange(6, dtype=dtype).reshape(3, 2) for dtype in ("<f4", ">f8", "i2", "u1", "f2")],
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.float32(0.5),
        "plain": [(1, 2.5), "a", None, True, b"x"],
    }
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(values, protocol))
    found = load_pickle(tmp_path / "a.pkl")
    for one, other in zip(found["keypoints"], values["keypoints"], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found["fortran"], values["fortran"])
    assert found["scalar"] == 0.5
    assert found["plain"] == values["plain"]


class Runs:
    """Leaves a file where a pickle of it is loaded by pickle.load."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.made = call, arguments

    def __reduce__(self) -> Any:
        return self.made


def test_nothing_is_run(tmp_path: Path) -> None:
    victim = tmp_path / "ran"
    for call, arguments in (
        (Path.touch, (victim,)),
        (eval, (f"open({str(victim)!r}, 'w')",)),
        (exec, (f"open({str(victim)!r}, 'w')",)),
        (getattr, ("x", "upper")),
        (np.load, ("x",)),
        (OrderedDict, ()),
        (datetime.date, (2020, 1, 1)),
    ):
        path = tmp_path / "a.pkl"
        path.write_bytes(pickle.dumps({"keypoints": Runs(call, *arguments)}))
        with pytest.raises(ClipError, match=r"a\.pkl: not a pickle of plain lists and numbers"):
            load_pickle(path)
    assert not victim.exists()


def test_hostile_opcodes(tmp_path: Path) -> None:
    array, dtype = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\ndtype\n"
    hostile = [
        array + b"}(S'_call'\nI1\nub.",  # sets an attribute of what it may call
        array + b"N}(S'_call'\nI1\nu\x86b.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        dtype + b"(S'O8'\ntR.",  # an array of objects, whose pointers the pickle would give
        array + b"(tR(I1\n(I1000000000000\nt" + dtype + b"(S'f8'\ntRI00\nS'x'\ntb.",  # far larger than its bytes
        array + b"(tR(I1\n(I-1\nt" + dtype + b"(S'f8'\ntRI00\nS'12345678'\ntb.",
        b"cnumpy.core.multiarray\nscalar\n(" + dtype + b"(S'f8'\ntRS'x'\ntR.",
        b"Pabc\n.",
        b"]" * 5000 + b"a" * 4999 + b".",
        b"\x80\x7f.",
        b".",
    ]
    for number, content in enumerate(hostile):
        (tmp_path / "a.pkl").write_bytes(content)
        with pytest.raises(ClipError, match=re.escape(f"{tmp_path / 'a.pkl'}: ")):
            read_keypoints(tmp_path / "a.pkl", find_layout(tmp_path / "a.pkl"), None)
            pytest.fail(f"{number} was read")


def test_lists_that_hold_one_list_many_times(tmp_path: Path) -> None:
    """A pickle of 2 kB that would be an array of 10^12 numbers."""
    value: Any = [1.0] * 10
    for _ in range(11):
        value = [value] * 10
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"keypoints": value}))
    with pytest.raises(ClipError, match="a frame is not a list of numbers"):
        find_layout(tmp_path / "a.pkl")
    wide: Any = [[[1.0, 2.0, 3.0]] * 100_000] * 1000
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"keypoints": [wide]}))
    with pytest.raises(ClipError, match="or is of more than 100 people"):
        find_layout(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "it holds nothing, where keypoints are wanted"),
        ({"label": 1}, "it holds 'label'"),
        ({"keypoints": 3}, "not a list of frames"),
        ({"keypoints": []}, "not a list of frames"),
        ({"keypoints": [[["a", "b"]]]}, "a frame is not a list of numbers"),
        ({"keypoints": [[[1, 2], [3]]]}, "a frame is not an array of numbers"),
        ({"keypoints": np.zeros((2, 133, 2)), "scores": np.zeros((3, 133))}, "not of the same frames"),
        ({"keypoints": [np.zeros((1, 133, 2)), np.zeros((1, 17, 2))]}, "people of different shapes"),
        ({"keypoints": [np.zeros((0, 133, 2))]}, "no people in its frames"),
    ],
)
def test_pickles_of_something_else(tmp_path: Path, value: Any, said: str) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(ClipError, match=said):
        find_layout(tmp_path / "a.pkl")
