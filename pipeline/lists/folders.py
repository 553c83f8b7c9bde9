"""Folders of clips whose paths say the class, and perhaps split and signer."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.lists.name_pattern import NamePattern
from pipeline.lists.record import ClipListing, Record, is_known_split, sorted_classes, split_name
from pipeline.lists.sources import Sources
from pipeline.lists.walk import FoundClip, walk
from shards.errors import InputError

_SIGNER = re.compile(r"(?:signer|subject|person|participant|user|speaker|s|p)[ _-]?\d+", re.IGNORECASE)
_HOW = "say what the path of a clip is with --pattern, as in --pattern '{split}/{signer}_{rep}_{label}'"


def read_folders(sources: Sources, pattern: str | None = None) -> ClipListing:
    """The clips below the given folders, by a pattern of their paths or by looking at these.

    A video and keypoints of one name are one clip, and so are `a_color` (or `a`) and `a_depth`. Classes are numbered by
    number where all their names are whole numbers, else in sorted order. An id is the clip's path, unless the pattern
    has `{id}`.

    Raises:
        InputError: no folder, no clips, paths that can be read in several ways, or none that matches the pattern.
    """
    if sources.files or not sources.folders:
        raise InputError(f"{sources.files[0]}: is a file; give the folders of the clips")
    folders = sources.clip_folders()
    root = Path(os.path.commonpath([folder.absolute() for folder in folders]))
    listing = ClipListing([], [], roots=[root])
    groups = _groups(folders, root, listing)
    if not groups:
        raise InputError(f"{sources.folders[0]}: no video, folder of numbered pictures or keypoints in it")
    form = NamePattern(pattern or _found_pattern(sorted(groups), root))
    matches = {stem: form.match(stem) for stem in groups}
    names = sorted_classes([match["label"] for match in matches.values() if match])
    if not names:
        raise InputError(f"{root}: none of its {len(groups)} clips matches the pattern {form.text}, e.g. {min(groups)}")
    how = "" if pattern else " (found by looking; --pattern says it otherwise)"
    listing.notes.append(f"paths: {form.text}{how}")
    listing.classes.extend(names)
    places = {name: place for place, name in enumerate(names)}
    for stem, clips in sorted(groups.items()):
        match = matches[stem]
        if match is None:
            listing.unreadable.extend(str(root / clip.path) for clip in clips)
            continue
        split, signer = split_name(match.get("split", "")), match.get("signer", "")
        paths = {clip.kind: clip.path for clip in reversed(clips)}
        listing.unmatched.extend(str(root / clip.path) for clip in clips if clip.path != paths[clip.kind])
        listing.records.append(_record(match.get("id", stem), split, signer, places[match["label"]], paths))
    return listing


def _groups(folders: Sequence[Path], root: Path, listing: ClipListing) -> dict[str, list[FoundClip]]:
    """The files of each clip by its path without suffix and `_color`; files that are no clips go to `unmatched`."""
    groups: dict[str, list[FoundClip]] = {}
    for folder in folders:
        clips, others = walk(folder)
        below = folder.absolute().relative_to(root).as_posix()
        prefix = "" if below == "." else f"{below}/"
        listing.unmatched.extend(str(root / f"{prefix}{other}") for other in others)
        for clip in clips:
            moved = FoundClip(prefix + clip.path, clip.kind)
            groups.setdefault(moved.stem, []).append(moved)
    for stem in [stem for stem in groups if stem.endswith("_color")]:
        namesakes = groups.get(stem.removesuffix("_color"), [])
        if all(clip.kind == "keypoints" for clip in namesakes):
            groups[stem.removesuffix("_color")] = [*groups.pop(stem), *namesakes]
    for stem in [stem for stem in groups if stem.endswith("_depth") and stem.removesuffix("_depth") in groups]:
        groups[stem.removesuffix("_depth")] += [FoundClip(clip.path, "depth") for clip in groups.pop(stem)]
    return {stem: one for whole in sorted(groups) for stem, one in _told_apart(whole, groups[whole]).items()}


def _told_apart(stem: str, clips: list[FoundClip]) -> dict[str, list[FoundClip]]:
    """One clip, or several where there are several videos of one name (`a.mp4`, `a.avi`)."""
    videos = [clip for clip in clips if clip.kind in ("video", "pictures")]
    if len(videos) < 2:
        return {stem: clips}
    others = [clip for clip in clips if clip not in videos]
    first, *rest = videos
    return {stem: [first, *others]} | {f"{stem}{Path(clip.path).suffix}": [clip] for clip in rest}


def _record(name: str, split: str, signer: str, label: int, paths: Mapping[str, str]) -> Record:
    color = paths.get("video") or paths.get("pictures")
    return Record(
        *(name, split, signer, label),
        color=(color,) if color else (),
        depth=paths.get("depth"),
        keypoints=paths.get("keypoints"),
    )


def _found_pattern(paths: Sequence[str], root: Path) -> str:
    """The pattern of paths such as `hello/1`, `train/hello/1`, `hello/signer3/1`, where they are read in one way."""
    folders = [tuple(path.split("/")[:-1]) for path in paths]
    depths = sorted({len(one) for one in folders})
    if len(depths) > 1:
        examples = " and ".join(next(p for p in paths if p.count("/") == depth) for depth in depths[:2])
        raise InputError(f"{root}: clips lie at several depths, {examples}; {_HOW}")
    levels = [{one[level] for one in folders} for level in range(depths[0])]
    fields = []
    if levels and all(map(is_known_split, levels[0])):
        fields.append("{split}")
        levels = levels[1:]
    if len(levels) == 1:
        fields.append("{label}")
    elif len(levels) == 2:
        first, second = (all(map(_SIGNER.fullmatch, level)) for level in levels)
        if first and second:
            raise InputError(f"{root}: both folders of {paths[0]} look like signers; {_HOW}")
        splits = set(filter(is_known_split, levels[0]))
        if splits and not fields and not second:
            other = min(levels[0] - splits)
            raise InputError(f"{root}: {min(splits)} names a split, {other} beside it does not; {_HOW}")
        fields += ["{signer}", "{label}"] if first else ["{label}", "{signer}"]
    else:
        raise InputError(f"{root}: the folders of its clips ({paths[0]}) do not say the class; {_HOW}")
    return "/".join([*fields, "{clip}"])
