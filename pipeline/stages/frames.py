"""Stage `frames`: count, size and rate of a clip's videos, or of its keypoints where it has no video."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClipError
from pipeline.pose.importing import LOOK, ImportRules, read_import
from pipeline.stages.stage import Stage
from pipeline.video.probe import probe
from pipeline.video.program import ffmpeg_binary
from pipeline.video.recording import color_of, depth_of
from pipeline.workers.local import Work
from pipeline.workspace.clip import Clip, Sample, Video
from pipeline.workspace.fingerprint import stamp_files
from pipeline.workspace.row import LedgerRow, Made

# Of a clip without video whose keypoints do not say it. Nothing but the times of `predict --sliding` depends on it.
ASSUMED_FPS = 25.0


@dataclass(frozen=True)
class Frames(Stage):
    """Depends on the videos alone; for a clip without video on its keypoints."""

    name = "frames"
    version = 1
    one_core = True

    ffmpeg: str | None = None  # None: see `ffmpeg_binary`
    take_damaged: bool = False  # take what can be decoded of clips that are cut short or damaged
    depth_range: tuple[float, float] | None = None  # see `HandCrops`; only that it is there matters
    rules: ImportRules = LOOK  # for keypoints of clips without video

    def depends(self, clip: Clip) -> list[Any]:
        """See the class."""
        sample = clip.sample
        own = [stamp_files(sample.keypoints), *self.rules.as_json()] if sample.color is None else []
        options = (["take damaged"] if self.take_damaged else []) + (["ranged"] if self.depth_range else [])
        return [clip.color, clip.depth, *own, *color_of(sample).part, *options]

    def work(self, clip: Clip, number: int) -> Work:
        """See `Stage`."""
        return partial(_facts, clip.sample, self)

    def found(self, clip: Clip, row: LedgerRow) -> None:
        """See `Stage`."""
        facts = dict(row.facts)
        depth = facts.pop("depth_video", None)
        clip.video, clip.depth_video = _video(facts), _video(depth) if depth else None
        if clip.sample.depth and depth is None:  # of a version before 0.2, to which both videos were alike
            clip.depth_video = replace(clip.video, notes=())

    def notes(self, row: LedgerRow) -> list[str]:
        """See `Stage`; of the depth video, too."""
        return [*super().notes(row), *(row.facts.get("depth_video") or {}).get("notes", [])]


def _video(facts: dict[str, Any]) -> Video:
    return Video(**{**facts, "notes": tuple(facts.get("notes", ()))})


def _facts(sample: Sample, stage: Frames) -> Made:
    color, depth = count_frames(sample, stage)
    return Made(asdict(color) | ({"depth_video": asdict(depth)} if depth else {}))


def count_frames(sample: Sample, stage: Frames) -> tuple[Video, Video | None]:
    """The color video, and the depth video, once it agrees with it.

    Raises:
        ClipError: a video is unreadable; or depth has another count or size than color, is the color video, or needs
            to be scaled and is not.
    """
    if sample.color is None:
        return video_of_keypoints(Path(str(sample.keypoints)), stage.rules), None
    recordings = [one for one in (color_of(sample), depth_of(sample)) if one]
    color, *rest = probe(recordings, ffmpeg_binary(stage.ffmpeg), stage.take_damaged)
    if not rest or sample.depth is None:
        return color, None
    (depth,) = rest
    if Path(sample.depth).samefile(sample.color):
        raise ClipError(f"{sample.depth}: is the color video, too; name the depth video, or run with --no-depth")
    if depth.frames != color.frames:
        raise ClipError(
            f"{sample.depth}: {depth.frames} frames, color has {color.frames}; mend it, or run with --no-depth"
        )
    if (depth.width, depth.height) != (color.width, color.height):
        raise ClipError(
            f"{sample.depth}: {depth.width}×{depth.height}, color is {color.width}×{color.height}; "
            "mend it, or run with --no-depth"
        )
    if depth.depth_bits > 8 and stage.depth_range is None:
        raise ClipError(
            f"{sample.depth}: depth of more than 8 bits ({depth.pixels}), of which crops keep 8; say what range of its "
            "values matters with `pipeline run --depth-range NEAR,FAR`"
        )
    if depth.depth_bits == 8 and stage.depth_range is not None:
        note = "depth has 8 bits already; --depth-range leaves it as it is"
        depth = replace(depth, notes=(*depth.notes, note))
    return color, depth


def video_of_keypoints(path: Path, rules: ImportRules) -> Video:
    """Count, size and rate of a clip of which there are only keypoints.

    Where neither they nor `rules` say the picture's size, it is that of the smallest picture, from the corner (0, 0),
    that shows them all; the rate may be an assumption.

    Raises:
        ClipError: see `read_import`; or there are none.
    """
    found = read_import(path, rules, None)
    if not len(found.points):
        raise ClipError(f"{path}: keypoints of no frame; make it again, or leave the clip out")
    width, height = found.size or np.ceil(found.points[..., :2].max(axis=(0, 1)) + 1).astype(int).tolist()
    return Video(len(found.points), max(width, 1), max(height, 1), found.fps or ASSUMED_FPS)
