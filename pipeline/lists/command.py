"""`pipeline clips`: a data set in its own form → clip list, classes, and a report."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.lists.csv_lists import read_asl_citizen, read_gislr, read_gsl, read_include
from pipeline.lists.folders import read_folders
from pipeline.lists.ids import unique_ids
from pipeline.lists.list_report import ListEntry, summary, warnings, with_examples
from pipeline.lists.locate import Finder, Located, Ranges, locate
from pipeline.lists.msasl import read_msasl
from pipeline.lists.named_files import read_autsl, read_karsl, read_lsa64, read_slr500
from pipeline.lists.record import ClipListing
from pipeline.lists.sources import Sources
from pipeline.lists.wlasl import read_wlasl
from shards.command_line import print_line
from shards.csv_files import write_rows
from shards.errors import InputError
from shards.files import check_output
from shards.format.assignment import read_assignment
from shards.names import is_split_name, is_utf8

# Beside `read_folders`, which alone takes a pattern.
_READERS: dict[str, Callable[[Sources], ClipListing]] = {
    "autsl": read_autsl,
    "wlasl": read_wlasl,
    "msasl": read_msasl,
    "asl-citizen": read_asl_citizen,
    "lsa64": read_lsa64,
    "karsl": read_karsl,
    "include": read_include,
    "slr500": read_slr500,
    "gsl": read_gsl,
    "gislr": read_gislr,
}


def clips_command(
    layout: str,
    paths: Sequence[Path],
    out: Path,
    classes_out: Path | None,
    missing: str | None,
    pattern: str | None,
    assign: Path | None,
) -> None:
    """Read a data set, write its clip list and its classes, and print the report; warnings go to stderr.

    Raises:
        InputError: something in the lists is wrong, clips are missing with `missing` "fail", or none is left.
    """
    if pattern is not None and layout != "folders":
        raise InputError(f"--pattern goes with the layout folders, not with {layout}")
    sources = Sources(paths)
    listing = read_folders(sources, pattern) if layout == "folders" else _READERS[layout](sources)
    read = [*sources.files, *sources.used, *([assign] if assign else [])]
    check_output(out, *read)
    if classes_out:
        check_output(classes_out, out, *read)
    if not listing.records:
        examples = f", e.g. {listing.unreadable[0]}" if listing.unreadable else ""
        raise InputError(f"{paths[0]}: no clip of {layout} in it{examples}")
    finder = Finder(listing.roots)
    located, ranges = locate(listing.records, finder)
    kept, lines = _present(located, missing)
    entries = _entries(kept, listing, lines)
    if assign:
        entries = _assigned(entries, assign, lines)
    _refuse_splits(entries)
    _write_clip_list(out, entries)
    if classes_out:
        write_rows(classes_out, [("ClassId", "NAME"), *enumerate(listing.classes)])
    unused = set(finder.unused()) - {*listing.unreadable, *listing.unmatched}
    lines += [*_oddities(listing, ranges, sorted(unused)), *warnings(entries, listing.classes)]
    for note in listing.notes:
        print_line(note)
    for line in lines:
        print_line(f"warning: {line}", err=True)
    print_line(summary(entries, listing.classes))
    classes = f"; {classes_out}: {len(listing.classes)} classes" if classes_out else ""
    print_line(f"{out}: {len(entries)} rows{classes}")


def _present(located: Sequence[Located], missing: str | None) -> tuple[list[Located], list[str]]:
    """The clips to list, and what to tell of those that are not on the disk."""
    absent = [str(one.color or one.keypoints) for one in located if one.missing]
    if not absent:
        return list(located), []
    line = f"{len(absent):,} of {len(located):,} clips are missing, e.g. {', '.join(absent[:3])}"
    if missing == "fail":
        raise InputError(f"{line}; nothing was written")
    if missing is None:
        return list(located), [f"{line}; they are listed; --missing skip leaves them out"]
    if len(absent) == len(located):
        raise InputError(f"{line}; give the folder of the clips as one of the paths")
    return [one for one in located if not one.missing], [f"{line}; they are left out"]


def _entries(located: Sequence[Located], listing: ClipListing, lines: list[str]) -> list[ListEntry]:
    """The clips with ids; what is left out, and ids that are not the names, are added to `lines` and to the notes."""
    wrong_names = [ascii(one.record.name) for one in located if not _is_utf8(one)]
    backwards = [one.record.name for one in located if not one.has_time]
    kept = [one for one in located if _is_utf8(one) and one.has_time]
    records = [one.record for one in kept]
    ids, collisions = unique_ids([record.name for record in records], [record.split for record in records])
    pairs = zip((record.name for record in records), ids, strict=True)
    changed = [f"{name} → {one}" for name, one in pairs if name.replace("/", "_") != one]
    lines += with_examples("clips have a path that is not UTF-8: left out", wrong_names)
    lines += with_examples("clips end before they begin: left out", backwards)
    lines += with_examples("names are those of several clips; their ids were made different", collisions)
    listing.notes.extend(with_examples("ids are not the clips' names", changed))
    return [
        ListEntry(one_id, *(one.record.split, one.record.signer, one.record.label), *_files(one), one.start, one.end)
        for one_id, one in zip(ids, kept, strict=True)
    ]


def _is_utf8(one: Located) -> bool:
    return all(is_utf8(str(path)) for path in _files(one))


def _files(one: Located) -> tuple[Path | None, Path | None, Path | None]:
    return one.color, one.depth, one.keypoints


def _assigned(entries: Sequence[ListEntry], path: Path, lines: list[str]) -> list[ListEntry]:
    """The clips with the splits that a CSV `id,split` gives them; ids that name no clip are added to `lines`."""
    splits = read_assignment(path)
    unknown = sorted(splits.keys() - {entry.id for entry in entries})
    lines += with_examples(f"ids in {path} name no clip", unknown)
    return [replace(entry, split=splits[entry.id][1] if entry.id in splits else entry.split) for entry in entries]


def _refuse_splits(entries: Sequence[ListEntry]) -> None:
    """InputError where a folder is taken for a split whose name no file can have."""
    for entry in entries:
        if entry.split and not is_split_name(entry.split):
            raise InputError(
                f"{entry.file}: {entry.split!r} cannot name a split; rename it, or say more with --pattern"
            )


def _oddities(listing: ClipListing, ranges: Ranges, unused: Sequence[str]) -> list[str]:
    """What the list and the disk do not agree in."""
    found = (
        ("files or rows do not follow the rule of names: left out", listing.unreadable),
        ("files matched nothing", [*listing.unmatched, *unused]),
        ("videos hold the named frames alone (they were cut): no start, no end", ranges.cut),
        ("videos are too short for the frames that the list names: taken whole, look at them", ranges.unfit),
        ("clips have start and end by the list's frame rate: their videos could not be asked", ranges.guessed),
        ("clips are named by frames, and nothing says the frame rate: left out", ranges.unknown),
    )
    return [line for what, examples in found for line in with_examples(what, examples)]


def _write_clip_list(path: Path, entries: Sequence[ListEntry]) -> None:
    """Write the CSV, whole or not at all; paths below its folder are relative. Optional columns are there if used."""
    columns = ["id", "split", "signer", "label", "color"]
    for together in (["depth"], ["keypoints"], ["start", "end"]):
        if any(getattr(entry, column) is not None for entry in entries for column in together):
            columns += together
    base = str(path.parent.absolute()) + os.sep
    write_rows(path, [columns, *([_cell(getattr(entry, column), base) for column in columns] for entry in entries)])


def _cell(value: str | int | float | Path | None, base: str) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, Path):
        return str(value.absolute()).removeprefix(base)
    return str(value)
