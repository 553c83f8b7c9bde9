"""The options of `pipeline run`, as they are typed, and which of them do not go together."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.pose.importing import LOOK, ImportRules
from pipeline.pose.source import PoseSource
from pipeline.workspace.driver_lock import Part, parse_part
from pipeline.workspace.paths import STAGES
from shards.errors import InputError

_NARROWEST_DEPTH = 16  # levels between black and white: fewer are meters, say, where the video has millimeters


@dataclass(frozen=True, kw_only=True)
class RunOptions(PoseSource):
    """One field for each option, named as it is; None: it was not given."""

    data: Path
    work: Path
    labels: Path | None = None
    classes: Path | None = None
    stage: tuple[str, ...] = ("all",)
    keypoint_layout: str | None = None
    picture_size: tuple[int, int] | None = None
    mirrored: bool = False
    poseflow: Path | None = None
    recipe: str = "default"
    jobs: int | None = None
    scheduler: str | None = None
    part: str | None = None
    shards_out: Path | None = None
    samples_per_shard: int | None = None
    quality: int = 95
    no_depth: bool = False
    depth_range: tuple[float, float] | None = None
    damaged: str = "fail"
    ffmpeg: str | None = None

    def check(self) -> None:
        """See that no option was given that another one leaves without effect (see also `keypoint_source`).

        Raises:
            InputError: one was.
        """
        if self.jobs and self.scheduler:
            raise InputError(
                "--jobs does not go with --scheduler: the cluster's workers say how many clips run at once; "
                "leave it out"
            )
        for flag, value in (("--shards-out", self.shards_out), ("--samples-per-shard", self.samples_per_shard)):
            if self.part and value:
                raise InputError(f"{flag} does not go with --part: give it to the run that makes the shards")
        if self.no_depth and self.depth_range:
            raise InputError("--depth-range does not go with --no-depth; leave one of them out")
        if self.picture_size and not all(self.picture_size):
            raise InputError("--picture-size: no picture is 0 pixels wide or high; give what the fractions are of")
        if self.depth_range and abs(self.depth_range[0] - self.depth_range[1]) < _NARROWEST_DEPTH:
            raise InputError(
                "--depth-range: NEAR and FAR are nearly the same; give the values that become black and white, "
                "millimeters in most videos"
            )
        if self.poseflow and self.recipe != "reference":
            raise InputError(
                f"--poseflow {self.poseflow}: released pose flow goes with --recipe reference; "
                "leave it out to compute it"
            )

    def import_rules(self) -> ImportRules:
        """How keypoint files are read."""
        return ImportRules(self.keypoint_layout, self.person or LOOK.person, self.picture_size, self.mirrored)

    def chosen_part(self) -> Part | None:
        """The part of the clips that this driver is for; None: all."""
        return parse_part(self.part) if self.part else None

    def chosen_stages(self) -> tuple[str, ...]:
        """The stages to run, in order. The shards hold clips of all parts, so a part leaves them to a later run.

        Raises:
            InputError: a part was asked for the shards.
        """
        if self.part and "shards" in self.stage:
            raise InputError(
                "--stage shards does not go with --part: run it once, without --part, when all parts are done"
            )
        asked = STAGES if "all" in self.stage else self.stage
        return tuple(stage for stage in STAGES if stage in asked and not (self.part and stage == "shards"))
