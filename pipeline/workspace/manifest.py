"""The manifest: which clips there are, and what is known of them."""

import os
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.workspace.clip import Sample
from shards.errors import InputError
from shards.files import whole_file
from shards.names import id_problem, is_split_name, is_utf8, signer_of
from shards.tables import parse_class, read_classes, read_labels, read_rows

COLUMNS = ("id", "split", "signer", "label", "color", "depth")
_TYPES = {"label": pa.int32(), "start": pa.float64(), "end": pa.float64()}
_SCHEMA = pa.schema([(field.name, _TYPES.get(field.name, pa.string())) for field in fields(Sample)])


def read_data(data: Path, use_depth: bool = True) -> list[Sample]:
    """The samples of an AUTSL tree (`{train,val,test}/<id>_color.mp4`, `<id>_depth.mp4`) or of a manifest CSV, by id.

    Raises:
        InputError: nothing there, a wrong row, or an id that occurs twice.
    """
    samples = list(_from_csv(data) if data.is_file() else _from_tree(data))
    if not samples:
        raise InputError(f"{data}: has no rows; list the clips below the header")
    if not use_depth:
        samples = [replace(sample, depth=None) for sample in samples]
    seen: dict[str, Sample] = {}
    for sample in samples:
        name = sample.color or sample.keypoints
        if not all(path is None or is_utf8(path) for path in (sample.color, sample.depth, sample.keypoints)):
            raise InputError(f"{name!r}: its name is not UTF-8, which the ledgers need; rename it")
        if problem := id_problem(sample.id):
            raise InputError(f"{name}: {problem} ({sample.id!r}); rename it or list the clips in a CSV")
        if other := seen.get(sample.id):
            raise InputError(f"id {sample.id} occurs twice: {other.color or other.keypoints} and {name}; rename one")
        seen[sample.id] = sample
    return [seen[sample_id] for sample_id in sorted(seen)]


def _from_tree(folder: Path) -> Iterator[Sample]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder or CSV file; --data takes an AUTSL tree or a manifest CSV")
    # macOS writes ._NAME beside a file.
    clips = sorted(path for path in folder.glob("*/*_color.mp4") if not path.name.startswith("."))
    if not clips:
        raise InputError(f"{folder}: no <split>/<id>_color.mp4 in it; for other layouts give --data a CSV id,split,…")
    for clip in clips:
        if not is_split_name(clip.parent.name):
            raise InputError(
                f"{clip.parent}: its name cannot name a split; move or rename it, or list the clips in a CSV"
            )
        sample_id = clip.name.removesuffix("_color.mp4")
        depth = clip.with_name(f"{sample_id}_depth.mp4")
        yield Sample(
            sample_id,
            clip.parent.name,
            signer_of(sample_id),
            None,
            str(clip.absolute()),
            str(depth.absolute()) if depth.exists() or depth.is_symlink() else None,
        )


def _from_csv(path: Path) -> Iterator[Sample]:
    rows = read_rows(path)
    _, header = next(rows, (0, []))
    if header not in (list(COLUMNS), list(COLUMNS[:-1])):
        raise InputError(
            f"{path}: its first line must be id,split,signer,label,color[,depth], not {','.join(header)!r}"
        )
    base = str(path.parent.absolute())
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"{path}:{line}: {len(row)} columns where the header has {len(header)}")
        value = dict(zip(header, row, strict=True))
        if not is_split_name(value["split"]):
            raise InputError(f"{path}:{line}: {value['split']!r} cannot name a split")
        label = None if value["label"] == "" else parse_class(value["label"], path, line)
        if not value["color"]:
            raise InputError(f"{path}:{line}: no color video")
        # Strings, not Paths: 73,000 of them would take a second.
        color = os.path.join(base, value["color"])  # noqa: PTH118
        depth = os.path.join(base, value["depth"]) if value.get("depth") else None  # noqa: PTH118
        yield Sample(value["id"], value["split"], value["signer"], label, color, depth)


def apply_labels(samples: list[Sample], path: Path) -> tuple[list[Sample], list[str]]:
    """Samples with the classes, and the splits where it has them, of a headerless CSV `id,class[,split]`.

    Returns the samples and the ids in the CSV that name no clip.

    Raises:
        InputError: see `read_labels`; or no row names a clip.
    """
    labels = read_labels(path)
    known = {sample.id for sample in samples}
    if not known & labels.keys():
        here, there = min(labels), min(known)
        raise InputError(f"{path}: none of its ids names a clip (it has {here}, --data has {there})")
    labeled = []
    for sample in samples:
        label, split = labels.get(sample.id, (sample.label, None))
        labeled.append(replace(sample, label=label, split=split or sample.split))
    return labeled, sorted(labels.keys() - known)


def class_names(samples: list[Sample], path: Path | None) -> list[str]:
    """The names in the classes CSV, or "0", "1", … up to the largest class of any sample.

    Raises:
        InputError: when a sample has a class that the CSV does not name.
    """
    count = 1 + max((sample.label for sample in samples if sample.label is not None), default=-1)
    if path is None:
        return [str(number) for number in range(count)]
    names = read_classes(path)
    if count > len(names):
        raise InputError(f"{path}: names {len(names)} classes, but a sample has class {count - 1}")
    return names


def write_manifest(path: Path, samples: list[Sample]) -> None:
    """Write the manifest, whole or not at all."""
    with whole_file(path) as temporary:
        columns = {name: [getattr(sample, name) for sample in samples] for name in _SCHEMA.names}
        pq.write_table(pa.Table.from_pydict(columns, _SCHEMA), temporary)


def read_manifest(path: Path) -> list[Sample]:
    """The manifest of a workspace.

    Raises:
        InputError: when there is none.
    """
    try:
        return [Sample(**row) for row in pq.read_table(path).to_pylist()]
    except (OSError, pa.ArrowException, TypeError) as error:  # TypeError: other columns
        raise InputError(f"{path}: cannot be read ({error}); is --work a workspace of `pipeline run`?") from error
