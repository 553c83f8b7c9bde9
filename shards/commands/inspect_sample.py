"""A sample on the inspect page: strips of crops and skeletons over time."""

import numpy as np

from shards.body135 import HANDS
from shards.errors import InputError
from shards.format.sample import MEMBERS, SampleInfo, array_from_npy, info_from_json
from shards.format.shardset import MemberReader, ShardSet
from shards.page.html import Markup, data_uri, tag
from shards.page.skeleton import skeleton, view_box

COLUMNS = 12


def sample_section(shards: ShardSet, reader: MemberReader, sample: int, split: str) -> Markup:
    """The HTML of one sample.

    Raises:
        InputError: its members cannot be read.
    """
    path = shards.paths[shards.shard[sample]]
    try:
        info = info_from_json(reader.read(sample, MEMBERS.index("json")))
        frames = np.linspace(0, info.frames - 1, min(COLUMNS, info.frames)).round().astype(int)
        rows = _strips(shards, reader, sample, info, frames)
        if shards.has("pose.npy")[sample]:
            pose = array_from_npy(reader.read(sample, MEMBERS.index("pose.npy")))
            rows.append(_row("skeleton", _skeletons(pose, info, frames)))
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: {shards.ids[sample]} is damaged ({error}); `shards verify --full {path.parent}`"
        ) from error
    label = "no class" if info.label is None else f"{shards.dataset.classes[info.label]} (class {info.label})"
    facts = f"{split}, signer {info.signer or 'unknown'}, {info.frames} frames at {info.fps:g}/s, {path.name}"
    lost = ", ".join(f"{hand} hand missing in {int(info.hands[hand].missing.sum())}" for hand in HANDS)
    head = tag("tr", tag("th", "frame"), *(tag("th", str(frame)) for frame in frames.tolist()))
    strips = tag("table", head, *rows, class_="strip")
    title = tag("h2", label, " ", tag("code", info.id))
    return tag("section", title, tag("p", f"{facts}; {lost}", class_="note"), strips, class_="sample", id=info.id)


def _strips(shards: ShardSet, reader: MemberReader, sample: int, info: SampleInfo, frames: np.ndarray) -> list[Markup]:
    rows = []
    for depth in ("", "_depth"):
        for hand in HANDS:
            member, track = f"{hand}{depth}.mjpg", info.hands[hand]
            table = track.depth_jpegs if depth else track.jpegs
            if table is None or not shards.has(member)[sample]:
                continue
            data = reader.read(sample, MEMBERS.index(member))
            name = f"{hand} {'depth' if depth else 'hand'}"
            cells = []
            for frame in frames.tolist():
                offset, size, width, height = table[frame].tolist()
                missing = track.missing[frame]
                tip = f"frame {frame}, {width}×{height}" + (", missing: another picture stands in" if missing else "")
                image = tag("img", src=data_uri(data[offset : offset + size], "image/jpeg"), alt=name, title=tip)
                cells.append(tag("td", image, class_="missing" if missing else "found"))
            rows.append(_row(name, cells))
    return rows


def _skeletons(pose: np.ndarray, info: SampleInfo, frames: np.ndarray) -> list[Markup]:
    found = [track.boxes[~track.missing] for track in info.hands.values()]
    view = view_box(pose, np.concatenate(found))
    cells = []
    for frame in frames.tolist():
        tracks = info.hands.items()
        boxes = {hand: None if track.missing[frame] else track.boxes[frame] for hand, track in tracks}
        cells.append(tag("td", skeleton(pose[frame], boxes, view)))
    return cells


def _row(name: str, cells: list[Markup]) -> Markup:
    return tag("tr", tag("th", name), *cells, class_=name.replace(" ", "-"))
