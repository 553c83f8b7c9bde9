import io
from dataclasses import replace

import numpy as np
import pytest
from helpers.data.shard_making import Plan, make_sample, make_shards
from PIL import Image

from shards.body135 import HANDS
from shards.errors import InputError
from shards.format.recipe import DEFAULT, REFERENCE
from shards.format.sample import MEMBERS
from shards.format.shardset import open_shards
from train.crops.crop_sample import Crops, SampleReader, decode_into
from train.data.views import EVALUATION, View
from train.data.window import Window, window_frames

WINDOW = Window(4, 2)


@pytest.fixture(scope="module")
def with_depth(made):
    return open_shards(str(made(splits={"train": 6}, depth=True)))


def decoded(jpeg, width, height, channels=3, as_gray=False) -> np.ndarray:
    buffer = np.zeros(height * width * channels, np.uint8)
    decode_into(jpeg, width, height, channels, buffer, as_gray)
    return buffer.reshape(height, width, channels)


def jpegs_at_positions(reader: SampleReader, number: int, crops: Crops) -> list[bytes]:
    jpegs = [bytes(jpeg) for byte_range in crops.ranges for jpeg in reader.jpegs(number, byte_range)]
    assert len(jpegs) == len(crops.sizes)
    return [jpegs[position] for position in crops.positions]


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
        reader = SampleReader(with_depth, WINDOW, DEFAULT, with_depth=True)
        clip = reader.read(number, view)
        info, _ = make_sample(Plan({}, depth=True), "train", number)
        frames = window_frames(info.frames, WINDOW, DEFAULT)
        for crops, depth in ((clip.color, False), (clip.depth, True)):
            jpegs = jpegs_at_positions(reader, number, crops)
            sizes = crops.sizes[crops.positions]
            found = [decoded(jpeg, *size, 1 if depth else 3) for jpeg, size in zip(jpegs, sizes, strict=True)]
            for hand, name in enumerate(HANDS[::-1] if mirrored else HANDS):
                for image, expected in zip(found[hand::2], own_jpegs(number, name, frames, depth), strict=True):
                    # Two decoders: libjpeg-turbo's fast paths differ by a level or two.
                    assert np.abs(image.astype(int) - expected).max() <= 3


def test_repeated_frames_are_decoded_once(made):
    shards = open_shards(str(made(splits={"train": 2}, frames=5)))
    clip = SampleReader(shards, Window(12, 1), DEFAULT, with_depth=False).read(0, EVALUATION)
    assert len(clip.color.sizes) == sum(len(byte_range.jpegs) for byte_range in clip.color.ranges) == 2 * 5
    assert clip.color.positions[-2:] == [4, 9]
    assert len(clip.color.positions) == 24


def test_hands_are_swapped_by_a_mirror_but_not_under_the_reference_recipe(with_depth):
    view = View(mirrored=True, scale_pair=0)
    for recipe in (DEFAULT, REFERENCE):
        reader = SampleReader(with_depth, WINDOW, recipe, with_depth=False)
        clips = [reader.read(1, replace(view, mirrored=mirrored)) for mirrored in (True, False)]
        mirrored, plain = (jpegs_at_positions(reader, 1, clip.color) for clip in clips)
        swapped = [plain[position ^ 1] for position in range(len(plain))]
        assert mirrored == (plain if recipe is REFERENCE else swapped)
        assert plain != swapped


def test_a_color_jpeg_can_lose_its_color():
    _, members = make_sample(Plan({}), "train", 0)
    info, _ = make_sample(Plan({}), "train", 0)
    _, size, width, height = info.hands["left"].jpegs[0].tolist()
    data = memoryview(members["left.mjpg"])[:size]
    gray = decoded(data, width, height, as_gray=True)
    assert (gray == gray[..., :1]).all()
    color = decoded(data, width, height).astype(float)
    assert not (color == color[..., :1]).all()
    assert np.abs(color @ (0.299, 0.587, 0.114) - gray[..., 0]).max() < 2.5
    for as_gray in (False, True):
        with pytest.raises(ValueError):
            decoded(data, width - 1, height, as_gray=as_gray)
        with pytest.raises(ValueError):
            decoded(data, width + 2, height, as_gray=as_gray)


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
        ("flow.npy", 22, b"i"),  # whole numbers
        ("flow.npy", 128, np.float32(1e38).tobytes()),
        ("flow.npy", 132, np.float32(np.nan).tobytes()),
    ],
)
def test_damaged_bytes_name_shard_and_sample(tmp_path, member, at, data):
    shards = overwritten(make_shards(tmp_path / "s", Plan({"train": 2})), 1, member, at, data)
    reader = SampleReader(shards, WINDOW, DEFAULT, with_depth=False)
    with pytest.raises(InputError) as error:
        reader.read(1, EVALUATION)
    assert f"train-000.tar: sample {shards.ids[1]} is damaged (" in error.value.message
    assert "shards verify --full" in error.value.message
    reader.read(0, EVALUATION)


def test_fewer_jpegs_than_frames_are_damage(tmp_path):
    folder = make_shards(tmp_path / "s", Plan({"train": 1}))
    info, _ = make_sample(Plan({}), "train", 0)
    told, more = f'"frames":{info.frames}'.encode(), f'"frames":{99 if info.frames > 9 else 9}'.encode()
    json = info.to_json()
    shards = overwritten(folder, 0, "json", json.index(told), more)
    with pytest.raises(InputError, match="is damaged"):
        SampleReader(shards, WINDOW, DEFAULT, with_depth=False).read(0, EVALUATION)
