import io
import json

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from shards.commands.contents import content_faults
from shards.format.sample import array_from_npy, info_from_json, npy_bytes


def faults(members: dict[str, bytes], classes: int = 3) -> list[str]:
    return list(content_faults(members, classes))


def with_json(members: dict[str, bytes], change) -> dict[str, bytes]:
    value = json.loads(members["json"])
    change(value)
    return members | {"json": json.dumps(value).encode()}


def test_good_sample(members: dict[str, bytes]) -> None:
    assert faults(members) == []


def test_good_sample_without_depth_and_pose(members: dict[str, bytes]) -> None:
    def change(value):
        for hand in value["hands"].values():
            del hand["depth_jpegs"]

    fewer = {name: data for name, data in with_json(members, change).items() if "depth" not in name}
    assert faults(fewer) == []
    del fewer["pose.npy"]
    assert faults(fewer) == []


def test_good_sample_without_video(keypoint_members: dict[str, bytes]) -> None:
    assert faults(keypoint_members) == []
    assert faults({name: data for name, data in keypoint_members.items() if name != "pose.npy"}) == []
    assert faults({"json": keypoint_members["json"]}) == ["has no flow.npy"]


def test_crops_without_hands_in_the_json(members: dict[str, bytes], keypoint_members: dict[str, bytes]) -> None:
    changed = keypoint_members | {"left.mjpg": members["left.mjpg"], "left_depth.mjpg": members["left_depth.mjpg"]}
    assert faults(changed) == ["has left.mjpg, left_depth.mjpg, but no hands in its json"]


def test_hand_that_is_never_seen_is_one_grey_square(members: dict[str, bytes]) -> None:
    square = simplejpeg.encode_jpeg(np.full((16, 16, 1), 128, np.uint8), 95, "GRAY")

    def change(value):
        value["hands"]["left"]["missing"] = [1] * value["frames"]
        value["hands"]["left"]["guessed"] = [0] * value["frames"]
        value["hands"]["left"]["jpegs"] = [[0, len(square), 16, 16]] * value["frames"]

    changed = with_json(members, change) | {"left.mjpg": square}
    assert faults(changed) == []
    changed = with_json(changed, lambda value: value["hands"]["left"].update(missing=[0] * value["frames"]))
    assert faults(changed) == ["left.mjpg: the JPEG at byte 0 is Gray, not YCbCr"]


@pytest.mark.parametrize("name", ["json", "left.mjpg", "right.mjpg", "flow.npy"])
def test_absent_member(members: dict[str, bytes], name: str) -> None:
    assert faults({key: data for key, data in members.items() if key != name}) == [f"has no {name}"]


def test_depth_of_one_hand(members: dict[str, bytes]) -> None:
    found = faults({key: data for key, data in members.items() if key != "left_depth.mjpg"})
    assert found == [
        "has depth of one hand only",
        "left_depth.mjpg and depth_jpegs in the json: there is one without the other",
    ]


def test_json_that_is_none(members: dict[str, bytes]) -> None:
    (fault,) = faults(members | {"json": members["json"][:-10]})
    assert fault.startswith("json cannot be read")


@pytest.mark.parametrize(
    "change",
    [
        {"frames": "12"},
        {"frames": 12.0},
        {"frames": True},
        {"width": None},
        {"height": [120]},
        {"label": "x"},
        {"label": 1.5},
        {"label": False},
        {"fps": "30"},
        {"id": 7},
        {"signer": None},
    ],
)
def test_json_of_other_types(members: dict[str, bytes], change: dict) -> None:
    (fault,) = faults(with_json(members, lambda value: value.update(change)))
    assert fault.startswith(f"json cannot be read (not the JSON of a sample: {next(iter(change))} is ")


@pytest.mark.parametrize(
    ("table", "value"),
    [
        *(
            (name, one)
            for name in ("missing", "guessed")
            for one in ([[0], [1]], [0, 2], ["0"], [0.5], [None], None, 3)
        ),
        *(
            (name, value)
            for name in ("boxes", "jpegs")
            for value in ([[0, 0, 1]], [0, 0, 1, 1], [["0"] * 4], [[0.5] * 4])
        ),
        *((name, value) for name in ("boxes", "jpegs") for value in ([[10**30] * 4], [[[0] * 4]], {}, "", 3, None)),
        ("depth_jpegs", [[0, 0, 1, None]]),
        ("boxes", [[2**31] * 4]),
    ],
)
def test_tables_of_other_types(members: dict[str, bytes], table: str, value: object) -> None:
    (fault,) = faults(with_json(members, lambda whole: whole["hands"]["left"].update({table: value})))
    assert fault.startswith("json cannot be read (")


def test_empty_tables_are_a_fault_of_their_length(members: dict[str, bytes]) -> None:
    empty = {"boxes": [], "missing": [], "jpegs": [], "depth_jpegs": []}
    found = faults(with_json(members, lambda whole: whole["hands"]["left"].update(empty)))
    assert any(fault.startswith("json has 0 boxes of the left hand") for fault in found)


def test_class_that_is_not_there(members: dict[str, bytes]) -> None:
    assert faults(with_json(members, lambda value: value.update(label=3))) == [
        "json has class 3, the shard set has 3 classes"
    ]
    assert faults(with_json(members, lambda value: value.update(label=None))) == []


@pytest.mark.parametrize("name", ["flow.npy", "pose.npy"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(members: dict[str, bytes], name: str, value: float) -> None:
    array = array_from_npy(members[name]).copy()
    array[3, 7, 1] = value
    assert faults(members | {name: npy_bytes(array)}) == [f"{name} has values that are not finite"]
    array[3, 7, 1] = 1e38
    assert faults(members | {name: npy_bytes(array)}) == [f"{name} has a value of 1e+38; none may be beyond ±65504"]


@pytest.mark.parametrize(
    "change", [lambda a: a[1:], lambda a: a[:, 1:], lambda a: a[..., :1], lambda a: a.astype(np.float64), np.ravel]
)
@pytest.mark.parametrize("name", ["flow.npy", "pose.npy"])
def test_wrong_shape_or_dtype(members: dict[str, bytes], name: str, change) -> None:
    (fault,) = faults(members | {name: npy_bytes(change(array_from_npy(members[name])))})
    assert fault.startswith(f"{name} is float")


def test_arrays_that_cannot_be_read(members: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    for data in (b"", b"\x93NUMPY", members["flow.npy"][:-4], buffer.getvalue()):
        (fault,) = faults(members | {"flow.npy": data})
        assert fault.startswith("flow.npy cannot be read")


def first_jpeg(members: dict[str, bytes], name: str) -> tuple[int, int]:
    hand, _, depth = name.partition(".")[0].partition("_")
    track = info_from_json(members["json"]).hands[hand]
    offset, size, _, _ = (track.depth_jpegs if depth else track.jpegs)[5]
    return int(offset), int(size)


@pytest.mark.parametrize("name", ["left.mjpg", "right.mjpg", "left_depth.mjpg", "right_depth.mjpg"])
def test_damaged_jpeg(members: dict[str, bytes], name: str) -> None:
    offset, size = first_jpeg(members, name)
    data = bytearray(members[name])
    data[offset + size // 2 : offset + size - 2] = bytes(size - 2 - size // 2)
    (fault,) = faults(members | {name: bytes(data)})
    assert fault.startswith(f"{name}: the JPEG at byte {offset} is damaged")


def test_jpeg_without_its_end(members: dict[str, bytes]) -> None:
    offset, size = first_jpeg(members, "left.mjpg")
    data = bytearray(members["left.mjpg"])
    data[offset + size - 1] ^= 1
    (fault,) = faults(members | {"left.mjpg": bytes(data)})
    assert fault == f"left.mjpg: the JPEG at byte {offset} does not begin and end as a JPEG does"


@pytest.mark.parametrize(
    ("size", "said"), [((20, 10), "is 60000×60000, in the json 20×10"), ((60000, 60000), "larger than any crop")]
)
def test_a_jpeg_larger_than_any_crop_is_not_decoded(members: dict[str, bytes], monkeypatch, size, said: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    frame = data.index(b"\xff\xc0")  # its height and width follow
    data[frame + 5 : frame + 9] = (60000).to_bytes(2, "big") * 2

    def change(value):
        for hand in value["hands"].values():
            hand["jpegs"] = [[0, len(data), *size]] * value["frames"]
            del hand["depth_jpegs"]

    bombs = {"json": with_json(members, change)["json"], "flow.npy": members["flow.npy"]}
    bombs |= {"left.mjpg": bytes(data), "right.mjpg": bytes(data)}
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_: pytest.fail("10 GB would be decoded"))
    found = faults(bombs)
    assert [fault.partition(":")[0] for fault in found] == ["left.mjpg", "right.mjpg"]
    assert all(said in fault for fault in found)


def test_color_in_a_depth_member(members: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(buffer, "JPEG")
    data = buffer.getvalue()

    def change(value):
        value["hands"]["left"]["depth_jpegs"] = [[0, len(data), 20, 10]] * value["frames"]

    changed = with_json(members, change) | {"left_depth.mjpg": data}
    assert faults(changed) == ["left_depth.mjpg: the JPEG at byte 0 is YCbCr, not Gray"]


@pytest.mark.parametrize("place", range(4))
def test_wrong_offset_size_width_or_height(members: dict[str, bytes], place: int) -> None:
    def change(value):
        value["hands"]["left"]["jpegs"][4][place] += 1

    (fault,) = faults(with_json(members, change))
    expected = "do not fill its" if place < 2 else "in the json"
    assert fault.startswith("left.mjpg: ")
    assert expected in fault


def test_bytes_that_belong_to_no_frame(members: dict[str, bytes]) -> None:
    (fault,) = faults(members | {"right.mjpg": members["right.mjpg"] + b"\xff\xd8\xff\xd9"})
    assert "do not fill" in fault


@pytest.mark.parametrize("name", ["boxes", "missing", "guessed", "jpegs", "depth_jpegs"])
def test_a_frame_too_few(members: dict[str, bytes], name: str) -> None:
    found = faults(with_json(members, lambda value: value["hands"]["left"][name].pop()))
    frames = info_from_json(members["json"]).frames
    assert f"json has {frames - 1} {name} of the left hand for {frames} frames" in found


@pytest.mark.parametrize("box", [[-1, 0, 5, 5], [5, 5, 5, 9], [0, 0, 161, 5], [0, 0, 5, 121], [9, 0, 5, 5]])
def test_box_that_is_none(members: dict[str, bytes], box: list[int]) -> None:
    def change(value):
        value["hands"]["left"]["boxes"][0] = box

    assert faults(with_json(members, change)) == ["json has a box of the left hand that is empty or not inside 160×120"]
    missing = with_json(members, change)
    missing = with_json(missing, lambda value: value["hands"]["left"]["missing"].__setitem__(0, 1))
    assert faults(missing) == []  # a hand that is not there may have any box


def test_what_is_missing_is_no_guess(members: dict[str, bytes]) -> None:
    def change(value):
        value["hands"]["left"]["missing"][3] = value["hands"]["left"]["guessed"][3] = 1

    assert faults(with_json(members, change)) == ["json has frames in which the left hand is missing and guessed"]
    assert faults(with_json(members, lambda value: value["hands"]["left"].pop("guessed"))) == []  # an earlier version's
