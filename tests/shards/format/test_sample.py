import io
import json
from dataclasses import replace

import numpy as np
import pytest

from shards.format.sample import array_from_npy, info_from_json, npy_bytes


def test_info_survives_its_json_byte_for_byte(members: dict[str, bytes]) -> None:
    info = info_from_json(members["json"])
    assert info.to_json() == members["json"]
    named = replace(info, id="işaret", label=None, fps=29.97002997002997)
    again = info_from_json(named.to_json())
    assert (again.id, again.label, again.fps) == ("işaret", None, 29.97002997002997)
    assert "işaret".encode() in named.to_json()


def test_info_has_the_types_it_promises(members: dict[str, bytes]) -> None:
    info = info_from_json(members["json"])
    for track in info.hands.values():
        assert track.boxes.dtype == np.int32
        assert track.boxes.shape == track.jpegs.shape == track.depth_jpegs.shape == (info.frames, 4)
        assert track.missing.dtype == bool
        assert track.missing.shape == (info.frames,)
    assert info.hands["right"].missing.sum() == 2  # the fixture loses the right wrist in two frames


def test_a_sample_without_video_has_no_hands(keypoint_members: dict[str, bytes]) -> None:
    info = info_from_json(keypoint_members["json"])
    assert info.hands == {}
    assert info.to_json() == keypoint_members["json"]
    assert "hands" not in json.loads(info.to_json())


@pytest.mark.parametrize(
    "change",
    [
        lambda value: [],
        lambda value: None,
        lambda value: value | {"hands": {}},
        lambda value: value | {"hands": {"left": 3, "right": 3}},
        lambda value: value | {"color": "red"},
        *(lambda value, key=key: value | {key: 0} for key in ("fps", "width", "height", "frames")),
        lambda value: value | {"frames": -1},
        *(lambda value, key=key: value | {key: 2**31} for key in ("label", "fps", "width", "height", "frames")),
        lambda value: value | {"fps": 1e308},
        lambda value: value | {"fps": 1e-308},
        lambda value: value | {"label": -3},
        lambda value: value | {"hands": None},
        lambda value: {key: value[key] for key in value if key != "fps"},
        lambda value: value | {"hands": {"left": {"boxes": [[0, 0, 1]], "missing": [], "jpegs": []}, "right": {}}},
        lambda value: value | {"hands": {"left": {"boxes": [[10**12] * 4], "missing": [], "jpegs": []}, "right": {}}},
    ],
)
def test_wrong_json_is_one_of_two_errors(members: dict[str, bytes], change) -> None:
    with pytest.raises((KeyError, ValueError)):
        info_from_json(json.dumps(change(json.loads(members["json"]))).encode())
    with pytest.raises(ValueError):
        info_from_json(members["json"][:-5])


def test_npy_round_trip_and_no_pickles() -> None:
    array = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert np.array_equal(array_from_npy(memoryview(npy_bytes(array))), array)
    with pytest.raises(ValueError):
        npy_bytes(np.array([object()]))
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError):
        array_from_npy(buffer.getvalue())


@pytest.mark.parametrize(
    "shape", [f"({2**63},)", "(True, 135, 2)", "(-1, 270)", "-" * 3000 + "1", f"({2**39}, {2**39})"]
)
def test_shapes_that_no_sample_has_are_refused(shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    data = b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header + bytes(1080)
    with pytest.raises(ValueError, match=r"array|header|npy|Header"):
        array_from_npy(data)
