"""Stage `frames`: count, size and rate of a clip's videos."""

from typing import Any

from pipeline.errors import ClipError
from pipeline.video.probe import Video, probe
from pipeline.video.program import ffmpeg_binary
from pipeline.video.recording import Recording
from pipeline.workspace.clip import Sample


def count_frames(sample: Sample, ffmpeg: str | None) -> dict[str, Any]:
    """Facts of the colour video, once the depth video agrees with it.

    Raises:
        ClipError: a video is unreadable, or depth has another count or size than colour.
    """
    color, *depth = probe([Recording(path) for path in (sample.color, sample.depth) if path], ffmpeg_binary(ffmpeg))
    for video in depth:
        if video.frames != color.frames:
            raise ClipError(
                f"{sample.depth}: {video.frames} frames, colour has {color.frames}; mend it, or run with --no-depth"
            )
        if (video.width, video.height) != (color.width, color.height):
            raise ClipError(
                f"{sample.depth}: {video.width}×{video.height}, colour is {color.width}×{color.height}; "
                "mend it, or run with --no-depth"
            )
    return {"frames": color.frames, "width": color.width, "height": color.height, "fps": color.fps}


def video_of(facts: dict[str, Any]) -> Video:
    """The colour video of a ledger row's facts."""
    return Video(facts["frames"], facts["width"], facts["height"], facts["fps"])
