"""Stage `handcrops`: both hands of every frame as JPEGs, color and depth cut with the same boxes, packed into a tar.

The tar holds what depends on the clip alone. Id, signer and label enter when shards are written (see `shards.py`): a
corrected label decodes no video again.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import ClipError
from pipeline.hands.cutter import CutStyle, Cutter, plan_hand
from pipeline.hands.found import hands_found
from pipeline.stages.stage import Stage
from pipeline.video.decode import WantedStream, decode
from pipeline.video.program import ffmpeg_binary
from pipeline.video.recording import color_of, depth_of
from pipeline.workers.local import Work
from pipeline.workspace.clip import Clip, CropTar
from pipeline.workspace.fingerprint import fingerprint
from pipeline.workspace.result import read_array, read_result, write_result
from pipeline.workspace.row import LedgerRow, Made
from shards.body135 import HANDS
from shards.format.recipe import Recipe
from shards.format.sample import HAND_COLUMNS, HandTrack, SampleInfo, array_from_npy, hand_counts, info_from_json
from shards.format.tar import pack

# JPEG quality of the crops: at 95 the model input is off by less than 0.02 on average (unit variance).
QUALITY = 95
_COUNTS = tuple(name for hand in HANDS for name in HAND_COLUMNS[hand])
_FIRST_OF_CLIP = b'"fps":'  # of the keys in a sample's JSON that depend on the clip alone; in a string, quotes are \"


@dataclass(frozen=True)
class HandCrops(Stage):
    """Depends on the bytes of all earlier results, five switches of the recipe, and the quality.

    A clip without video is passed by. Where the recipe asks which hands were guessed, the JSON says it.
    """

    name = "handcrops"
    version = 4
    suffix = ".tar"
    one_core = True

    recipe: Recipe
    quality: int = QUALITY
    ffmpeg: str | None = None  # None: see `ffmpeg_binary`
    take_damaged: bool = False  # take what can be decoded of damaged clips
    # Values of the depth video that become black and white; None: its pixels are gray levels already.
    depth_range: tuple[float, float] | None = None

    def applies(self, clip: Clip) -> bool:
        """Whether it has a video."""
        return clip.sample.color is not None

    def depends(self, clip: Clip) -> list[Any]:
        """See the class."""
        return self._crops_depend(clip) + ([] if self.recipe.guessed_hands_shown else ["guessed hands"])

    def unmarked_fingerprint(self, clip: Clip) -> str:
        """Of a tar with these crops that does not say which hands were guessed."""
        return fingerprint(self.name, self.version, self._crops_depend(clip))

    def _crops_depend(self, clip: Clip) -> list[Any]:
        upstream = [clip.fingerprints[stage] for stage in ("frames", "keypoints", "poseflow")]
        files = [[file.size, file.crc32] for file in (clip.keypoints, clip.poseflow)]
        recipe = self.recipe
        switches = [recipe.box_per_frame, recipe.late_hand_imputation, recipe.opencv_colour, recipe.aliased_colour]
        others = [list(self.depth_range)] if self.depth_range and clip.depth_video else []
        return [upstream, files, switches, self.quality, *others]

    def work(self, clip: Clip, number: int) -> Work:
        """See `Stage`."""
        return partial(mark_clip, clip, clip.unmarked, self) if clip.unmarked else partial(cut_clip, clip, self)

    def found(self, clip: Clip, row: LedgerRow) -> None:
        """See `Stage`."""
        hands: dict[str, int] = {}
        if not self.recipe.guessed_hands_shown:
            (left, right), (left_missing, right_missing) = row.facts["guessed"], row.facts["missing"]
            counts = map(int, (left, left_missing, right, right_missing))
            hands = dict(zip(_COUNTS, counts, strict=True))
        clip.handcrops = crop_tar(row, hands)


def crop_tar(row: LedgerRow, hands: dict[str, int]) -> CropTar:
    """The tar that a row describes; KeyError, TypeError or ValueError where it describes none."""
    facts = row.facts
    places = {member: (int(offset), int(size)) for member, (offset, size) in facts["places"].items()}
    return CropTar(row.bytes, facts.get("crc32"), int(facts["extent"]), places, int(facts["json_start"]), hands)


def cut_clip(clip: Clip, stage: HandCrops) -> Made:
    """Cut a clip's hands and pack everything that a shard holds of the clip into `handcrops/<id>.tar`.

    The facts are: in how many of its frames the left and the right hand are missing and guessed, and where the members
    are.

    Raises:
        ClipError: a video does not decode to the frames it should have, depth has colors, or an earlier result is
            damaged.
    """
    recipe, workspace, video = stage.recipe, stage.workspace, clip.video
    keypoints = read_array(workspace.keypoints(clip.id), clip.keypoints)
    hands = {hand: plan_hand(keypoints, hand, video, recipe) for hand in HANDS}
    color_style = CutStyle(False, recipe.opencv_colour, recipe.aliased_colour, stage.quality)
    videos = [(color_of(clip.sample), video, color_style)]
    if (recording := depth_of(clip.sample)) and clip.depth_video:
        scaled = _scaled_range(clip.depth_video.depth_bits, stage.depth_range)
        depth_style = CutStyle(True, recipe.opencv_colour, False, stage.quality, scaled)
        videos.append((recording, clip.depth_video, depth_style))
    cutters = [Cutter(hands, video, style) for _, _, style in videos]
    streams = [
        WantedStream(recording, one, style.kind, cutter.region)
        for (recording, one, style), cutter in zip(videos, cutters, strict=True)
    ]
    for number, frame in decode(streams, ffmpeg_binary(stage.ffmpeg), stage.take_damaged):
        try:
            cutters[number].add(frame)
        except ValueError as error:
            raise ClipError(f"{streams[number].recording.path}: {error}") from error
    color, depth = cutters[0].result(), cutters[1].result() if len(cutters) > 1 else None
    tracks = {
        hand: HandTrack(plan.boxes, plan.missing, color[hand][1], depth[hand][1] if depth else None, plan.guessed)
        for hand, plan in hands.items()
    }
    info = SampleInfo(clip.id, "", None, video.fps, video.width, video.height, video.frames, tracks)
    members = {"json": _json_of(info, recipe)}
    members["pose.npy"] = read_result(workspace.keypoints(clip.id), clip.keypoints)
    members["flow.npy"] = read_result(workspace.poseflow(clip.id), clip.poseflow)
    for hand in HANDS:
        members[f"{hand}.mjpg"] = color[hand][0]
        if depth:
            members[f"{hand}_depth.mjpg"] = depth[hand][0]
    return _pack(info, members, stage.result(clip.id))


def mark_clip(clip: Clip, tar: CropTar, stage: HandCrops) -> Made:
    """Write into a tar of an earlier version which hands were guessed: what `cut_clip` makes, without decoding a video.

    Raises:
        ClipError: as `cut_clip`, which mends what is damaged.
    """
    path = stage.result(clip.id)
    try:
        data = read_result(path, tar)
        members = {name: data[offset : offset + size] for name, (offset, size) in tar.places.items()}
        nobody = SampleInfo(clip.id, "", None, 0.0, 0, 0, 0, {}).to_json()
        info = info_from_json(nobody[: json_start(nobody)] + members["json"][tar.json_start :])
        found = dict(zip(HANDS, hands_found(array_from_npy(members["pose.npy"])).T, strict=True))
        tracks = {hand: replace(track, guessed=~track.missing & ~found[hand]) for hand, track in info.hands.items()}
    except (ClipError, KeyError, ValueError):
        return cut_clip(clip, stage)
    info = replace(info, hands=tracks)
    return _pack(info, members | {"json": _json_of(info, stage.recipe)}, path)


def _scaled_range(bits: int, depth_range: tuple[float, float] | None) -> tuple[float, float] | None:
    """The range in 16-bit values, to which FFmpeg brings depth of 9 to 14 bits; None for depth of 8 bits."""
    if depth_range is None or bits == 8:
        return None
    factor = 2 ** (16 - bits)
    return depth_range[0] * factor, depth_range[1] * factor


def _json_of(info: SampleInfo, recipe: Recipe) -> bytes:
    """The sample's JSON as far as it depends on the clip alone."""
    if recipe.guessed_hands_shown:
        info = replace(info, hands={hand: replace(track, guessed=None) for hand, track in info.hands.items()})
    text = info.to_json()
    return b"{" + text[json_start(text) :]


def _pack(info: SampleInfo, members: dict[str, bytes], path: Path) -> Made:
    packed, counts = pack(info.id, members), hand_counts(info.hands)
    guessed, missing = zip(*([counts[name] for name in HAND_COLUMNS[hand]] for hand in HANDS), strict=True)
    facts = {"frames": info.frames, "guessed": guessed, "missing": missing}
    facts |= {"extent": packed.extent, "places": packed.places, "json_start": json_start(members["json"])}
    return write_result(path, packed.data, facts)


def json_start(info: bytes) -> int:
    """Where in a sample's JSON that begins which depends on the clip alone.

    Raises:
        ValueError: it is not a sample's JSON.
    """
    return info.index(_FIRST_OF_CLIP)
