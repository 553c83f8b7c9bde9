"""`shards inspect`: a page with pictures of a shard set, in one file that needs no network."""

from pathlib import Path

import click
import numpy as np

from shards.commands.inspect_sample import sample_section
from shards.errors import InputError
from shards.files import is_among, write_whole
from shards.format.dataset import read_dataset
from shards.format.shardset import MemberReader, ShardSet, files_of, open_shards
from shards.names import signer_order
from shards.page.charts import bar_chart, binned, legend
from shards.page.html import Markup, joined, page, tag

_STYLE = """
figure { margin: 14px 0; } figcaption { font-weight: 600; margin-bottom: 4px; }
svg.chart { width: 100%; overflow: visible; } svg.chart text { font-size: 11px; }
.key { margin-right: 18px; } .key i { display: inline-block; width: 11px; height: 11px; margin-right: 6px; }
h2 code { font-weight: normal; margin-left: 8px; }
table.strip { border-collapse: separate; border-spacing: 3px; table-layout: fixed; width: 100%; }
table.strip th, table.strip td { padding: 0; border: 0; font-weight: normal; text-align: center; }
table.strip tr > :first-child { width: 82px; text-align: left; }
table.strip td { vertical-align: middle; background: #f0f2f4; position: relative; }
table.strip img { width: 100%; aspect-ratio: 1; object-fit: contain; }
td.missing { outline: 2px solid #c81e1e; } td.missing img { opacity: 0.45; }
td.missing::after { content: "missing"; position: absolute; left: 0; right: 0; bottom: 0; font-size: 11px; color: #fff;
  background: #c81e1e; }
svg.skeleton { width: 100%; aspect-ratio: 1; display: block; background: #fafafa; }
tr.left-hand th, tr.left-depth th { color: #c2410c; } tr.right-hand th, tr.right-depth th { color: #0f766e; }
"""


def inspect(pattern: str, out: Path, samples: int, ids: tuple[str, ...]) -> None:
    """Write the page: `ids`, or else this many `samples` from all over the set.

    Raises:
        InputError: no such shards or ids, or a sample that cannot be read.
    """
    shards = open_shards(pattern)
    if is_among(out, files_of(shards)):
        raise InputError(f"{out}: belongs to the shard set; give --out another file")
    chosen = choose(shards, samples, ids)
    splits = split_names(shards)
    reader = MemberReader(shards)
    sections = [sample_section(shards, reader, number, splits[number]) for number in chosen]
    reader.close()
    dataset = shards.dataset
    settings = "".join(f", {key} {value}" for key, value in dataset.settings.items())
    title = f"Shards {pattern}"
    note = (
        f"{len(chosen)} of {len(shards)} samples follow, each over time; a red frame marks a hand that was not found. "
        "Dashed boxes are what was cut out."
    )
    body = joined(
        tag("h1", title),
        tag("p", f"Recipe {dataset.recipe.name}{settings}; {len(dataset.classes)} classes. {note}", class_="note"),
        tag("section", tag("h2", "Splits"), _split_table(shards, splits)),
        tag("section", tag("h2", "Histograms"), *_charts(shards, splits)),
        *sections,
    )
    document = page(title, body, _STYLE)
    write_whole(out, document.encode())
    click.echo(f"{out}: {len(chosen)} of {len(shards)} samples, {len(document) / 1e6:.1f} MB")


def choose(shards: ShardSet, samples: int, ids: tuple[str, ...]) -> list[int]:
    """Numbers of the samples to show.

    Raises:
        InputError: an id that is not there.
    """
    if not ids:
        # Evenly over the index: every split gets its share, and within a split the order is as good as random.
        return np.unique(np.linspace(0, len(shards) - 1, samples).round().astype(int)).tolist()
    place = {sample_id: number for number, sample_id in enumerate(shards.ids.to_pylist())}
    if unknown := [sample_id for sample_id in ids if sample_id not in place]:
        raise InputError(f"{shards.source}: no sample {', '.join(unknown)}")
    return [place[sample_id] for sample_id in ids]


def split_names(shards: ShardSet) -> list[str]:
    """The split of every sample."""
    names = {}
    for folder in {path.parent for path in shards.paths}:
        for split, members in read_dataset(folder).splits.items():
            names |= {folder / shard.name: split for shard in members}
    return [names[shards.paths[number]] for number in shards.shard.tolist()]


def _split_table(shards: ShardSet, splits: list[str]) -> Markup:
    split, signers = np.array(splits), np.array(shards.signers.to_pylist())
    depth = shards.has("left_depth.mjpg")
    titles = ("split", "samples", "shards", "classes", "signers", "with depth", "frames")
    rows = [tag("tr", *(tag("th", title) for title in titles))]
    for name in dict.fromkeys(splits):
        here = split == name
        frames = shards.frames[here]
        numbers = [here.sum(), len(np.unique(shards.shard[here])), len(set(shards.labels[here].tolist()) - {-1})]
        numbers += [len(np.unique(signers[here])), depth[here].sum()]
        cells = [tag("td", str(number), class_="number") for number in numbers]
        span = f"{frames.min()} to {frames.max()}, median {np.median(frames):g}"
        rows.append(tag("tr", tag("td", name), *cells, tag("td", span)))
    return tag("table", *rows)


def _charts(shards: ShardSet, splits: list[str]) -> list[Markup]:
    names = list(dict.fromkeys(splits))
    signers = np.array(shards.signers.to_pylist())
    people = sorted(set(signers.tolist()), key=signer_order)
    place = {name: number for number, name in enumerate(people)}
    classes = list(shards.dataset.classes)
    labels = shards.labels
    if (labels < 0).any():
        classes, labels = [*classes, "no class"], np.where(labels < 0, len(classes), labels)
    frame_labels, frame_bins = binned(shards.frames)
    charts = [
        ("Samples per class", classes, labels),
        ("Samples per signer", [name or "unknown" for name in people], np.array([place[name] for name in signers])),
        ("Frames per clip", frame_labels, frame_bins),
    ]
    split = np.array(splits)
    parts = [tag("p", legend(names))]
    for title, ticks, values in charts:
        counts = {name: np.bincount(values[split == name], minlength=len(ticks)).tolist() for name in names}
        parts.append(bar_chart(title, ticks, counts))
    return parts
