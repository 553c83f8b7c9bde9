"""What `train --check` sees in the labels before it trains: labels that teach nothing, or that are other classes'."""

import re
from collections.abc import Sequence

import numpy as np

from shards.errors import InputError
from shards.format.shardset import ShardSet

_MOST_IDS = 2000  # that are compared with names, from all over the set
_SHORTEST_NAME = 3  # characters; shorter ones stand in ids by chance


def check_labels(train: ShardSet) -> None:
    """Look at the labels of the samples to train on.

    Raises:
        InputError: they can teach nothing, or count from 1.
    """
    names, used = train.dataset.classes, np.unique(train.labels)
    if len(used) < 2:
        raise InputError(f"{train.source}: all samples have class {used[0]} ({names[used[0]]}); are the labels right?")
    if used[0] == 1 and len(used) == len(names) - 1 and len(names) > 2:
        raise InputError(
            f"{train.source}: class 0 ({names[0]}) has no sample, all others have: the labels count from 1, it seems, "
            "so every sample has its neighbor's name; make them count from 0"
        )


def check_names(shards: ShardSet) -> str | None:
    """Look at labels against names, where ids tell the class, as those of `pipeline clips folders` do (`hello_3`).

    Returns:
        A warning where ids of some samples name another class than their label.

    Raises:
        InputError: those of most do: the labels or the names are shifted or shuffled.
    """
    names = shards.dataset.classes
    places = np.unique(np.linspace(0, len(shards) - 1, _MOST_IDS).astype(int))
    ids = shards.ids.take(places).to_pylist()
    pairs = list(zip(ids, named_classes(ids, names), shards.labels[places].tolist(), strict=True))
    told = [pair for pair in pairs if pair[1] is not None]
    # A name that means nothing, as `sample`, stands in many ids, but it is one of many names.
    if 2 * len(told) < len(pairs) or len({found for _, found, _ in told}) < max(2, len(set(shards.labels)) / 2):
        return None
    wrong = [pair for pair in told if pair[1] != pair[2]]
    if not wrong:
        return None
    sample, _, label = wrong[0]
    fault = (
        f"{shards.source}: {len(wrong)} of {len(told)} ids name another class than their sample has, e.g. {sample} has "
        f"class {label} ({names[label]})"
    )
    if 2 * len(wrong) > len(told):
        raise InputError(f"{fault}; do labels and class names belong together, and do both count from 0?")
    return fault


def named_classes(ids: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """The class whose name stands in each id, word for word; of names within one another the longest.

    None where there is no name, or where there are several.
    """
    words = [_words(name) for name in names]
    known = [(number, text) for number, text in enumerate(words) if _is_telling(text)]
    return [_only([(number, text) for number, text in known if text in whole]) for whole in map(_words, ids)]


def _words(text: str) -> str:
    """The words of an id or a name, between spaces: whole words are found in whole words."""
    return " " + re.sub(r"[\W_]+", " ", text.casefold()).strip() + " "


def _is_telling(words: str) -> bool:
    return len(words.strip()) >= _SHORTEST_NAME and not words.strip().isdigit()


def _only(found: list[tuple[int, str]]) -> int | None:
    longest = max((text for _, text in found), key=len, default="")
    left = {number for number, text in found if text == longest or text not in longest}
    return left.pop() if len(left) == 1 else None
