"""The hand-crop stage on generated clips: what stands in a sample agrees with the video it was cut from."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.data.clip_making import moving_keypoints
from PIL import Image

from pipeline.hands.cutter import CutStyle, Cutter, HandPlan, plan_hand
from pipeline.video.decode import WantedStream, decode
from pipeline.video.recording import Recording
from pipeline.workspace.clip import Video
from shards.body135 import HANDS
from shards.format.recipe import DEFAULT, REFERENCE
from shards.format.sample import SampleInfo, info_from_json
from shards.format.shardset import MemberReader, open_shards

VIDEO = Video(10, 160, 120, 30.0)


def samples(work: Path) -> dict[str, tuple[SampleInfo, dict[str, bytes]]]:
    shards = open_shards(str(work / "shards"))
    reader = MemberReader(shards)
    found = {}
    for number, sample_id in enumerate(shards.ids.to_pylist()):
        names = ("json", "left.mjpg", "right.mjpg", "left_depth.mjpg", "right_depth.mjpg", "flow.npy", "pose.npy")
        members = {name: reader.read(number, place) for place, name in enumerate(names)}
        found[sample_id] = info_from_json(members["json"]), members
    reader.close()
    return found


def frames_of(ffmpeg: str, path: Path) -> np.ndarray:
    command = [ffmpeg, "-loglevel", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 120, 160, 3)


def picture(member: bytes, row: np.ndarray) -> np.ndarray:
    offset, size, width, height = row.tolist()
    image = Image.open(io.BytesIO(member[offset : offset + size]))
    assert image.size == (width, height)
    return np.asarray(image)


def nearest_shift(shown: np.ndarray, frame: np.ndarray, box: np.ndarray) -> tuple[int, int]:
    """By how many pixels (x, y, at most 1) a box must move to fit best what is shown."""
    x0, y0, x1, y1 = box.tolist()
    padded = np.pad(frame.astype(int), [(1, 1), (1, 1), (0, 0)][: frame.ndim], mode="edge")
    errors = {
        (x, y): np.abs(padded[y0 + 1 + y : y1 + 1 + y, x0 + 1 + x : x1 + 1 + x] - shown).mean()
        for x in (-1, 0, 1)
        for y in (-1, 0, 1)
    }
    return min(errors, key=errors.get)


@pytest.mark.parametrize("fixture", ["tiny_work", "tiny_reference_work"])
def test_crops_show_the_boxes_of_the_video(
    fixture: str, tiny: Path, ffmpeg: str, request: pytest.FixtureRequest
) -> None:
    for sample_id, (info, members) in samples(request.getfixturevalue(fixture)).items():
        (color,) = (tiny / "mp4").glob(f"*/{sample_id}_color.mp4")
        (depth,) = (tiny / "mp4").glob(f"*/{sample_id}_depth.mp4")
        video, gray_video = frames_of(ffmpeg, color), frames_of(ffmpeg, depth)
        assert info.frames == len(video)
        for hand in HANDS:
            track = info.hands[hand]
            for t in np.flatnonzero(~track.missing):
                shown = picture(members[f"{hand}.mjpg"], track.jpegs[t])
                assert nearest_shift(shown, video[t], track.boxes[t]) == (0, 0)
                gray = picture(members[f"{hand}_depth.mjpg"], track.depth_jpegs[t])
                assert nearest_shift(gray, gray_video[t, :, :, 1], track.boxes[t]) == (0, 0)


def test_a_missing_hand_takes_the_nearest_crop(tiny_work: Path) -> None:
    for info, members in samples(tiny_work).values():
        track = info.hands["right"]
        lost = np.flatnonzero(track.missing)
        assert len(lost) == 2
        assert track.jpegs[lost].tolist() == track.jpegs[[lost[0] - 1, lost[1] + 1]].tolist()
        # Nothing is stored twice, and nothing lies between the JPEGs.
        places = np.unique(track.jpegs[:, :2], axis=0)
        assert len(places) == info.frames - 2
        assert places[:, 1].sum() == len(members["right.mjpg"])


def test_the_reference_stores_the_whole_frame_for_a_missing_hand(tiny_reference_work: Path) -> None:
    for info, _ in samples(tiny_reference_work).values():
        track = info.hands["right"]
        assert (track.jpegs[track.missing, 2:] == [160, 120]).all()
        assert len(np.unique(track.jpegs[:, 0])) == info.frames


def test_a_hand_that_is_never_seen_has_no_source() -> None:
    keypoints = moving_keypoints(10, 0)
    keypoints[:, 9] = 0
    plan = plan_hand(keypoints, "left", VIDEO, DEFAULT)
    assert not plan.guessed.any()  # what is missing is no guess
    assert plan.missing.all()
    assert plan.source is None
    assert (plan_hand(keypoints, "left", VIDEO, REFERENCE).cut == [0, 0, 160, 120]).all()


def test_keypoints_and_flow_travel_unchanged(tiny_work: Path) -> None:
    for sample_id, (_, members) in samples(tiny_work).items():
        assert members["flow.npy"] == (tiny_work / "poseflow" / f"{sample_id}.npy").read_bytes()
        np.testing.assert_array_equal(
            np.load(io.BytesIO(members["pose.npy"])), np.load(tiny_work / "keypoints" / f"{sample_id}.npy")
        )


BOXES = [(11, 21, 70, 90), (10, 20, 71, 91), (11, 21, 71, 91), (10, 20, 160, 120), (11, 21, 160, 120)]


@pytest.mark.parametrize("box", BOXES)
def test_a_crop_is_the_same_whatever_else_is_cut(ffmpeg: str, tmp_path: Path, box: tuple[int, ...]) -> None:
    """The region that comes through the pipe depends on all boxes; a crop must not."""
    video, path = Video(1, 160, 120, 30.0), str(tmp_path / "noise.mp4")
    noise = [
        "-f",
        "lavfi",
        "-i",
        "nullsrc=size=160x120,geq=random(1)*255:random(2)*255:random(3)*255",
        "-frames:v",
        "1",
    ]
    subprocess.run([ffmpeg, "-loglevel", "error", *noise, "-pix_fmt", "yuv420p", path], check=True)

    def cut(left: tuple[int, ...], right: tuple[int, ...]) -> bytes:
        plans = {
            hand: HandPlan(np.array([box]), np.array([box]), np.array([False]), np.array([False]), np.array([0]))
            for hand, box in (("left", left), ("right", right))
        }
        cutter = Cutter(plans, video, CutStyle(is_depth=False, opencv_color=False, aliased=False, quality=95))
        for _, frame in decode([WantedStream(Recording(path), video, "planes", cutter.region)], ffmpeg):
            cutter.add(frame)
        return cutter.result()["left"][0]

    assert cut(box, box) == cut(box, (0, 0, 160, 120))
