"""Small shard sets, made here in a fraction of a second from noise, through the modules of `shards/` alone."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import simplejpeg

from shards.body135 import HANDS
from shards.format.dataset import Dataset, read_dataset
from shards.format.index import scan_shard, write_index
from shards.format.recipe import DEFAULT, Recipe
from shards.format.sample import HandTrack, SampleInfo, npy_bytes
from shards.format.tar import pack
from shards.format.writer import Extent, write_shard


@dataclass(frozen=True)
class Plan:
    """A shard set to be made."""

    splits: dict[str, int]  # samples per split
    recipe: Recipe = DEFAULT
    depth: bool = False
    classes: int = 3
    labelled: bool = True
    keypoints_only: int = 0  # every so many-th sample is without video; 0: none
    estimator: str = "none"
    crop: int = 48  # largest side
    frames: int = 14  # the longest clip
    per_shard: int = 3
    seed: int = 0


def _hand(random: np.random.Generator, boxes: np.ndarray, missing: np.ndarray, tint: np.ndarray, gray: bool):
    """Member and table of one hand: noise around a colour, so that a class can be seen in it."""
    member, table = io.BytesIO(), []
    for x0, y0, x1, y1 in boxes.tolist():
        noise = random.integers(-40, 40, (y1 - y0, x1 - x0, 1 if gray else 3))
        image = np.clip(noise + (tint[:1] if gray else tint), 0, 255).astype(np.uint8)
        jpeg = simplejpeg.encode_jpeg(image, 90, "GRAY" if gray else "RGB", "GRAY" if gray else "420")
        table.append((member.tell(), len(jpeg), x1 - x0, y1 - y0))
        member.write(jpeg)
    return member.getvalue(), np.array(table)


def make_sample(plan: Plan, split: str, number: int) -> tuple[SampleInfo, dict[str, bytes]]:
    """Sample `number` of a split: random crops and flow, its class in the colour of the crops."""
    random = np.random.default_rng([plan.seed, len(split), number])
    frames, label = int(random.integers(5, plan.frames + 1)), number % plan.classes
    tint = np.roll([60, 120, 200], label)
    hands, members = {}, {}
    for hand in HANDS:
        corner = random.integers(0, 50, (frames, 2))
        boxes = np.concatenate([corner, corner + random.integers(20, plan.crop + 1, (frames, 2))], axis=1)
        missing = random.random(frames) < 0.2
        members[f"{hand}.mjpg"], jpegs = _hand(random, boxes, missing, tint, gray=False)
        depth_jpegs = None
        if plan.depth:
            members[f"{hand}_depth.mjpg"], depth_jpegs = _hand(random, boxes, missing, tint, gray=True)
        hands[hand] = HandTrack(boxes, missing, jpegs, depth_jpegs)
    flow = np.stack([random.uniform(-3, 3, (frames - 1, 135)), random.uniform(0, 1, (frames - 1, 135))], axis=-1)
    if plan.keypoints_only and number % plan.keypoints_only == 0:
        hands, members = {}, {}
    members["flow.npy"] = npy_bytes(flow.astype(np.float32))
    members["pose.npy"] = npy_bytes(random.uniform(0, 100, (frames, 135, 3)).astype(np.float32))
    info = SampleInfo(
        f"{split}_sample{number}",
        f"signer{number % 2}",
        label if plan.labelled else None,
        30.0,
        100,
        100,
        frames,
        hands,
    )
    return info, {"json": info.to_json(), **members}


def make_shards(folder: Path, plan: Plan) -> Path:
    """Write a shard set into `folder`."""
    folder.mkdir(parents=True)
    splits, sums = {}, {}
    for split, count in plan.splits.items():
        shards, rows = [], []
        for first in range(0, count, plan.per_shard):
            extents = []
            for number in range(first, min(first + plan.per_shard, count)):
                info, members = make_sample(plan, split, number)
                packed = pack(info.id, members)
                path = folder / f"{info.id}.sample"
                path.write_bytes(packed.data)
                extents.append(Extent(path, 0, packed.extent))
            path = folder / f"{split}-{first // plan.per_shard:03d}.tar"
            shards.append(write_shard(path, extents))
            rows += scan_shard(path)
            for extent in extents:
                extent.path.unlink()
        sums[split] = write_index(folder / f"{split}.parquet", rows)
        splits[split] = shards
    names = [f"class {number}" for number in range(plan.classes)]
    Dataset(plan.recipe, {"estimator": plan.estimator}, names, splits, sums).write(folder)
    return folder


def rewrite_index(folder: Path, split: str, rows: list[dict]) -> None:
    """Give a split of a shard set an index of these rows, as if it had been made with them."""
    dataset = read_dataset(folder)
    sums = dataset.index_sums | {split: write_index(folder / f"{split}.parquet", rows)}
    replace(dataset, index_sums=sums).write(folder)
