"""Data sets whose files say in their names who signs what: AUTSL, LSA64, SLR500, KArSL."""

import re
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

from openpyxl import load_workbook

from pipeline.lists.record import ClipListing, Record, is_known_split, one_per_split, split_name, split_of_file
from pipeline.lists.sources import Sources, read_json, read_lines
from pipeline.lists.walk import FoundClip, stem_of, walk
from shards.csv_files import read_columns
from shards.errors import InputError
from shards.labels import Labelled, read_classes, read_labelled
from shards.names import signer_of

_LSA64 = re.compile(r"(\d{3})_(\d{3})_(\d{3})")
_SLR500 = re.compile(r"P(\d+)_(\d+)_(\d+)_(\d+)(?:\._color)?")
_SLR500_TRAIN = 35  # signers 1 to 35, the others test
_LSA64_SIGNS_SIGNERS_REPETITIONS = (64, 10, 5)
_KARSL_SIGNS = 502


def _clips(sources: Sources, listing: ClipListing) -> list[FoundClip]:
    """The clips below the given folders, with absolute paths; the other files are added to `listing.unmatched`."""
    if not sources.folders:
        raise InputError(f"{sources.files[0]}: is a file; give the folder of the clips")
    listing.roots.extend(sources.folders)
    found = []
    used = {path.absolute() for path in sources.used}
    for root in (folder.absolute() for folder in sources.clip_folders()):
        clips, others = walk(root)
        listing.unmatched.extend(str(root / other) for other in others if root / other not in used)
        found += [FoundClip(f"{root}/{clip.path}", clip.kind) for clip in clips]
    return found


def read_autsl(sources: Sources) -> ClipListing:
    """AUTSL: `<split>/<id>_color.mp4` and `<id>_depth.mp4`, CSVs of labels, `SignList_ClassId_TR_EN.csv`.

    Labels are headerless CSVs `id,class[,split]`: those given by name, else `{train,val,test}_labels.csv` where they
    are. The split is the name of the video's folder, unless the CSV has one.

    Raises:
        InputError: an id with two labels.
    """
    names = sources.find(r"SignList_ClassId_TR_EN\.csv|.*classes\.csv")
    given = [path for path in sources.files if path.suffix.lower() == ".csv" and path not in names]
    tables = given or sources.find(r"(\w+_)?(labels|ground_truth)\.csv")
    listing = ClipListing([], read_classes(names[0]) if names else [], [f"labels: {path}" for path in tables])
    labels = _autsl_labels(tables)
    color, depth = _by_ending(_clips(sources, listing), listing)
    for stem, path in color.items():
        folder, _, name = stem.rpartition("/")
        row = labels.get(name)
        split = (row.split if row else None) or split_name(folder.rpartition("/")[2])
        label = row.label if row else None
        listing.records.append(Record(name, split, signer_of(name), label, (path,), depth.pop(stem, None)))
    listing.unmatched.extend(depth.values())
    if absent := sorted(labels.keys() - {record.name for record in listing.records}):
        counts = f"of the {len(labels):,} clips with labels {len(absent):,}"
        listing.notes.append(f"{counts} are not there, e.g. {absent[0]}")
    return _with_classes(listing, str)


def _autsl_labels(tables: list[Path]) -> dict[str, Labelled]:
    labels: dict[str, Labelled] = {}
    for path in tables:
        for row in read_labelled(path):
            if labels.setdefault(row.id, row).label != row.label:
                raise InputError(f"{path}: {row.id} has class {row.label}, in another file {labels[row.id].label}")
    return labels


def _by_ending(clips: list[FoundClip], listing: ClipListing) -> tuple[dict[str, str], dict[str, str]]:
    """The paths of `…_color` and of `…_depth` by what stands before; other clips, and twins, go to `unmatched`."""
    color: dict[str, str] = {}
    depth: dict[str, str] = {}
    for clip in clips:
        stem, _, ending = clip.stem.rpartition("_")
        paths = {"color": color, "depth": depth}.get(ending)
        if paths is None or paths.setdefault(stem, clip.path) != clip.path:
            listing.unmatched.append(clip.path)
    return color, depth


def read_lsa64(sources: Sources) -> ClipListing:
    """LSA64: `<sign>_<signer>_<repetition>.mp4`, numbers of 3 digits from 1; lines `01|Opaque|R|` have the names.

    The data set has no splits. What is not there of its 64 signs by 10 signers, 5 times each, is told.
    """
    tables = sources.find(r".*signs?\.(md|txt|csv)")
    rows = [[cell.strip() for cell in line.split("|")] for line in (read_lines(tables[0]) if tables else [])]
    rows = [row for row in rows if len(row) > 1 and row[0].isdigit()]
    if [int(row[0]) for row in rows] != list(range(1, len(rows) + 1)):
        raise InputError(f"{tables[0]}: expected lines of a number, from 1, | and a name")
    listing = ClipListing([], [row[1] for row in rows], [f"classes: {path}" for path in tables[:1]])
    numbers = set()
    for clip in _clips(sources, listing):
        match = _LSA64.fullmatch(clip.stem.rpartition("/")[2])
        if not match:
            listing.unreadable.append(clip.path)
            continue
        sign, signer, _ = numbers_of = tuple(int(group) for group in match.groups())
        numbers.add(numbers_of)
        listing.records.append(Record(match[0], "", str(signer), sign - 1, (clip.path,)))
    grid = list(product(*(range(1, count + 1) for count in _LSA64_SIGNS_SIGNERS_REPETITIONS)))
    absent = ["_".join(f"{number:03}" for number in one) for one in grid if one not in numbers]
    if absent:
        listing.notes.append(f"of the {len(grid):,} clips of LSA64 {len(absent):,} are not there, e.g. {absent[0]}")
    return _with_classes(listing, lambda label: f"{label + 1:03}")


def read_slr500(sources: Sources) -> ClipListing:
    """SLR500: `000/P41_01_00_3._color.mp4`: signer P41, class (01 - 1) * 20 + 00, repetition 3.

    From `split.train.csv` and `split.test.csv` (`video_path,class_name`) where they are, else from the files, signers 1
    to 35 for training as the data set has it. Names of classes are the lists'; `gloss_label.txt` is in another order.
    """
    lists = one_per_split(sources.find(r"split\.(train|val|test)\.csv"))
    listing = ClipListing([], [], [f"list: {path}" for path in lists])
    names: dict[int, str] = {}
    if lists:
        listing.roots.extend(sources.roots(lists))
        for path in lists:
            for row in read_columns(path, ["video_path", "class_name"]):
                record = _slr500(row["video_path"], split_of_file(path))
                if record is None or record.label is None:
                    raise row.error(
                        "video_path", f"{row['video_path']!r} is not in the form 000/P41_01_00_3._color.mp4"
                    )
                if names.setdefault(record.label, row["class_name"]) != row["class_name"]:
                    raise row.error("class_name", f"class {record.label} is {names[record.label]!r} further up")
                listing.records.append(record)
    else:
        for clip in _clips(sources, listing):
            record = _slr500(clip.path, None)
            if record:
                listing.records.append(record)
            else:
                listing.unreadable.append(clip.path)
    return _with_classes(listing, lambda label: names.get(label, f"{label:03}"))


def _slr500(path: str, split: str | None) -> Record | None:
    match = _SLR500.fullmatch(stem_of(path.rpartition("/")[2]))
    if not match:
        return None
    signer, group, sign, _ = (int(number) for number in match.groups())
    split = split or ("train" if signer <= _SLR500_TRAIN else "test")
    name = match[0].removesuffix("._color")
    return Record(name, split, f"P{match[1]}", (group - 1) * 20 + sign, (path,))


def read_karsl(sources: Sources) -> ClipListing:
    """KArSL: `<signer>/<signer>/<train|test>/<SignID>/<name>`, video or folder of pictures; `KARSL-502_Labels.xlsx`.

    A label is SignID - 1. Signer and split are those of the folders: the first number in a name is not the signer.
    """
    tables = sources.find(r"karsl.*labels.*\.(xlsx|json)")
    tables.sort(key=lambda path: path.suffix.lower() != ".xlsx")
    listing = ClipListing([], _karsl_names(tables[0]) if tables else [], [f"classes: {path}" for path in tables[:1]])
    for clip in _clips(sources, listing):
        *_, above, split, sign, name = ("", "", "", *clip.stem.split("/"))
        if not re.fullmatch(r"\d{4}", sign) or not 1 <= int(sign) <= _KARSL_SIGNS or not is_known_split(split):
            listing.unreadable.append(clip.path)
            continue
        signer = above if re.fullmatch(r"\d{2}", above) else ""
        listing.records.append(Record(name, split_name(split), signer, int(sign) - 1, (clip.path,)))
    return _with_classes(listing, lambda label: f"{label + 1:04}")


def _karsl_names(path: Path) -> list[str]:
    """The English names, in the order of SignID; some cells are numbers."""
    if path.suffix.lower() == ".json":
        value = read_json(path)
        names = value.get("EN_WORDS") if isinstance(value, dict) else None
        if not isinstance(names, list):
            raise InputError(f"{path}: expected an object with the list EN_WORDS")
        return [str(name).strip() for name in names]
    rows: Iterable[tuple[object, ...]] = load_workbook(path, read_only=True).worksheets[0].iter_rows(values_only=True)
    header, *rows = [row for row in rows if row and row[0] is not None]
    numbered = [row[0] for row in rows] == list(range(1, len(rows) + 1))
    if header[0] != "SignID" or "Sign-English" not in header or not numbered:
        raise InputError(f"{path}: expected the columns SignID, Sign-Arabic, Sign-English, and SignID from 1")
    return [str(row[header.index("Sign-English")]).strip() for row in rows]


def _with_classes(listing: ClipListing, name: Callable[[int], str]) -> ClipListing:
    """The list with names made up for the classes that have none."""
    count = 1 + max((record.label for record in listing.records if record.label is not None), default=-1)
    if listing.classes and count > len(listing.classes):
        raise InputError(
            f"{listing.records[0].color[0]}: class {count - 1} is used, but {len(listing.classes)} have names"
        )
    if not listing.classes:
        listing.classes.extend(name(label) for label in range(count))
        listing.notes.append("classes: no file says all their names; the others are named by their numbers")
    return listing
