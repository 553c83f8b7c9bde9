"""In which share of their frames the hands of clips were found, guessed or missing, and which clips are the worst.

*Found*: the estimator found points on the fingers. *Guessed*: it found wrist and elbow only, so that there is a box, in
which the hand need not be. *Missing*: there is no box.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shards.body135 import HANDS

_SHOWN = 3  # clips in a line
_FEW = 0.5  # a clip is named where neither hand is found in so many of its frames


@dataclass(frozen=True)
class HandShares:
    """Of N clips of which it is known, the frames of each hand."""

    ids: Sequence[str]
    frames: np.ndarray  # int (N,): T
    counts: np.ndarray  # int (N, 2, 2): by hand (`HANDS`) the numbers of frames in which it was guessed and missing

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def found(self) -> np.ndarray:
        """float (N, 2): the share of its frames in which each hand of a clip was found."""
        return 1 - self.counts.sum(axis=2) / self.frames[:, None]

    def totals(self) -> dict[str, dict[str, int]]:
        """By hand the frames of all clips in which it was found, guessed and missing."""
        guessed, missing = self.counts.sum(axis=0, dtype=np.int64).T.tolist()
        total = int(self.frames.sum(dtype=np.int64))
        return {
            hand: {
                "found": total - guessed[place] - missing[place],
                "guessed": guessed[place],
                "missing": missing[place],
            }
            for place, hand in enumerate(HANDS)
        }

    def worst_first(self) -> list[int]:
        """Places of the clips, those with the fewest found hands first.

        The hand that is found more often counts before the other: many signs are made with one hand.
        """
        found = self.found
        return np.lexsort((found.min(axis=1), found.max(axis=1))).tolist()

    def shown(self, place: int) -> str:
        """How often the hands of a clip were found, such as "left 0 %, right 41 %"."""
        return ", ".join(f"{hand} {100 * share:.0f} %" for hand, share in zip(HANDS, self.found[place], strict=True))


def share_lines(shares: Mapping[str, HandShares]) -> list[str]:
    """A table with a line for each name whose clips say it, and the worst clips; [] where none does."""
    known = {name: one for name, one in shares.items() if len(one)}
    if not known:
        return []
    width = max(9, *map(len, known))
    kinds = "   found  guessed  missing"
    lines = [f"{'hands':<{width}}  {'  '.join(f'{hand}:{kinds}' for hand in HANDS)}"]
    for name, one in known.items():
        cells = [_cells(hand, counts) for hand, counts in one.totals().items()]
        lines.append(f"{name:<{width}}  {'  '.join(cells)}")
    return lines + [line for one in known.values() for line in _worst(one)]


def _cells(hand: str, counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    found, guessed, missing = (f"{100 * counts[kind] / total:.0f} %" for kind in ("found", "guessed", "missing"))
    return f"{'':<{len(hand)}} {found:>8}{guessed:>9}{missing:>9}"


def _worst(shares: HandShares) -> list[str]:
    few = np.flatnonzero(shares.found.max(axis=1) < _FEW)
    if not len(few):
        return []
    worst = [f"{shares.ids[place]} (found: {shares.shown(place)})" for place in shares.worst_first()[:_SHOWN]]
    named = ", ".join(worst[: len(few)]) + (", …" if len(few) > _SHOWN else "")
    return [f"in {len(few)} of {len(shares)} clips neither hand is found in half of the frames: {named}"]
