"""WLASL: `WLASL_v0.3.json`, its subsets (`nslt_100.json`) and `wlasl_class_list.txt`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.lists.record import ClipListing, Record, split_name, youtube_id
from pipeline.lists.sources import Sources, read_json, read_lines
from shards.errors import InputError

_FIELDS = {"fps", "frame_end", "frame_start", "signer_id", "split", "url", "video_id"}


def read_wlasl(sources: Sources) -> ClipListing:
    """The instances of the JSON, or of those of a subset where its JSON is given by name.

    A label is the gloss's line in the class list. `frame_start` counts from 1 and `frame_end` is included, -1 for the
    video's end. The rate in the JSON is 25 whatever the video, so it counts only where there is no video to ask. The
    frames of a subset's JSON are of the cut clip or of the full video, now one, now the other, and are not used.

    Raises:
        InputError: no such JSON, or a gloss that the class list lacks.
    """
    given = [path for path in sources.files if path.suffix.lower() == ".json"]
    values = {path: read_json(path) for path in given}
    subsets = [path for path, value in values.items() if isinstance(value, dict)]
    lists = [path for path, value in values.items() if isinstance(value, list)]
    if not lists:
        lists = [sources.only(r"(wlasl|asl\d).*\.json", "WLASL_v0.3.json, which says who signs")]
        values[lists[0]] = read_json(lists[0])
    if len(lists) > 1 or len(subsets) > 1:
        raise InputError(f"{given[-1]}: give one list of WLASL, and at most one subset")
    sources.used.update([*lists, *subsets])
    instances = _instances(lists[0], values[lists[0]])
    glosses, how = _glosses(sources, values[lists[0]])
    subset = _subset(subsets[0], values[subsets[0]]) if subsets else None
    listing = ClipListing.of_lists(sources, [*lists, *subsets], glosses, how)
    places = {gloss: place for place, gloss in enumerate(glosses)}
    for gloss, instance in instances:
        if gloss not in places:
            raise InputError(f"{lists[0]}: the class list has no gloss {gloss!r}")
        if subset is None or instance["video_id"] in subset:
            listing.records.append(_record(instance, places[gloss]))
    return listing if subset is None else _as_subset(listing, subset, subsets[0])


def _glosses(sources: Sources, value: Any) -> tuple[list[str], str]:
    found = sources.find(r"wlasl_class_list\.txt")
    if not found:
        return [entry["gloss"] for entry in value], "places of the glosses in the list"
    lines = [re.split(r"\s", line, maxsplit=1) for line in read_lines(found[0])]
    if [line[0] for line in lines] != [str(number) for number in range(len(lines))]:
        raise InputError(f"{found[0]}: expected lines of a number, from 0, and a gloss")
    return [line[-1].strip() for line in lines], f"lines of {found[0]}"


def _instances(path: Path, value: Any) -> list[tuple[str, dict[str, Any]]]:
    try:
        found = [(entry["gloss"], instance) for entry in value for instance in entry["instances"]]
        for _, instance in found:
            if not isinstance(instance["video_id"], str):
                raise InputError(f"{path}: a video_id is a number; it must be text, which keeps leading zeros")
            if wanted := _FIELDS - instance.keys():
                raise InputError(f"{path}: video {instance['video_id']} has no {min(wanted)}")
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not in the form of WLASL_v0.3.json ({error!r})") from error
    return found


def _record(instance: dict[str, Any], label: int) -> Record:
    video, youtube = instance["video_id"], youtube_id(instance["url"])
    color = [f"videos/{video}.mp4", f"{video}.mp4", f"raw_videos/{video}.mp4"]
    if youtube:
        color += [f"raw_videos/{youtube}.mp4", f"videos/{youtube}.mp4", f"{youtube}.mp4"]
    first, last = int(instance["frame_start"]), int(instance["frame_end"])
    whole = first <= 1 and last < 0
    return Record(
        video,
        split_name(instance["split"]),
        str(instance["signer_id"]),
        label,
        tuple(color),
        frames=None if whole else (first - 1, None if last < 0 else last),
        fps=float(instance["fps"]),
    )


def _subset(path: Path, value: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """The class and the split of each video of a subset."""
    try:
        return {video: (int(entry["action"][0]), split_name(entry["subset"])) for video, entry in value.items()}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not in the form of nslt_100.json ({error!r})") from error


def _as_subset(listing: ClipListing, subset: dict[str, tuple[int, str]], path: Path) -> ClipListing:
    """The list with the subset's splits and no more classes than it has."""
    records, moved = [], 0
    for record in listing.records:
        label, split = subset[record.name]
        if label != record.label:
            raise InputError(f"{path}: {record.name} has class {label}, in the list {record.label}")
        moved += split != record.split
        records.append(replace(record, split=split))
    absent = sorted(subset.keys() - {record.name for record in records})
    notes = [f"splits: the subset's; {moved} clips are in another split in the list"] if moved else []
    count = 1 + max((label for label, _ in subset.values()), default=-1)
    unreadable = [f"{path}: {name}, which the list does not have" for name in absent]
    return replace(
        listing, records=records, classes=listing.classes[:count], notes=listing.notes + notes, unreadable=unreadable
    )
