"""The manifest: which clips there are, and what is known of them."""

import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.workspace.clip import VIDEO_SUFFIXES, Sample
from pipeline.workspace.clip_list import read_clip_list
from shards.errors import InputError
from shards.files import whole_file
from shards.labels import class_gaps, plain_id, read_classes, read_labels
from shards.names import id_problem, is_split_name, is_utf8, signer_of
from shards.parquet import read_parquet

_TYPES = {"label": pa.int32(), "start": pa.float64(), "end": pa.float64()}
_SCHEMA = pa.schema([(field.name, _TYPES.get(field.name, pa.string())) for field in fields(Sample)])

_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class Data:
    """What `--data` names."""

    samples: list[Sample]  # by id
    classes: list[str] | None = None  # names, where the clip list has names for labels
    warnings: list[str] = field(default_factory=list)  # what may be a mistake, a line each


def read_data(data: Path, classes: Path | None = None, use_depth: bool = True) -> Data:
    """The samples of an AUTSL tree (`{train,val,test}/<id>_color.mp4`, `<id>_depth.mp4`) or of a clip list, by id.

    Args:
        data: folder or CSV.
        classes: class names, for a clip list whose labels are names.
        use_depth: false leaves the depth videos out.

    Raises:
        InputError: nothing there, a wrong row, or an id that occurs twice.
    """
    if data.is_file():
        listed = read_clip_list(data, read_classes(classes) if classes else None)
        found = Data(listed.samples, listed.classes)
    else:
        found = _from_tree(data)
    samples = found.samples if use_depth else [replace(sample, depth=None) for sample in found.samples]
    seen: dict[str, Sample] = {}
    for sample in samples:
        name = sample.color or sample.keypoints
        if not is_utf8(f"{sample.color}{sample.depth}{sample.keypoints}"):
            raise InputError(f"{name!r}: its name is not UTF-8, which the ledgers need; rename it")
        if other := seen.get(sample.id):
            raise InputError(f"id {sample.id} occurs twice: {other.color or other.keypoints} and {name}; rename one")
        seen[sample.id] = sample
    warnings = [*found.warnings, *_shared(samples), formula_ids(seen), class_gaps(sample.label for sample in samples)]
    return Data([seen[key] for key in sorted(seen)], found.classes, [line for line in warnings if line])


def _from_tree(folder: Path) -> Data:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder or CSV file; --data takes an AUTSL tree or a clip list")
    videos = (path for path in folder.glob("*/*") if path.suffix.lower() in VIDEO_SUFFIXES)
    files = sorted(path for path in videos if not path.name.startswith("."))  # macOS writes ._NAME beside a file
    colors = {path: path.stem.removesuffix("_color") for path in files if path.stem.endswith("_color")}
    if not colors:
        raise InputError(f"{folder}: no <split>/<id>_color.mp4 in it; for other layouts see `pipeline clips --help`")
    depths: dict[tuple[Path, str], Path] = {}
    for path in files:
        if path.stem.endswith("_depth"):
            key = (path.parent, path.stem.removesuffix("_depth"))
            if other := depths.get(key):
                raise InputError(f"{other} and {path}: both are depth of {key[1]}; remove one")
            depths[key] = path
    samples = [_sample(color, name, depths.pop((color.parent, name), None)) for color, name in colors.items()]
    used = {path for sample in samples for path in (sample.color, sample.depth)}
    left = [path for path in files if str(path.absolute()) not in used]
    example = f"{len(left)} videos are no <id>_color and no depth of one, e.g. {left[0]}; left out" if left else ""
    return Data(samples, None, [f"{folder}: {example}"] if left else [])


def _sample(color: Path, name: str, depth: Path | None) -> Sample:
    if not is_split_name(color.parent.name):
        raise InputError(f"{color.parent}: its name cannot name a split; move or rename it, or list the clips in a CSV")
    sample_id = plain_id(name)
    if is_utf8(name) and (problem := id_problem(sample_id)):
        raise InputError(f"{color}: {problem} ({sample_id!r}); rename it or list the clips in a CSV")
    depth_path = str(depth.absolute()) if depth else None
    return Sample(sample_id, color.parent.name, signer_of(sample_id), None, str(color.absolute()), depth_path)


def _shared(samples: Iterable[Sample]) -> Iterator[str]:
    """A warning for files that are clips of two splits or classes."""
    first: dict[tuple[Hashable, float | None, float | None], Sample] = {}
    both = []
    for sample in samples:
        other = first.setdefault((_identity(sample.color or sample.keypoints or ""), sample.start, sample.end), sample)
        if (other.split, other.label) != (sample.split, sample.label):
            both.append((other, sample))
    if both:
        one, other = both[0]
        name = one.color or one.keypoints
        yield f"{len(both)} files are clips of two splits or classes, e.g. {name} ({one.id} and {other.id})"


def _identity(path: str) -> Hashable:
    """What is equal for two names of one file, links included."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - a Path costs five times the call, `realpath` ten times
    except OSError:
        return path
    return stat.st_dev, stat.st_ino


def formula_ids(ids: Iterable[str]) -> str | None:
    """A warning for ids that a spreadsheet takes for formulas, in the CSV files of predictions and reports."""
    formulas = [one for one in ids if one.startswith(_FORMULA)]
    if not formulas:
        return None
    return f"{len(formulas)} ids begin with = + - or @, e.g. {formulas[0]}: a spreadsheet takes them for formulas"


def apply_labels(
    samples: list[Sample], path: Path, names: Sequence[str] | None = None
) -> tuple[list[Sample], list[str]]:
    """Samples with the classes, and the splits where it has them, of a headerless CSV `id,class[,split]`.

    A clip list is taken, too; `names` are the classes', for labels that are names. Returns the samples and the ids in
    the CSV that name no clip.

    Raises:
        InputError: see `read_labels`; or no row names a clip.
    """
    labels = read_labels(path, names)
    known = {sample.id for sample in samples}
    if not known & labels.keys():
        here, there = min(labels), min(known)
        raise InputError(f"{path}: none of its ids names a clip (it has {here}, --data has {there})")
    labeled = []
    for sample in samples:
        label, split = labels.get(sample.id, (sample.label, None))
        labeled.append(replace(sample, label=label, split=split or sample.split))
    return labeled, sorted(labels.keys() - known)


def class_names(samples: Iterable[Sample], names: list[str] | None, source: Path) -> list[str]:
    """These names, or without any "0", "1", … up to the largest class of any sample.

    Raises:
        InputError: when a sample has a class that `source`, where the names are from, does not name.
    """
    count = 1 + max((sample.label for sample in samples if sample.label is not None), default=-1)
    if names is None:
        return [str(number) for number in range(count)]
    if count > len(names):
        raise InputError(f"{source}: names {len(names)} classes, but a sample has class {count - 1}")
    return names


def write_manifest(path: Path, samples: list[Sample]) -> None:
    """Write the manifest, whole or not at all."""
    with whole_file(path, follow=False) as temporary:
        columns = {name: [getattr(sample, name) for sample in samples] for name in _SCHEMA.names}
        pq.write_table(pa.Table.from_pydict(columns, _SCHEMA), temporary, write_page_checksum=True)


def read_manifest(path: Path) -> list[Sample]:
    """The manifest of a workspace.

    Raises:
        InputError: when there is none.
    """
    try:
        samples = [Sample(**row) for row in read_parquet(path).to_pylist()]
        if not all(isinstance(sample.id, str) and isinstance(sample.split, str) for sample in samples):
            raise TypeError("a clip has no id or split")
        return samples
    except (OSError, pa.ArrowException, TypeError, ValueError) as error:  # TypeError, ValueError: other columns
        raise InputError(f"{path}: cannot be read ({error}); is --work a workspace of `pipeline run`?") from error
