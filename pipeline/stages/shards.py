"""Stage `shards`: the samples of every split as tars, their indexes, and `dataset.json` last.

Ids, signers, labels and splits enter here: a sample's JSON begins with them, and goes on with what the hand crops' tar
holds. A clip without video has no tar; its sample is JSON without hands, pose flow and keypoints.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from pipeline.stages.handcrops import json_start
from pipeline.workers.local import Engine, Task
from pipeline.workspace.clip import Clip, Sample
from pipeline.workspace.fingerprint import fingerprint, stamp
from pipeline.workspace.ledger import Ledger
from pipeline.workspace.paths import Workspace
from pipeline.workspace.result import is_result, mtime_of, named, read_result
from pipeline.workspace.row import BEGUN, DONE, LedgerRow, Made
from pipeline.workspace.shard_folder import listed_shards, own_shards, splits_of
from shards.errors import InputError
from shards.files import remove_leftovers, temporary_name, writing
from shards.format.dataset import FILE_NAME, Dataset, Shard, index_name, read_dataset, sha256_of
from shards.format.sample import SampleInfo
from shards.format.tar import TarLayout, lay_out, padded, tar_member
from shards.format.writer import finish, plan_split, write_shard


@dataclass(frozen=True)
class PlannedShards:
    """The shards that a run makes, by file name, each with the clips in it, in their order."""

    folder: Path
    shards: Mapping[str, Sequence[Clip]]
    workspace: Workspace

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of each shard's place and everything in it, by file name."""
        return {name: shard_fingerprint(self.folder, clips) for name, clips in self.shards.items()}

    def tasks(self, rows: Mapping[str, LedgerRow]) -> list[Task]:
        """The shards that are not there yet, or hold something else than planned."""
        tasks = []
        for name, clips in self.shards.items():
            path, current = self.folder / name, self.fingerprints[name]
            row = rows.get(str(path))
            if row and row.status == DONE and row.fingerprint == current and is_result(row, stamp(path)):
                continue
            tasks.append(Task(str(path), current, partial(make_shard, path, clips, self.workspace)))
        return tasks

    def write(self, ledger: Ledger, run: Engine) -> list[LedgerRow]:
        """Bring the tars in the folder to the plan; `dataset.json` goes first, so that nobody reads what is half done.

        Returns the rows of the shards that were written, failed ones too.
        """
        remove_leftovers(self.folder)
        tasks = self.tasks(ledger.rows)
        own = own_shards(self.folder, ledger.rows)
        # In the workspace the ledger may have been lost, or describe where the workspace was before.
        listed = listed_shards(self.folder) - own if self.folder == self.workspace.shards else set()
        stale = (own | listed) - self.shards.keys()
        # So that the next run knows the tars for ours, should we be killed.
        for name in listed:
            ledger.record(LedgerRow(str(self.folder / name), BEGUN, ""))
        for task in tasks:
            ledger.record(LedgerRow(task.id, BEGUN, task.fingerprint))
        if tasks or stale:
            (self.folder / FILE_NAME).unlink(missing_ok=True)
        rows = []
        for row in run(tasks) if tasks else ():
            rows.append(named(row, Path(row.id)))
            ledger.record(rows[-1])
        for name in stale:
            (self.folder / name).unlink(missing_ok=True)
        for split in splits_of(stale) - splits_of(self.shards):
            (self.folder / f"{split}.parquet").unlink(missing_ok=True)
        return rows

    def is_finished(self, rows: Mapping[str, LedgerRow], dataset: Dataset) -> bool:
        """Whether the indexes and `dataset.json` are as `finish` left them, and would write them again.

        What an index says of a sample depends on what its shard's fingerprint does. Writing AUTSL's anew took a fifth
        of a run with nothing to do.
        """
        try:
            there = read_dataset(self.folder)
            same = all(sha256_of(self.folder / index_name(split)) == sha for split, sha in there.index_sums.items())
        except (InputError, OSError):
            return False
        splits: dict[str, list[Shard]] = {}
        for split, shard, _ in self._written(rows):
            splits.setdefault(split, []).append(shard)
        known = there.index_sums.keys() == splits.keys()
        return same and known and there == replace(dataset, splits=splits, index_sums=there.index_sums)

    def finish(self, rows: Mapping[str, LedgerRow], dataset: Dataset) -> Dataset:
        """Write the indexes, then `dataset.json`: `dataset` with these shards."""
        contents = [
            (split, shard, [(_about(clip), sample_layout(clip)) for clip in clips])
            for split, shard, clips in self._written(rows)
        ]
        return finish(self.folder, dataset, contents)

    def _written(self, rows: Mapping[str, LedgerRow]) -> Iterator[tuple[str, Shard, Sequence[Clip]]]:
        """Of each shard its split, what its row says of it, and its clips."""
        for name, clips in self.shards.items():
            facts = rows[str(self.folder / name)].facts
            shard = Shard(name, facts.get("samples", -1), facts.get("size", -1), facts.get("sha256", ""))
            if (type(shard.samples), type(shard.bytes), type(shard.sha256)) != (int, int, str) or shard.bytes < 0:
                ledgers = self.workspace.ledgers / "shards.*"
                raise InputError(f"{ledgers}: damaged (row of {name}); remove it, and the shards are made again")
            yield clips[0].sample.split, shard, clips


def plan_shards(clips: Iterable[Clip], samples_per_shard: int) -> dict[str, list[Clip]]:
    """The shards of all splits, by file name."""
    splits: dict[str, list[Clip]] = {}
    for clip in clips:
        splits.setdefault(clip.sample.split, []).append(clip)
    shards: dict[str, list[Clip]] = {}
    for split, members in sorted(splits.items()):
        shards |= plan_split(split, members, lambda clip: clip.id, samples_per_shard)
    return shards


def same_keypoints(clips: Iterable[Clip]) -> Iterator[str]:
    """A warning for each clip that is another one's copy, in another split or class: keypoints differ even by noise."""
    first: dict[tuple[int, int], Sample] = {}
    for clip in clips:
        if clip.keypoints.crc32 is not None:
            other = first.setdefault((clip.keypoints.size, clip.keypoints.crc32), clip.sample)
            if (other.split, other.label) != (clip.sample.split, clip.sample.label):
                yield f"{clip.id}: a copy of {other.id} (all keypoints are the same), in another split or class"


def shard_fingerprint(folder: Path, clips: Iterable[Clip]) -> str:
    """Of a shard's place and everything in it."""
    return fingerprint(str(folder.absolute()), [_contents(clip) for clip in clips])


def _contents(clip: Clip) -> list[Any]:
    files = [clip.handcrops] if clip.handcrops else [clip.keypoints, clip.poseflow]
    # The tar of the hand crops says these itself.
    video = [] if clip.handcrops else [clip.video.fps, clip.video.width, clip.video.height]
    return [clip.id, clip.sample.signer, clip.sample.label, [[file.size, file.crc32] for file in files], *video]


def make_shard(path: Path, clips: Sequence[Clip], workspace: Workspace) -> Made:
    """Write one shard; the facts are its entry in `dataset.json`.

    Raises:
        ClipError: an earlier result is damaged.
    """
    temporary = temporary_name(path)
    with writing(path, temporary):
        shard = write_shard(temporary, (sample_members(clip, workspace) for clip in clips))
    facts = {"samples": shard.samples, "size": shard.bytes, "sha256": shard.sha256}
    return Made(facts | mtime_of(temporary), shard.bytes, temporary)


def sample_members(clip: Clip, workspace: Workspace) -> list[bytes]:
    """The members of a clip's sample, as they stand in a shard."""
    if clip.handcrops is None:
        flow = read_result(workspace.poseflow(clip.id), clip.poseflow)
        pose = read_result(workspace.keypoints(clip.id), clip.keypoints)
        members = {"json": _json_without_hands(clip), "flow.npy": flow, "pose.npy": pose}
        return [tar_member(clip.id, name, content) for name, content in members.items()]
    tar = read_result(workspace.handcrops(clip.id), clip.handcrops)
    start, size = clip.handcrops.places["json"]  # the first member
    info = json_head(clip.sample) + tar[start + clip.handcrops.json_start : start + size]
    return [tar_member(clip.id, "json", info), tar[start + padded(size) : clip.handcrops.extent]]


def sample_layout(clip: Clip) -> TarLayout:
    """Where the members will be, from the start of the first header."""
    if clip.handcrops is None:
        info = len(_json_without_hands(clip))
        return lay_out({"json": info, "flow.npy": clip.poseflow.size, "pose.npy": clip.keypoints.size})
    sizes = {member: size for member, (_, size) in clip.handcrops.places.items()}
    sizes["json"] += len(json_head(clip.sample)) - clip.handcrops.json_start
    return lay_out(sizes)


def json_head(sample: Sample) -> bytes:
    """The beginning of a sample's JSON: id, signer and label."""
    info = SampleInfo(sample.id, sample.signer, sample.label, 0.0, 0, 0, 0, {}).to_json()
    return info[: json_start(info)]


def _json_without_hands(clip: Clip) -> bytes:
    sample, video = clip.sample, clip.video
    info = SampleInfo(sample.id, sample.signer, sample.label, video.fps, video.width, video.height, video.frames, {})
    return info.to_json()


def _about(clip: Clip) -> dict[str, Any]:
    sample = clip.sample
    about = {"id": sample.id, "label": sample.label, "signer": sample.signer, "frames": clip.video.frames}
    return about | (clip.handcrops.hands if clip.handcrops else {})
