"""What is odd about a list of clips, a line each: count and first examples."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.format.dataset import sha256_of
from shards.names import signer_order

_EXAMPLES = 3
_PROPOSE = "; `shards split --labels` proposes one for --assign"


@dataclass(frozen=True)
class ListEntry:
    """A clip as it goes into the CSV."""

    id: str
    split: str
    signer: str
    label: int | None
    color: Path | None
    depth: Path | None
    keypoints: Path | None
    start: float | None
    end: float | None

    @property
    def file(self) -> Path:
        """The file or folder that the clip is."""
        return self.color or self.keypoints or Path()


def summary(entries: Sequence[ListEntry], classes: Sequence[str]) -> str:
    """The number of clips, by split, and of classes and signers."""
    splits: dict[str, int] = defaultdict(int)
    for entry in entries:
        splits[entry.split or "without a split"] += 1
    used = len({entry.label for entry in entries} - {None})
    signers = len({entry.signer for entry in entries} - {""})
    parts = ", ".join(f"{split} {count:,}" for split, count in splits.items())
    return f"{len(entries):,} clips: {parts}; {used:,} of {len(classes):,} classes; {signers or 'no'} signers known"


def warnings(entries: Sequence[ListEntry], classes: Sequence[str]) -> list[str]:
    """Everything that may be a mistake in the clips that were found."""
    return [
        *with_examples("clips have no split", (entry.id for entry in entries if not entry.split), _PROPOSE),
        *with_examples("clips have no label", (entry.id for entry in entries if entry.label is None)),
        *with_examples("files are empty", (str(entry.file) for entry in entries if _size(entry.file) == 0)),
        *with_examples("files are clips of several splits or classes", _shared(entries)),
        *_classes_without(entries, classes),
        *with_examples("signers are in several splits", _signers(entries)),
    ]


def with_examples(what: str, examples: Iterable[str], way_out: str = "") -> list[str]:
    """The line `3 files …, e.g. a, b, c`; none where there are no examples."""
    found = list(examples)
    return [f"{len(found):,} {what}, e.g. {', '.join(found[:_EXAMPLES])}{way_out}"] if found else []


def _size(path: Path) -> int | None:
    """The size of a file; None for a folder, and where there is none."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _shared(entries: Sequence[ListEntry]) -> list[str]:
    """Files that are clips of different splits or classes: the same seconds of one file, or copies of one another."""
    by_file: dict[str, list[ListEntry]] = defaultdict(list)
    for entry in entries:
        by_file[str(entry.file)].append(entry)
    found = [f"{path} ({_uses(group)})" for path, group in by_file.items() if _differ(group) and _overlap(group)]
    for copies in _copies(by_file):
        group = [entry for path in copies for entry in by_file[path]]
        if _differ(group):
            found.append(f"{' = '.join(copies[:2])} ({_uses(group)})")
    return found


def _differ(group: Sequence[ListEntry]) -> bool:
    return len({(entry.split, entry.label) for entry in group}) > 1


def _uses(group: Sequence[ListEntry]) -> str:
    return ", ".join(dict.fromkeys(f"{entry.split or 'no split'} class {entry.label}" for entry in group))


def _overlap(group: Sequence[ListEntry]) -> bool:
    """Whether any seconds are in two clips of different splits or classes."""
    spans = sorted(group, key=lambda entry: entry.start or 0)
    for place, first in enumerate(spans):
        for second in spans[place + 1 :]:
            if first.end is not None and (second.start or 0) >= first.end:
                break
            if _differ([first, second]):
                return True
    return False


def _copies(by_file: Mapping[str, object]) -> list[list[str]]:
    """Groups of files with the same bytes; only files of the same size are read."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for path in by_file:
        if size := _size(Path(path)):
            by_size[size].append(path)
    by_content: dict[str, list[str]] = defaultdict(list)
    for paths in by_size.values():
        if len(paths) > 1:
            for path in paths:
                by_content[sha256_of(Path(path))].append(path)
    return [paths for paths in by_content.values() if len(paths) > 1]


def _classes_without(entries: Sequence[ListEntry], classes: Sequence[str]) -> list[str]:
    """For each of train and test, where there is one, the classes with clips elsewhere but none there."""
    of_split: dict[str, set[int]] = defaultdict(set)
    for entry in entries:
        if entry.label is not None:
            of_split[entry.split].add(entry.label)
    if len(of_split) < 2:
        return []
    used = set.union(*of_split.values())
    lines: list[str] = []
    for split in ("train", "test"):
        if split in of_split:
            absent = [classes[label] for label in sorted(used - of_split[split])]
            lines += with_examples(f"classes have no {split} clip", absent)
    return lines


def _signers(entries: Sequence[ListEntry]) -> list[str]:
    splits: dict[str, dict[str, None]] = defaultdict(dict)
    for entry in entries:
        if entry.signer and entry.split:
            splits[entry.signer][entry.split] = None
    shared = sorted((signer for signer in splits if len(splits[signer]) > 1), key=signer_order)
    return [f"{signer} ({', '.join(splits[signer])})" for signer in shared]
