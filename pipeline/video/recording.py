"""What a clip is a part of: a video file or a folder of numbered pictures, and how FFmpeg opens it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import ClipError
from pipeline.pose.scripts.openpose_script import DEMUXERS
from pipeline.workspace.clip import Sample

if TYPE_CHECKING:  # importing ffmpeg-python takes 70 ms
    from ffmpeg.nodes import FilterableStream

_BEGINNINGS = (
    (b"version https://git-lfs", "it is a pointer of Git LFS: `git lfs pull` fetches the file"),
    (b"<!doctype html", "it is an HTML page: download the video again"),
    (b"<html", "it is an HTML page: download the video again"),
    (b"PK\x03\x04", "it is a zip archive: unpack it"),
    (b"\x1f\x8b", "it is a gzip archive: unpack it"),
    (b"\0" * 64, "it begins with zeros: copy it again"),
)
_PICTURES_PER_SECOND = 25  # of a folder, which does not say it
PICTURES = (".jpg", ".jpeg", ".png", ".webp")
# MPEG streams have no index: FFmpeg lands on any packet, and what comes before the next key frame is lost.
_UNINDEXED = (".m2ts", ".mpeg", ".mpg", ".mts", ".ts", ".vob")
_NUMBERED = re.compile(r"(.*?)(\d+)(\.\w+)")


class Recording(NamedTuple):
    """A file or folder, and which part of it a clip is."""

    path: str
    start: float | None = None  # seconds from its beginning; None: from there
    end: float | None = None  # exclusive; None: to its end

    @property
    def is_part(self) -> bool:
        """Whether the clip is a part in time of a longer video."""
        return self.start is not None or self.end is not None

    @property
    def is_sought(self) -> bool:
        """Whether FFmpeg finds a time in it; elsewhere a part is decoded from the recording's beginning on."""
        return not self.is_folder and not self.path.lower().endswith(_UNINDEXED)

    @property
    def part(self) -> list[float | str | None]:
        """What a fingerprint needs of the part; empty for a whole recording."""
        if not self.is_part:
            return []
        return [self.start, self.end, *([] if self.is_sought else ["from its beginning"])]

    @property
    def is_file(self) -> bool:
        """Whether it is a whole file, that any program can open."""
        return not self.is_part and not self.is_folder

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of pictures."""
        return Path(self.path).is_dir()


def color_of(sample: Sample) -> Recording:
    """What a sample's color video is a part of; only of a sample that has one."""
    return Recording(str(sample.color), sample.start, sample.end)


def depth_of(sample: Sample) -> Recording | None:
    """The same of its depth video."""
    return Recording(sample.depth, sample.start, sample.end) if sample.depth else None


def input_of(recording: Recording, start: float | None = None, **options: float | str) -> "FilterableStream":
    """A recording as FFmpeg's input, from `start` seconds on.

    Raises:
        ClipError: a folder whose pictures are not numbered one after another.
    """
    import ffmpeg

    if recording.is_folder:
        pattern, first = picture_pattern(Path(recording.path))
        sequence = {"format": "image2", "framerate": _PICTURES_PER_SECOND, "start_number": first}
        return ffmpeg.input(f"file:{pattern}", protocol_whitelist="file", **sequence, **options)
    if start:
        options["ss"] = f"{start:.6f}"
    # "file:" and the whitelists: a clip's name is never a URL, and a playlist renamed to mp4 opens nothing else.
    return ffmpeg.input(f"file:{recording.path}", protocol_whitelist="file", format_whitelist=DEMUXERS, **options)


def frames_of(recording: Recording, stream: int, frame_seconds: float, **options: float | str) -> "FilterableStream":
    """The frames of a clip: of one stream, and of its part in time.

    A part begins half a frame (of `frame_seconds`) before its time and ends half a frame before its end, so that times
    rounded to milliseconds name the frames that are meant.

    Raises:
        ClipError: see `input_of`.
    """
    start = max((recording.start or 0) - frame_seconds / 2, 0)
    seek = start if recording.is_sought else 0.0
    node = input_of(recording, seek, **options)[str(stream)]
    # Not FFmpeg's own `-to`, which lets one more frame pass.
    times = {"start": start - seek} if start > seek else {}
    if recording.end is not None:
        times["end"] = max(recording.end - frame_seconds / 2 - seek, 0)
    return node.filter("trim", **{name: f"{time:.6f}" for name, time in times.items()}) if times else node


def picture_pattern(folder: Path) -> tuple[str, int]:
    """The pictures of a folder as FFmpeg's pattern (`frame%04d.jpg`), and the first number.

    Raises:
        ClipError: no pictures, several kinds or names, a number is missing, or one has more zeros than the others.
    """
    names = [
        path.name for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    ]
    parts = [match.groups() for name in names if (match := _NUMBERED.fullmatch(name))]
    if not names or len(parts) < len(names):
        raise ClipError(f"{folder}: is a folder, but not of numbered pictures ({', '.join(PICTURES)})")
    if len({(before, suffix) for before, _, suffix in parts}) > 1:
        raise ClipError(f"{folder}: its pictures have several names or suffixes; a clip has one, and a number")
    before, _, suffix = parts[0]
    numbers = sorted(int(number) for _, number, _ in parts)
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        gap = next(number for number in range(numbers[0], numbers[-1] + 2) if number not in set(numbers))
        raise ClipError(f"{folder}: the picture number {gap} is missing, or one is there twice")
    width = min(len(number) for _, number, _ in parts)
    # FFmpeg passes over what the pattern does not name: 08.jpg by %d, where 10.jpg follows.
    if odd := [number for _, number, _ in parts if number != f"{int(number):0{width}}"]:
        raise ClipError(f"{folder}: {before}{odd[0]}{suffix} has more zeros before its number than others; rename it")
    # FFmpeg reads % in a pattern as the place of the number.
    return f"{str(folder).replace('%', '%%')}/{before.replace('%', '%%')}%0{width}d{suffix}", numbers[0]


def refuse_non_video(recording: Recording) -> None:
    """Look at what a file begins with, which says more than FFmpeg's complaint.

    Raises:
        ClipError: it is missing, empty, or begins like something else than a video.
    """
    path = recording.path
    file = Path(path)
    if recording.is_folder:
        return
    if not file.is_file():
        link = file.is_symlink()
        raise ClipError(f"{path}: {f'leads to {file.readlink()}, which is not there' if link else 'no such file'}")
    try:
        with file.open("rb") as opened:
            start = opened.read(256)
    except OSError:  # FFmpeg cannot open it either, and its complaint becomes the clip's
        return
    if not start:
        raise ClipError(f"{path}: empty file")
    for beginning, reason in _BEGINNINGS:
        if start.lstrip(b" \t\r\n\xef\xbb\xbf").lower().startswith(beginning.lower()):
            raise ClipError(f"{path}: not a video: {reason}")
