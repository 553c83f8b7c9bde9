"""The record of a clip, which travels through the stages: its sample, its inputs, and what each stage found out."""

from dataclasses import dataclass, field

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
    """What a clip's video holds, as a player shows it (rotation applied)."""

    frames: int
    width: int
    height: int
    fps: float  # frames per second, the mean over the video


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


@dataclass
class Clip:
    """A clip of a run. A stage reads what the stages before it have set, and sets its own when it is done."""

    sample: Sample
    color: Stamp | None
    depth: Stamp | None
    fingerprints: dict[str, str] = field(default_factory=dict)  # stage: of everything that its result depends on
    video: Video = field(init=False, repr=False)
    keypoints: ResultFile = field(init=False, repr=False)
    poseflow: ResultFile = field(init=False, repr=False)
    handcrops: CropTar | None = None  # None: passed by, since the clip has no video

    @property
    def id(self) -> str:
        """The sample's."""
        return self.sample.id
