"""Workspaces of earlier versions: what they made is taken over, once, and not made again.

Tars of hand crops once did not say which hands were guessed. Where the recipe asks for it, the stage adds it to them,
and decodes no video for that.

Fingerprints once covered the settings of the stages before, not the bytes of their results; and signer and label, which
stood in the hand crops' tars. Where such a row's fingerprint is what that version would compute today, its result is
what this version would make, and the row gets today's fingerprint.
"""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pipeline.pose.source import KeypointSource
from pipeline.stages.handcrops import HandCrops, crop_tar, json_start
from pipeline.stages.shards import PlannedShards
from pipeline.stages.stage import Stage
from pipeline.workspace.clip import Clip
from pipeline.workspace.fingerprint import fingerprint, stamp
from pipeline.workspace.ledger import Ledger
from pipeline.workspace.paths import Workspace
from pipeline.workspace.row import DONE, LedgerRow
from shards.format.recipe import Recipe


class TakenOver(NamedTuple):
    """Of how many clips a stage has a result of an earlier version."""

    whole: int = 0  # it stays as it is
    unmarked: int = 0  # it is kept, and which hands were guessed is added


@dataclass(frozen=True)
class EarlierVersion:
    """What an earlier version would have computed for a clip, with the settings of this run."""

    workspace: Workspace
    source: KeypointSource
    recipe: Recipe
    flow_archive: tuple[Path, ...]
    quality: int

    def take_over(self, stage: Stage, clips: Iterable[Clip], ledger: Ledger) -> TakenOver:
        """Give the rows of an earlier version today's fingerprints, or the clips what the stage can complete."""
        whole = unmarked = 0
        for clip in clips:
            row = ledger.rows.get(clip.id)
            if row is None or row.fingerprint == clip.fingerprints[stage.name]:
                continue
            known = self._known(stage, clip, row)
            if known is None:
                continue
            if isinstance(stage, HandCrops) and not self.recipe.guessed_hands_shown:
                clip.unmarked = crop_tar(known, {})
                unmarked += 1
            else:
                ledger.record(replace(known, fingerprint=clip.fingerprints[stage.name], time=time.time()))
                whole += 1
        return TakenOver(whole, unmarked)

    def take_over_shards(self, planned: PlannedShards, ledger: Ledger) -> int:
        """The same for shards."""
        taken = 0
        for name, clips in planned.shards.items():
            row, today = ledger.rows.get(str(planned.folder / name)), planned.fingerprints[name]
            if row is not None and row.fingerprint not in ("", today):
                tars = [(clip, clip.handcrops.crc32) for clip in clips if clip.handcrops]
                contents = [
                    (clip.id, self._handcrops(clip, clip.sample.signer, clip.sample.label), crc) for clip, crc in tars
                ]
                if row.fingerprint == fingerprint(str(planned.folder.absolute()), contents):
                    ledger.record(replace(row, fingerprint=today, time=time.time()))
                    taken += 1
        return taken

    def _known(self, stage: Stage, clip: Clip, row: LedgerRow) -> LedgerRow | None:
        """The row with the facts that this version needs, if an earlier one made it of the same inputs."""
        if isinstance(stage, HandCrops):
            return self._known_crops(stage, clip, row) if row.status == DONE else None
        if clip.sample.keypoints or stage.name == "frames":  # unknown to it; the same in both
            return None
        made = self._keypoints(clip) if stage.name == "keypoints" else self._poseflow(clip)
        return row if row.fingerprint == made else None

    def _known_crops(self, stage: HandCrops, clip: Clip, row: LedgerRow) -> LedgerRow | None:
        if row.fingerprint == stage.unmarked_fingerprint(clip):
            # Without a checksum, another run's file of the same size could not be told from it.
            return row if "crc32" in row.facts else None
        if clip.sample.keypoints or "json_start" in row.facts:
            return None
        try:
            info = self._json_of(clip, row)
            value = json.loads(info)
            made = self._handcrops(clip, value["signer"], value["label"])
            return replace(row, facts=row.facts | {"json_start": json_start(info)}) if row.fingerprint == made else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # it is cut again, as any result that is damaged

    def _json_of(self, clip: Clip, row: LedgerRow) -> bytes:
        offset, size = row.facts["places"]["json"]
        with self.workspace.handcrops(clip.id).open("rb") as tar:
            tar.seek(offset)
            return tar.read(size)

    def _keypoints(self, clip: Clip) -> str:
        folder = _stamp_folder((self.source.files or {}).get(clip.id))
        return fingerprint("keypoints", 1, [clip.color, self.source.version, folder])

    def _poseflow(self, clip: Clip) -> str:
        if self.flow_archive:
            return fingerprint("poseflow", 1, [clip.color, [stamp(part) for part in self.flow_archive]])
        switches = [self.recipe.chained_imputation, self.recipe.scale_per_frame]
        return fingerprint("poseflow", 1, [self._keypoints(clip), *switches])

    def _handcrops(self, clip: Clip, signer: str, label: int | None) -> str:
        recipe = self.recipe
        upstream = [clip.fingerprints["frames"], self._keypoints(clip), self._poseflow(clip)]
        switches = [recipe.box_per_frame, recipe.late_hand_imputation, recipe.opencv_colour, recipe.aliased_colour]
        return fingerprint("handcrops", 3, [upstream, switches, self.quality, signer, label])


def _stamp_folder(folder: str | None) -> list[int] | None:
    """Number, sizes (summed) and newest mtime (ns) of a folder's files, and its own mtime."""
    own = stamp(folder)
    if folder is None or own is None:
        return None
    try:
        with os.scandir(folder) as entries:
            stamps = [found for entry in entries if (found := stamp(entry.path))]
    except OSError:
        stamps = []
    newest = max((mtime for _, mtime in stamps), default=0)
    return [len(stamps), sum(size for size, _ in stamps), newest, own[1]]
