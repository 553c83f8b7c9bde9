"""The record of a clip, which travels through the stages: its sample, its inputs, and what each stage found out."""

import re
from dataclasses import dataclass, field

# Of the suffixes that FFmpeg reads, those that people have.
_VIDEOS = """
3g2 3gp asf avi dv f4v flv gif m2ts m4v mjpeg mjpg mkv mov mp4 mpeg mpg mts mxf ogv swf ts vob webm wmv
"""
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _VIDEOS.split())
_MEASURED = re.compile(r"gray(9|1\d)")  # of FFmpeg's pixel formats

Stamp = list[int]  # size in bytes and mtime (ns) of an input file


@dataclass(frozen=True)
class Sample:
    """One clip, as the user lists it: a color video, perhaps a depth video; or keypoints and no video."""

    id: str
    split: str
    signer: str
    label: int | None
    color: str | None  # None: a clip without video
    depth: str | None
    keypoints: str | None = None  # file or folder of this clip's own; None: they come from the run's source
    start: float | None = None  # seconds of a longer video; None: its beginning
    end: float | None = None  # exclusive; None: its end


@dataclass(frozen=True)
class Video:
    """What a video holds, as a player shows it: rotation applied, pixels made square."""

    frames: int
    width: int
    height: int
    fps: float  # frames per second, the mean over the video
    stream: int = 0  # number of the stream in its file
    pixels: str = "yuv420p"  # FFmpeg's name of the pixel format
    frame_seconds: float = 0.0  # of a part of a longer video, see `input_of`
    aspect: float = 1.0  # width / height of a pixel as it is stored; `width` is the stored one times this
    plain: bool = True  # any program that opens the file sees these frames
    notes: tuple[str, ...] = ()  # what a user should know of it, a few words each

    @property
    def depth_bits(self) -> int:
        """Of a value of measured depth, which means something and has to be scaled: 9 to 16; of a gray level: 8."""
        measured = _MEASURED.match(self.pixels)
        return int(measured[1]) if measured else 8


@dataclass(frozen=True)
class ResultFile:
    """A stage's result file, as the ledger describes it."""

    size: int  # bytes
    crc32: int | None  # None: it was written by a version that kept none


@dataclass(frozen=True)
class CropTar(ResultFile):
    """`handcrops/<id>.tar`, and where its members are."""

    extent: int  # bytes of the members, without the end-of-archive blocks
    places: dict[str, tuple[int, int]]  # member: offset and size of its content
    json_start: int  # where in the JSON member that begins which depends on the clip alone (1: after the brace)
    # What its JSON says of the frames of each hand, as columns of the index; {} where it says nothing.
    hands: dict[str, int] = field(default_factory=dict)


@dataclass
class Clip:
    """A clip of a run. A stage reads what the stages before it have set, and sets its own when it is done."""

    id: str = field(init=False, repr=False)  # the sample's
    sample: Sample
    color: Stamp | str | None  # of a folder of pictures, a digest of its files' stamps
    depth: Stamp | str | None
    fingerprints: dict[str, str] = field(default_factory=dict)  # stage: of everything that its result depends on
    video: Video = field(init=False, repr=False)
    depth_video: Video | None = None  # what the depth video holds
    keypoints: ResultFile = field(init=False, repr=False)
    poseflow: ResultFile = field(init=False, repr=False)
    handcrops: CropTar | None = None  # None: passed by, since the clip has no video
    unmarked: CropTar | None = None  # an earlier version's, with the same crops, which lacks what hands were guessed

    def __post_init__(self) -> None:
        # Not a property: planning AUTSL asks for it two million times.
        self.id = self.sample.id
