"""What the pipeline saw in a clip and what a model said of it, drawn on its video: skeleton, hand boxes, answers.

The picture is brought to one size (short side 512), so that lines and letters are the same in every video. Below it
stands a panel with the likeliest signs and a line of time, on which the window of the answer is marked.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.hands.boxes import nearest_present
from pipeline.video.decode import WantedStream, decode
from pipeline.video.encode import RawFrames, write_video
from pipeline.video.probe import probe
from pipeline.video.program import ffmpeg_binary
from pipeline.video.recording import Recording
from pipeline.workspace.clip import Video
from shards.body135 import ARM_BONES, BODY_BONES, FACE_POINTS, HANDS, hand_bones
from shards.format.sample import HandTrack, SampleInfo

SHORT_SIDE = 512
PANEL = 132  # height of the panel, pixels
_MARGIN = 18
# Pillow draws without antialiasing: figures are drawn this much larger and shrunk.
_FINER = 2
_COLORS = {"body": (188, 146, 255), "left": (255, 176, 59), "right": (64, 196, 255)}
_GUESSED = 100  # opacity of the box of a hand that was guessed
_GROUND, _GROOVE, _BRIGHT, _DIM, _ACCENT = (22, 25, 31), (52, 58, 68), (244, 246, 250), (160, 168, 180), (122, 220, 148)


@dataclass(frozen=True)
class Answer:
    """What a model said of a window of the clip."""

    start: float  # seconds, of the first frame it saw
    end: float  # seconds, of the last one's end
    signs: list[tuple[str, float]]  # name and probability, the likeliest first


@dataclass(frozen=True)
class Canvas:
    """The size of the drawn video, and how pixels of the clip get there."""

    width: int
    height: int  # of the picture, without the panel
    scale: float  # pixels of the clip to pixels here

    @classmethod
    def of(cls, width: int, height: int) -> "Canvas":
        """For a clip of this size; sides are even, as 4:2:0 video needs them."""
        scale = SHORT_SIDE / min(width, height)
        return cls(2 * round(width * scale / 2), 2 * round(height * scale / 2), scale)


def draw_video(clip: Path, info: SampleInfo, keypoints: np.ndarray, answers: Sequence[Answer], out: Path) -> None:
    """Write an MP4 (H.264, no sound) of a clip with everything drawn in, whole or not at all.

    Args:
        clip: the video.
        info: its sample's JSON.
        keypoints: float32 (T, 135, 3) x, y in pixels, score; missing = 0.
        answers: at least one; with several, each frame has the one whose window's middle is nearest.
        out: path of the MP4.

    Raises:
        ClipError: the clip does not decode as it did for the pipeline.
        InputError: FFmpeg cannot write the file.
    """
    binary, recording, canvas = ffmpeg_binary(), Recording(str(clip)), Canvas.of(info.width, info.height)
    stream = probe([recording], binary)[0].stream  # a file's first may be sound, a cover or another track
    video = Video(info.frames, info.width, info.height, info.fps, stream)
    pictures = (frame for _, frame in decode([WantedStream(recording, video, "rgb")], binary))
    frames = (frame.tobytes() for frame in draw_frames(pictures, info, keypoints, answers, canvas))
    raw = RawFrames("rgb24", canvas.width, canvas.height + PANEL, info.fps)
    write_video(out, frames, raw, binary, {"preset": "veryfast", "crf": 20, "movflags": "+faststart"})


def draw_frames(
    pictures: Iterable[np.ndarray], info: SampleInfo, keypoints: np.ndarray, answers: Sequence[Answer], canvas: Canvas
) -> Iterator[Image.Image]:
    """The drawn frames, from the clip's frames as bytes of RGB; hand boxes where the sample has crops."""
    stand_ins = {hand: _stand_ins(track) for hand, track in info.hands.items()}
    for number, picture in enumerate(pictures):
        image = Image.fromarray(picture.reshape(info.height, info.width, 3))
        image = image.resize((canvas.width, canvas.height), Image.Resampling.BICUBIC)
        layer = Image.new("RGBA", (canvas.width * _FINER, canvas.height * _FINER))
        pen = ImageDraw.Draw(layer)
        draw_skeleton(pen, keypoints[number, :, :2] * canvas.scale * _FINER)
        for hand, track in info.hands.items():
            draw_box(pen, hand, track, number, stand_ins[hand], canvas.scale * _FINER)
        layer = layer.resize(image.size, Image.Resampling.BOX)
        whole = Image.new("RGB", (canvas.width, canvas.height + PANEL), _GROUND)
        whole.paste(image)
        whole.paste(layer, mask=layer)
        answer = answers[answer_at((number + 0.5) / info.fps, answers)]
        draw_panel(ImageDraw.Draw(whole), canvas, answer, number / info.fps, info.frames / info.fps)
        yield whole


def _stand_ins(track: HandTrack) -> np.ndarray | None:
    """For every frame the one whose crop stands for it where the hand is missing: the nearest in which it was found,
    or, where it never was or that is not known, in which it has a box; None where it has none in the whole clip."""
    unseen = track.missing if track.guessed is None else track.missing | track.guessed
    return nearest_present(track.missing if unseen.all() else unseen)


def answer_at(time: float, answers: Sequence[Answer]) -> int:
    """Which answer holds at a time (s): that of the window whose middle is nearest, of two the earlier."""
    middles = np.array([(answer.start + answer.end) / 2 for answer in answers])
    return int(np.abs(middles - time).argmin())


def draw_skeleton(pen: ImageDraw.ImageDraw, points: np.ndarray) -> None:
    """Draw (135, 2) points in the pen's pixels; a missing point is (0, 0)."""
    seen = np.asarray(points.any(axis=1))
    for x, y in points[FACE_POINTS][seen[FACE_POINTS]].tolist():
        pen.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=(*_COLORS["body"], 150))
    parts: list[tuple[Sequence[tuple[int, int]], str, int, int]] = [(BODY_BONES, "body", 5, 200)]
    parts += [(ARM_BONES[hand], hand, 5, 200) for hand in HANDS]
    parts += [(hand_bones(hand), hand, 3, 235) for hand in HANDS]
    for pairs, owner, width, opacity in parts:
        color = (*_COLORS[owner], opacity)
        for start, end in pairs:
            if seen[start] and seen[end]:
                ends = [tuple(points[start].tolist()), tuple(points[end].tolist())]
                pen.line(ends, fill=color, width=width)
                for x, y in ends:
                    pen.ellipse((x - width, y - width, x + width, y + width), fill=color)


def draw_box(
    pen: ImageDraw.ImageDraw, hand: str, track: HandTrack, number: int, stand_in: np.ndarray | None, scale: float
) -> None:
    """A hand's box in a frame: dashed and dim where wrist and elbow alone say where it is; where it is missing, dashed,
    the box of the frame whose crop stands for it."""
    color, missing = _COLORS[hand], bool(track.missing[number])
    guessed = not missing and track.guessed is not None and bool(track.guessed[number])
    if stand_in is None:
        _tag(pen, 0, 40 * (HANDS.index(hand) + 1), f"no {hand} hand in the whole clip", (*color, 160))
        return
    x0, y0, x1, y1 = (track.boxes[stand_in[number] if missing else number] * scale).tolist()
    if missing or guessed:
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        for start, end in pairwise(corners):
            _dash(pen, start, end, (*color, _GUESSED if guessed else 190))
    else:
        pen.rectangle((x0, y0, x1, y1), outline=(*color, 255), width=4)
    label = f"{hand} not found" if missing else f"{hand} guessed" if guessed else hand
    _tag(pen, x0, y0, label, (*color, 160 if missing else _GUESSED if guessed else 255))


def _tag(pen: ImageDraw.ImageDraw, x: float, y: float, label: str, color: tuple[int, ...]) -> None:
    """A label on a ground of its own, standing on (x, y), or hanging from it where there is no room above."""
    left, top, right, bottom = pen.textbbox((0, 0), label, font=_font(26))
    height = bottom - top + 14
    y = y - height if y >= height else y
    pen.rectangle((x, y, x + right - left + 16, y + height), fill=color)
    pen.text((x + 8 - left, y + 7 - top), label, fill=(20, 22, 26, 255), font=_font(26))


def _dash(pen: ImageDraw.ImageDraw, start: tuple, end: tuple, color: tuple[int, ...], step: float = 16) -> None:
    first, last = np.array(start), np.array(end)
    count = max(1, int(np.abs(last - first).max() / step))
    for n in range(0, count, 2):
        ends = [tuple((first + (last - first) * share / count).tolist()) for share in (n, n + 1)]
        pen.line(ends, fill=color, width=4)


def draw_panel(pen: ImageDraw.ImageDraw, canvas: Canvas, answer: Answer, time: float, length: float) -> None:
    """The signs of an answer with their probabilities, and the time in the clip (s, of `length`) below."""
    right = canvas.width - _MARGIN
    for number, (name, probability) in enumerate(answer.signs[:3]):
        first = number == 0
        size, y = (24, canvas.height + 12) if first else (16, canvas.height + 24 + 24 * number)
        color = _BRIGHT if first else _DIM
        bar = right - 150
        pen.text((_MARGIN, y), _fitting(name, size, bar - 12 - _MARGIN), fill=color, font=_font(size))
        middle, half = y + size * 0.6, 5 if first else 3
        pen.rounded_rectangle((bar, middle - half, bar + 90, middle + half), radius=half, fill=_GROOVE)
        if probability * 90 >= 2 * half:
            pen.rounded_rectangle(
                (bar, middle - half, bar + 90 * probability, middle + half), half, fill=_ACCENT if first else _DIM
            )
        pen.text((right, y), f"{probability:.0%}", fill=color, font=_font(size), anchor="ra")
    y, width = canvas.height + PANEL - 16, right - _MARGIN
    pen.rounded_rectangle((_MARGIN, y - 2, right, y + 2), 2, fill=_GROOVE)
    start, end = (_MARGIN + width * second / length for second in (answer.start, answer.end))
    pen.rounded_rectangle((start, y - 2, end, y + 2), 2, fill=_ACCENT)
    x = _MARGIN + width * time / length
    pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=_BRIGHT)


def _fitting(text: str, size: int, width: float) -> str:
    """The text, cut so that it is at most this wide."""
    if _font(size).getlength(text) <= width:
        return text
    while text and _font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans where the system has it (Turkish, Greek, Arabic, …), else Pillow's own, which has English letters."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)
