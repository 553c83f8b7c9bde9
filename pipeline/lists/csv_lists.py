"""Data sets with a list file a split: ASL Citizen, INCLUDE, isolated GSL, Google ISLR."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipeline.lists.record import ClipListing, Record, one_per_split, split_name, split_of_file
from pipeline.lists.sources import Sources, read_json, read_lines
from pipeline.lists.walk import stem_of
from shards.csv_files import CsvRow, read_columns
from shards.errors import InputError

_GSL_SIGNER = re.compile(r"signer(\d+)")
_INCLUDE_LIST = re.compile(r"(?:train|val|test)_(include\w*)", re.IGNORECASE)


def read_asl_citizen(sources: Sources) -> ClipListing:
    """ASL Citizen: `splits/{train,val,test}.csv`, `videos/`.

    A label is the place of the gloss among the sorted glosses of train.csv, as in Microsoft's code. The gloss in a
    file's name is another one in places, and is not used.

    Raises:
        InputError: no train.csv; a gloss that it does not have.
    """
    lists = one_per_split(sources.need(r"(train|val|test)\.csv", "splits/train.csv"))
    rows = {path: _rows(path, ("Participant ID", "Video file", "Gloss")) for path in lists}
    if not any(split_of_file(path) == "train" for path in lists):
        raise InputError(f"{lists[0]}: train.csv is needed too: labels are places among its glosses")
    glosses = {row["gloss"] for path in lists if split_of_file(path) == "train" for row in rows[path]}
    classes = sorted(glosses)
    places = {gloss: place for place, gloss in enumerate(classes)}
    listing = ClipListing.of_lists(sources, lists, classes, "places among the sorted glosses of train.csv")
    for path in lists:
        for row in rows[path]:
            if row["gloss"] not in places:
                raise row.error("Gloss", f"{row['gloss']!r} is not in train.csv, so it has no class")
            video = row["video file"]
            listing.records.append(
                Record(
                    *(stem_of(video), split_of_file(path), row["participant id"], places[row["gloss"]]),
                    color=(f"videos/{video}", video),
                )
            )
    return listing


def read_include(sources: Sources) -> ClipListing:
    """INCLUDE: `{train,test}_include50.csv` or `{train,test}_include.csv`, and the folders of the categories.

    A label is the place of the word among the sorted words, as OpenHands has it (`4. Bird`: the number is the
    category's, and the authors' own map numbers otherwise). Nobody says who signs.

    Raises:
        InputError: no list, or lists of several subsets with as many splits each.
    """
    found = sources.need(r"(train|val|test)_include\w*\.csv", "train_include.csv and test_include.csv")
    lists = one_per_split(_one_subset(found))
    rows = {path: _rows(path, ("Category", "Word", "FilePath")) for path in lists}
    classes = sorted({row["word"] for path in lists for row in rows[path]})
    places = {word: place for place, word in enumerate(classes)}
    listing = ClipListing.of_lists(sources, lists, classes, "places among the sorted words")
    for path in lists:
        for row in rows[path]:
            name = stem_of(row["filepath"])
            listing.records.append(Record(name, split_of_file(path), "", places[row["word"]], color=(row["filepath"],)))
    return listing


def read_gsl(sources: Sources) -> ClipListing:
    """Isolated GSL: `{train,val,test}_greek_iso.csv` and `iso_classes.csv`; clips are folders of pictures.

    A line is `folder|gloss`, without a header. A label is the gloss's line in `iso_classes.csv`; `1` and `10` are
    glosses, too. One signer is in both val and test.

    Raises:
        InputError: no list, no classes, or a gloss that these do not have.
    """
    lists = one_per_split(sources.need(r".*(train|val|test)_greek_iso\.csv", "train_greek_iso.csv"))
    classes_file = sources.only(r"iso_classes\.csv", "iso_classes.csv")
    classes = [line.partition("|")[0].strip() for line in read_lines(classes_file)]
    places = {gloss: place for place, gloss in enumerate(classes)}
    listing = ClipListing.of_lists(sources, lists, classes, f"lines of {classes_file}")
    for path in lists:
        for number, line in enumerate(read_lines(path), 1):
            folder, bar, gloss = (part.strip() for part in line.partition("|"))
            if not bar or gloss not in places:
                raise InputError(f"{path}: line {number}: {line!r} is not a folder, | and a gloss of {classes_file}")
            signer = _GSL_SIGNER.search(folder)
            listing.records.append(
                Record(folder, split_of_file(path), signer[1] if signer else "", places[gloss], color=(folder,))
            )
    return listing


def read_gislr(sources: Sources) -> ClipListing:
    """Google ISLR: `train.csv` and Parquet files of keypoints; no video.

    A label is the sign's number in `sign_to_prediction_index_map.json`. The data set has no splits; text files of
    sequence ids that are named for a split (`val.txt`, `test.txt`) make them: then what they leave is train.

    Raises:
        InputError: no train.csv, no map, a sign that the map does not have, or a sequence of two splits.
    """
    table = sources.only(r"train\w*\.csv", "train.csv")
    index = sources.only(r"sign_to_prediction_index_map\.json", "sign_to_prediction_index_map.json")
    numbers = read_json(index)
    if not isinstance(numbers, dict) or sorted(numbers.values()) != list(range(len(numbers))):
        raise InputError(f"{index}: expected the signs with the numbers 0, 1, 2, …")
    files = sources.find(r"(train|val|test)\.txt")
    split_of = _gislr_splits(files)
    classes = sorted(numbers, key=numbers.__getitem__)
    listing = ClipListing.of_lists(sources, [table, *files], classes, f"numbers of {index}")
    for row in _rows(table, ("path", "participant_id", "sequence_id", "sign")):
        if row["sign"] not in numbers:
            raise row.error("sign", f"{row['sign']!r} is not in {index}")
        split = split_of.get(row["sequence_id"], "train" if files else "")
        listing.records.append(
            Record(row["sequence_id"], split, row["participant_id"], numbers[row["sign"]], keypoints=row["path"])
        )
    absent = sorted(split_of.keys() - {record.name for record in listing.records})
    listing.unreadable.extend(f"{split_of[one]}.txt: {one}, which {table} does not have" for one in absent)
    return listing


def _gislr_splits(files: Sequence[Path]) -> dict[str, str]:
    """The split of each sequence that a text file names."""
    split_of: dict[str, str] = {}
    for path in files:
        split = split_name(path.stem)
        for sequence in read_lines(path):
            if split_of.setdefault(sequence, split) != split:
                raise InputError(f"{path}: {sequence} is in {split_of[sequence]}, too; it can be in one split")
    return split_of


def _rows(path: Path, columns: tuple[str, ...]) -> list[CsvRow]:
    return list(read_columns(path, [column.casefold() for column in columns]))


def _one_subset(lists: list[Path]) -> list[Path]:
    """Of the lists of INCLUDE and of INCLUDE-50 those that have more splits."""
    subsets = defaultdict(list)
    for path in lists:
        match = _INCLUDE_LIST.fullmatch(path.stem)
        subsets[match[1].casefold() if match else ""].append(path)
    ranked = sorted(subsets.values(), key=len, reverse=True)
    if len(ranked) > 1 and len(ranked[0]) == len(ranked[1]):
        names = " or ".join(path.name for path in (ranked[0][0], ranked[1][0]))
        raise InputError(f"{ranked[0][0]}: lists of two subsets; give the paths of those to read: {names}")
    return ranked[0]
