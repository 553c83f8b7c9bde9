import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from shard_making import Plan, make_sample, make_shards

from shards.errors import InputError
from shards.recipe import DEFAULT, REFERENCE
from shards.sample import HANDS, MEMBERS
from shards.shardset import MemberReader, open_shards
from train.clip import decode_into, read_clip
from train.features import pose_features
from train.views import EVALUATION, View
from train.window import Window, window_frames

WINDOW = Window(4, 2)


@pytest.fixture(scope="module")
def with_depth(made):
    return open_shards(str(made(splits={"train": 6}, depth=True)))


def decoded(jpeg, channels=3) -> np.ndarray:
    buffer = np.zeros(jpeg.height * jpeg.width * channels, np.uint8)
    decode_into(jpeg, channels, buffer)
    return buffer.reshape(jpeg.height, jpeg.width, channels)


def own_jpegs(number: int, hand: str, frames, depth: bool) -> list[np.ndarray]:
    """The crops of some frames as Pillow decodes them from what the sample was made of."""
    info, members = make_sample(Plan({}, depth=True), "train", number)
    table = info.hands[hand].depth_jpegs if depth else info.hands[hand].jpegs
    data = members[f"{hand}_depth.mjpg" if depth else f"{hand}.mjpg"]
    images = [Image.open(io.BytesIO(data[offset : offset + size])) for offset, size, _, _ in table[frames]]
    return [np.asarray(image).reshape(image.height, image.width, -1) for image in images]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_clip_is_what_the_sample_was_made_of(with_depth, mirrored):
    for number in range(6):
        view = replace(EVALUATION, mirrored=mirrored)
        clip = read_clip(with_depth, MemberReader(with_depth), number, WINDOW, view, DEFAULT, with_depth=True)
        info, _ = make_sample(Plan({}, depth=True), "train", number)
        frames = window_frames(info.frames, WINDOW, DEFAULT)
        for crops, depth in ((clip.color, False), (clip.depth, True)):
            found = [decoded(crops.jpegs[place], 1 if depth else 3) for place in crops.place]
            for hand, name in enumerate(HANDS[::-1] if mirrored else HANDS):
                for image, expected in zip(found[hand::2], own_jpegs(number, name, frames, depth), strict=True):
                    # Two decoders: libjpeg-turbo's fast paths differ by a level or two.
                    assert np.abs(image.astype(int) - expected).max() <= 3


def test_repeated_frames_are_decoded_once(made):
    shards = open_shards(str(made(splits={"train": 2}, frames=5)))
    clip = read_clip(shards, MemberReader(shards), 0, Window(12, 1), EVALUATION, DEFAULT, with_depth=False)
    assert len(clip.color.jpegs) == 2 * 5
    assert clip.color.place.tolist()[-2:] == [4, 9]
    assert len(clip.color.place) == len(clip.color.boxes) == 24


def test_flow_is_mirrored_with_the_hands_but_not_under_the_reference_recipe(with_depth):
    reader, view = MemberReader(with_depth), View(mirrored=True, scale_pair=0)
    flow = np.load(io.BytesIO(make_sample(Plan({}, depth=True), "train", 1)[1]["flow.npy"]))
    for recipe in (DEFAULT, REFERENCE):
        clip = read_clip(with_depth, reader, 1, WINDOW, view, recipe, with_depth=False)
        frames = window_frames(len(flow) + 1, WINDOW, recipe)
        np.testing.assert_array_equal(clip.pose, pose_features(flow, frames, recipe, mirrored=recipe is DEFAULT))
        unmirrored = read_clip(with_depth, reader, 1, WINDOW, replace(view, mirrored=False), recipe, with_depth=False)
        assert (
            clip.color.jpegs[clip.color.place[0]].data == unmirrored.color.jpegs[unmirrored.color.place[0]].data
        ) == (recipe is REFERENCE)


def test_reference_depth_boxes_run_over_the_edge_and_colour_boxes_do_not(with_depth):
    view = View(scale_pair=0, place=3)
    clip = read_clip(with_depth, MemberReader(with_depth), 0, WINDOW, view, REFERENCE, with_depth=True)
    for crops, over in ((clip.color, False), (clip.depth, True)):
        for place, box in zip(crops.place, crops.boxes, strict=True):
            jpeg = crops.jpegs[place]
            assert (box[2] > jpeg.width + 1) == over
            assert (box[3] > jpeg.height + 1) == over


def test_a_colour_jpeg_can_lose_its_colour():
    _, members = make_sample(Plan({}), "train", 0)
    info, _ = make_sample(Plan({}), "train", 0)
    from train.clip import Jpeg

    _, size, width, height = info.hands["left"].jpegs[0].tolist()
    data = memoryview(members["left.mjpg"])[:size]
    grey = decoded(Jpeg(data, width, height, as_grey=True))
    assert (grey == grey[..., :1]).all()
    color = decoded(Jpeg(data, width, height)).astype(float)
    assert not (color == color[..., :1]).all()
    assert np.abs(color @ (0.299, 0.587, 0.114) - grey[..., 0]).max() < 2.5
    with pytest.raises(ValueError):
        decoded(Jpeg(data, width - 1, height))
    with pytest.raises(ValueError):
        decoded(Jpeg(data, width + 2, height))


def overwritten(folder, number: int, member: str, at: int, data: bytes):
    """The shard set with bytes of a member replaced, the tar's size unchanged."""
    shards = open_shards(str(folder))
    offset = int(shards.offsets[number, MEMBERS.index(member)])
    with shards.paths[shards.shard[number]].open("r+b") as file:
        file.seek(offset + at)
        file.write(data)
    return shards


@pytest.mark.parametrize(
    ("member", "at", "data"),
    [
        ("json", 0, b"{,"),
        ("json", 1, b'"ix"'),  # another key
        ("json", 7, b"x"),  # another sample's
        ("flow.npy", 0, b"PK"),
        ("flow.npy", 8, b"\x01"),  # a header of one byte, which numpy's parser cannot end
        ("flow.npy", 21, b","),  # '<f4' as '<,4'
        ("flow.npy", 0, b"\x80\x04"),  # a pickle is not read
    ],
)
def test_damaged_bytes_name_shard_and_sample(tmp_path, member, at, data):
    shards = overwritten(make_shards(tmp_path / "s", Plan({"train": 2})), 1, member, at, data)
    with pytest.raises(InputError) as error:
        read_clip(shards, MemberReader(shards), 1, WINDOW, EVALUATION, DEFAULT, with_depth=False)
    assert f"train-000.tar: sample {shards.ids[1]} is damaged (" in error.value.message
    assert "shards verify --full" in error.value.message
    read_clip(shards, MemberReader(shards), 0, WINDOW, EVALUATION, DEFAULT, with_depth=False)


def test_fewer_jpegs_than_frames_are_damage(tmp_path):
    folder = make_shards(tmp_path / "s", Plan({"train": 1}))
    info, _ = make_sample(Plan({}), "train", 0)
    told, more = f'"frames":{info.frames}'.encode(), f'"frames":{99 if info.frames > 9 else 9}'.encode()
    json = info.to_json()
    shards = overwritten(folder, 0, "json", json.index(told), more)
    with pytest.raises(InputError, match="is damaged"):
        read_clip(shards, MemberReader(shards), 0, WINDOW, EVALUATION, DEFAULT, with_depth=False)
