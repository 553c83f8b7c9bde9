"""`shards inspect`: a page with pictures of a shard set, in one file that needs no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from shards.command_line import print_line
from shards.errors import InputError
from shards.files import check_output, is_among, write_whole
from shards.format.hand_shares import HandShares
from shards.format.sample import HandTrack
from shards.format.shardset import ShardSet, files_of
from shards.names import signer_order
from shards.page.charts import SERIES, bar_chart, binned
from shards.page.drawing import Drawing
from shards.page.render import render
from shards.page.strips import SampleStrips, StripReader
from shards.progress import progress
from shards.remote.cache import CacheSettings
from shards.remote.localize import open_patterns

COLUMNS = 12  # frames of a sample
_WORST = 10  # clips in the table of those with the fewest found hands


@dataclass(frozen=True)
class ShownSample:
    """A sample on the page."""

    label: str
    facts: str
    strips: SampleStrips


def inspect(patterns: Sequence[str], out: Path, samples: int, ids: tuple[str, ...], cache: CacheSettings) -> None:
    """Write the page of the shards that the patterns name: `ids`, or else this many `samples`, see `choose`.

    Raises:
        InputError: no such shards or ids, a sample that cannot be read, or no file can be at `out`.
    """
    check_output(out)
    shards = open_patterns(patterns, cache)
    if is_among(out, files_of(shards)):
        raise InputError(f"{out}: belongs to the shard set; give --out another file")
    chosen = choose(shards, samples, ids)
    splits = shards.splits
    names = list(dict.fromkeys(splits.tolist()))
    reader = StripReader(shards, COLUMNS)
    numbers = progress(chosen, len(chosen), "pictures", "sample", may_be_short=True)
    shown = [_shown(shards, number, splits[number], reader.read(number)) for number in numbers]
    reader.close()
    known = _known(shards)
    hands = hand_shares(shards, known)
    document = render(
        "shards.page",
        "inspect",
        pattern=shards.source,
        dataset=shards.dataset,
        total=len(shards),
        splits=[_split_row(shards, name, splits == name) for name in names],
        hands={name: one for name in names if len(one := hand_shares(shards, known[splits[known] == name]))},
        worst=[(hands.ids[place], hands.shown(place)) for place in hands.worst_first()[:_WORST]],
        series=list(zip(names, cycle(SERIES), strict=False)),
        charts=_charts(shards, {name: splits == name for name in names}),
        samples=shown,
    )
    write_whole(out, document.encode())
    print_line(f"{out}: {len(chosen)} of {len(shards)} samples, {len(document) / 1e6:.1f} MB")


def hand_shares(shards: ShardSet, samples: np.ndarray) -> HandShares:
    """How often hands were found in samples, int (N,), that say it."""
    ids = [shards.ids[sample].as_py() for sample in samples.tolist()]
    return HandShares(ids, shards.frames[samples], shards.hands[samples])


def _known(shards: ShardSet) -> np.ndarray:
    """int (N,): the samples that say which hands were found."""
    return np.flatnonzero((shards.hands >= 0).all(axis=(1, 2)))


def choose(shards: ShardSet, samples: int, ids: tuple[str, ...]) -> list[int]:
    """Numbers of the samples to show: `ids`, or this many, those with the fewest found hands first.

    A quarter of them are the worst of the set, the others come evenly from all over it.

    Raises:
        InputError: an id that is not there.
    """
    if not ids:
        known = _known(shards)
        order = known[hand_shares(shards, known).worst_first()].tolist()
        worst = order[: min(samples // 4, len(shards) - 1)]
        # Evenly over the index: every split gets its share, and within a split the order is as good as random.
        others = np.setdiff1d(np.arange(len(shards)), worst)
        even = np.linspace(0, len(others) - 1, samples - len(worst)).round().astype(int)
        chosen = {*worst, *others[even].tolist()}
        return [one for one in order if one in chosen] + sorted(chosen.difference(order))
    place = {sample_id: number for number, sample_id in enumerate(shards.ids.to_pylist())}
    if unknown := [sample_id for sample_id in ids if sample_id not in place]:
        raise InputError(f"{shards.source}: no sample {', '.join(unknown)}")
    return [place[sample_id] for sample_id in ids]


def _shown(shards: ShardSet, sample: int, split: str, strips: SampleStrips) -> ShownSample:
    info, path = strips.info, shards.paths[shards.shard[sample]]
    label = "no class" if info.label is None else f"{shards.dataset.classes[info.label]} (class {info.label})"
    facts = f"{split}, signer {info.signer or 'unknown'}, {info.frames} frames at {info.fps:g}/s, {path.name}"
    hands = "; ".join(_hand_facts(hand, track) for hand, track in info.hands.items()) or "without video"
    return ShownSample(label, f"{facts}; {hands}", strips)


def _hand_facts(hand: str, track: HandTrack) -> str:
    frames, missing = len(track.missing), int(track.missing.sum())
    if track.guessed is None:
        return f"{hand} hand missing in {missing}"
    guessed = int(track.guessed.sum())
    return f"{hand} hand found in {frames - guessed - missing}, guessed in {guessed}, missing in {missing}"


def _split_row(shards: ShardSet, name: str, here: np.ndarray) -> list[str]:
    """What the table says of a split; `here`: bool (N,), the samples in it."""
    signers, frames = np.array(shards.signers.to_pylist()), shards.frames[here]
    numbers = [here.sum(), len(np.unique(shards.shard[here])), len(set(shards.labels[here].tolist()) - {-1})]
    numbers.append(len(np.unique(signers[here])))
    numbers += [shards.has(member)[here].sum() for member in ("left.mjpg", "left_depth.mjpg")]
    return [name, *map(str, numbers), f"{frames.min()} to {frames.max()}, median {np.median(frames):g}"]


def _charts(shards: ShardSet, splits: dict[str, np.ndarray]) -> list[Drawing]:
    """Histograms; `splits` gives bool (N,), the samples of each."""
    classes, labels = list(shards.dataset.classes), shards.labels
    if (labels < 0).any():
        classes, labels = [*classes, "no class"], np.where(labels < 0, len(classes), labels)
    signers = shards.signers.to_pylist()
    people = sorted(set(signers), key=signer_order)
    place = {name: number for number, name in enumerate(people)}
    charts = [
        ("Samples per class", classes, labels),
        ("Samples per signer", [name or "unknown" for name in people], np.array([place[name] for name in signers])),
        ("Frames per clip", *binned(shards.frames)),
    ]
    return [
        bar_chart(
            title,
            ticks,
            {name: np.bincount(values[here], minlength=len(ticks)).tolist() for name, here in splits.items()},
        )
        for title, ticks, values in charts
    ]
