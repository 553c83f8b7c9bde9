import subprocess
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from helpers.data.clip_making import make_clip, moving_keypoints
from PIL import Image, ImageDraw

from pipeline import overlay
from pipeline.errors import ClipError
from pipeline.hands.boxes import hand_boxes
from pipeline.overlay import PANEL, Answer, Canvas, answer_at, draw_frames, draw_panel, draw_video
from pipeline.video.decode import WantedStream, decode
from pipeline.video.probe import probe
from pipeline.video.program import ffmpeg_binary
from pipeline.video.recording import Recording
from shards.body135 import HANDS
from shards.errors import InputError
from shards.format.recipe import DEFAULT
from shards.format.sample import HandTrack, SampleInfo

WIDTH, HEIGHT, FRAMES = 160, 120, 12
YES = [Answer(0, 0.4, [("yes", 0.75), ("no", 0.25)])]


@pytest.fixture(scope="module")
def keypoints() -> np.ndarray:
    """float32 (T, 135, 3); the right hand is lost in frames 6 and 7."""
    return moving_keypoints(FRAMES, 3).astype(np.float32)


@pytest.fixture(scope="module")
def info(keypoints) -> SampleInfo:
    tracks = {}
    for hand in HANDS:
        boxes, missing = hand_boxes(keypoints, hand, WIDTH, HEIGHT, DEFAULT)
        tracks[hand] = HandTrack(boxes, missing, np.zeros((FRAMES, 4), np.int64))
    return SampleInfo("clip", "", None, 30.0, WIDTH, HEIGHT, FRAMES, tracks)


@pytest.fixture
def clip(tmp_path, ffmpeg):
    make_clip(ffmpeg, tmp_path / "clip.mp4", FRAMES)
    return tmp_path / "clip.mp4"


def drawn(info, keypoints, answers=YES) -> list[np.ndarray]:
    """The drawn frames of a black clip."""
    black = [np.zeros(WIDTH * HEIGHT * 3, np.uint8)] * FRAMES
    canvas = Canvas.of(WIDTH, HEIGHT)
    return [np.asarray(frame, int) for frame in draw_frames(black, info, keypoints, answers, canvas)]


def is_colored(pixel: np.ndarray, name: str) -> bool:
    """Of the color of a hand or the body, darker at most (it is blended with black)."""
    color = np.array(overlay._COLORS[name])
    return pixel.max() > 120 and np.abs(pixel / pixel.max() - color / color.max()).max() < 0.12


def colored_share(strip: np.ndarray, name: str) -> float:
    """Of the rows of (H, W, 3) pixels, how many have one of this color."""
    return float(np.mean([any(is_colored(pixel, name) for pixel in row) for row in strip]))


def test_a_video_is_written_with_every_frame(clip, info, keypoints, tmp_path):
    draw_video(clip, info, keypoints, YES, tmp_path / "out.mp4")
    binary = ffmpeg_binary()
    before, after = probe([Recording(str(clip)), Recording(str(tmp_path / "out.mp4"))], binary)
    assert (after.frames, after.fps) == (before.frames, before.fps)
    assert (after.width, after.height) == (682, 512 + PANEL)
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "out.mp4"}
    # The clip can still be seen: away from what is drawn, its enlarged pixels.
    frames = [frame.copy() for _, frame in decode([WantedStream(Recording(str(clip)), before, "rgb")], binary)]
    frame = Image.fromarray(frames[0].reshape(HEIGHT, WIDTH, 3)).resize((682, 512), Image.Resampling.BICUBIC)
    copy = next(decode([WantedStream(Recording(str(tmp_path / "out.mp4")), after, "rgb")], binary))[1].reshape(
        -1, 682, 3
    )
    assert np.abs(np.asarray(frame, int)[:60] - copy[:60]).mean() < 6


def test_boxes_stand_where_the_hands_are(info, keypoints):
    scale = 512 / HEIGHT
    for number in (0, 5, 11):
        frame = drawn(info, keypoints)[number]
        for hand in HANDS:
            x0, y0, x1, y1 = (info.hands[hand].boxes[number] * scale).round().astype(int)
            bottom = frame[min(y1, 511) - 2 : y1 + 2, (x0 + x1) // 2 + 3]
            assert any(is_colored(pixel, hand) for pixel in bottom)
            assert colored_share(frame[y0 + 30 : y1 - 4, x0 - 1 : x0 + 2], hand) > 0.95


def test_a_missing_hand_has_the_dashed_box_of_its_stand_in(info, keypoints):
    assert info.hands["right"].missing.tolist() == [number in (6, 7) for number in range(FRAMES)]
    frames, scale = drawn(info, keypoints), 512 / HEIGHT
    for number, source in ((6, 5), (7, 8)):
        x0, y0, _, y1 = (info.hands["right"].boxes[source] * scale).round().astype(int)
        assert 0.3 < colored_share(frames[number][y0 + 40 : y1 - 4, x0 - 1 : x0 + 2], "right") < 0.7


def test_a_guessed_hand_has_a_dim_dashed_box_and_stands_for_no_other(info, keypoints):
    track = info.hands["right"]
    guessed = np.isin(np.arange(FRAMES), (4, 5))
    hands = {**info.hands, "right": replace(track, guessed=guessed)}
    frames, scale = drawn(replace(info, hands=hands), keypoints), 512 / HEIGHT
    plain = drawn(info, keypoints)
    for number, source in ((3, 3), (5, 5), (6, 8)):  # frame 6 is missing, and 5 is nearer, but guessed
        x0, y0, _, y1 = (track.boxes[source] * scale).round().astype(int)
        edge = frames[number][y0 + 40 : y1 - 4, x0 - 1 : x0 + 2].max(axis=(1, 2))
        if number == 3:
            assert np.array_equal(frames[3], plain[3])
            continue
        bright = {5: 100, 6: 190}[number]  # of 255: their opacity on black
        assert 0.3 < (edge > 0.85 * bright).mean() < 0.7
        assert edge.max() <= bright + 8
    known_to_none = replace(track, guessed=~track.missing)
    never_found = drawn(replace(info, hands={**info.hands, "right": known_to_none}), keypoints)
    assert np.array_equal(never_found[6], plain[6])


def never_seen(track: HandTrack) -> HandTrack:
    return HandTrack(track.boxes, np.ones(FRAMES, bool), track.jpegs)


def test_a_hand_that_is_never_seen_is_said_so(info, keypoints):
    without = SampleInfo(**{**vars(info), "hands": {**info.hands, "left": never_seen(info.hands["left"])}})
    corner = drawn(without, keypoints)[0][:20, :160].reshape(-1, 3)
    assert sum(is_colored(pixel, "left") for pixel in corner) > 50
    assert not drawn(info, keypoints)[0][:20, :200].any()


def test_lines_join_the_points_that_were_seen(info, keypoints):
    frame, scale = drawn(info, keypoints)[0], 512 / HEIGHT
    x, y = (keypoints[0, [5, 6], :2].mean(axis=0) * scale).round().astype(int)
    assert any(is_colored(pixel, "body") for pixel in frame[y - 2 : y + 3, x])
    for hand, elbow, wrist, knuckle, joint in (("left", 7, 9, 29, 30), ("right", 8, 10, 49, 50)):
        for ends in ([elbow, wrist], [wrist, knuckle], [knuckle, joint]):
            x, y = (keypoints[0, ends, :2].mean(axis=0) * scale).round().astype(int)
            assert any(is_colored(pixel, hand) for pixel in frame[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3)), ends
    nothing = np.zeros_like(keypoints)
    empty = SampleInfo(**{**vars(info), "hands": {hand: never_seen(info.hands[hand]) for hand in HANDS}})
    assert not drawn(empty, nothing)[0][100:512].any()  # missing points are (0, 0): no line leads there


def test_the_answer_of_the_nearest_window_holds():
    answers = [Answer(start, start + 1, [("sign", 1.0)]) for start in (0.0, 0.5, 2.0)]
    found = [answer_at(time, answers) for time in (0, 0.7, 0.75, 0.8, 1.7, 1.8, 9)]
    assert found == [0, 0, 0, 1, 1, 2, 2]


def test_the_panel_changes_with_the_answer(info, keypoints):
    answers = [Answer(0, 0.2, [("one", 0.9)]), Answer(0.2, 0.4, [("two", 0.5)])]
    frames = [frame[512 : 512 + 100] for frame in drawn(info, keypoints, answers)]
    changes = [not np.array_equal(one, other) for one, other in pairwise(frames)]
    assert changes == [number == 5 for number in range(FRAMES - 1)]  # the middle of the clip


def test_the_line_of_time_marks_the_window():
    canvas = Canvas.of(512, 512)
    image = Image.new("RGB", (512, 512 + PANEL))
    draw_panel(ImageDraw.Draw(image), canvas, Answer(1, 3, [("sign", 1.0)]), 0.0, 4.0)
    line = np.asarray(image, int)[512 + PANEL - 16]
    marked = np.flatnonzero(np.abs(line - overlay._ACCENT).max(axis=1) < 40)
    assert np.abs(marked[[0, -1]] - (18 + 476 * np.array([0.25, 0.75]))).max() <= 2


def test_long_names_are_cut_and_short_ones_are_not():
    assert overlay._fitting("sign", 24, 300) == "sign"
    cut = overlay._fitting("a sign with quite a long name " * 3, 24, 300)
    assert cut.endswith("…")
    assert 250 < overlay._font(24).getlength(cut) <= 300


@pytest.mark.parametrize("size", ((256, 256), (1920, 1080), (161, 121), (480, 854), (3, 1000)))
def test_sides_are_even_and_the_short_one_is_512(size):
    canvas = Canvas.of(*size)
    assert canvas.width % 2 == canvas.height % 2 == 0
    assert min(canvas.width, canvas.height) == 512
    assert abs(canvas.width / canvas.height / (size[0] / size[1]) - 1) < 0.01


def test_a_clip_that_decodes_to_less_leaves_the_old_file(clip, info, keypoints, tmp_path):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    more = SampleInfo(**{**vars(info), "frames": FRAMES + 1})
    with pytest.raises(ClipError, match="decodes to 12 frames"):
        draw_video(clip, more, keypoints, YES, out)
    assert out.read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "out.mp4"}


def test_a_clip_whose_first_stream_is_sound(clip, info, keypoints, tmp_path, ffmpeg):
    sound = ["-f", "lavfi", "-i", "sine=duration=0.4", "-map", "1:a", "-map", "0:v", "-c:v", "copy"]
    command = [ffmpeg, "-loglevel", "error", "-i", clip, *sound, tmp_path / "with sound.mp4"]
    subprocess.run(command, check=True)
    draw_video(clip, info, keypoints, YES, tmp_path / "silent.mp4")
    draw_video(tmp_path / "with sound.mp4", info, keypoints, YES, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "silent.mp4").read_bytes()


def test_a_file_that_cannot_be_written(clip, info, keypoints, tmp_path):
    with pytest.raises(InputError, match=r"nowhere/out.mp4: FFmpeg could not write it"):
        draw_video(clip, info, keypoints, YES, tmp_path / "nowhere" / "out.mp4")


def test_what_is_written_plays_everywhere(clip, info, keypoints, tmp_path, ffmpeg):
    draw_video(clip, info, keypoints, YES, tmp_path / "out.mp4")
    command = [ffmpeg, "-hide_banner", "-i", tmp_path / "out.mp4", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "h264" in said
    assert "yuv420p" in said
