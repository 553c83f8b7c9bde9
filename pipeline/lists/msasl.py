"""MS-ASL: `MSASL_train.json`, `MSASL_val.json`, `MSASL_test.json` and `MSASL_classes.json`."""

from pathlib import Path
from typing import Any

from pipeline.lists.record import ClipListing, Record, one_per_split, split_of_file, youtube_id
from pipeline.lists.sources import Sources, read_json
from shards.errors import InputError


def read_msasl(sources: Sources) -> ClipListing:
    """The clips of all splits that are there: parts of YouTube's videos, which are looked for by the video's id.

    The list has no ids: a clip is `<split>_<place in the file, from 0>`. The signer is `signer_id`; `signer` is -1 in
    many records. The box (y first) is not used. A clip of a file without times is found by its frames, from 0.

    Raises:
        InputError: no list, no classes, or records of another form.
    """
    classes_file = sources.only(r"ms-?_?asl_classes\.json", "MSASL_classes.json")
    classes = read_json(classes_file)
    given = [path for path in sources.files if path.suffix.lower() == ".json" and path != classes_file]
    lists = one_per_split(given or sources.need(r"MSASL_(train|val|test)\.json", "MSASL_{train,val,test}.json"))
    listing = ClipListing.of_lists(sources, lists, classes, str(classes_file))
    for path in lists:
        for place, entry in enumerate(read_json(path)):
            _add(listing, path, place, split_of_file(path), entry)
    return listing


def _add(listing: ClipListing, path: Path, place: int, split: str, entry: dict[str, Any]) -> None:
    name = f"{split}_{place}"
    try:
        video = youtube_id(entry["url"])
        if video is None:
            listing.unreadable.append(f"{path}: record {place}: {entry['url']} is no video of YouTube's")
            return
        label = int(entry["label"])
        if listing.classes[label : label + 1] != [entry["text"]]:
            raise InputError(f"{path}: record {place}: {label} is not the class of {entry['text']!r}")
        times = "start_time" in entry and "end_time" in entry
        record = Record(
            name,
            split,
            str(entry["signer_id"]),
            label,
            (f"videos/{video}.mp4", f"{video}.mp4"),
            start=float(entry["start_time"]) if times else None,
            end=float(entry["end_time"]) if times else None,
            frames=None if times else (int(entry["start"]), int(entry["end"])),
            fps=float(entry["fps"]) if "fps" in entry else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: record {place}: not in the form of MS-ASL ({error!r})") from error
    listing.records.append(record)
