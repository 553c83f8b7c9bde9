import csv
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from shards.commands.split_plan import LabeledSamples, by_sample, by_signer, describe, hold_out, leaking_signers
from shards.errors import InputError
from shards.labels import read_labels
from shards.names import signer_of


def made_up(signers: int, classes: int, seed: int = 0) -> LabeledSamples:
    """Signers of unlike size, who leave out unlike classes."""
    random = np.random.default_rng(seed)
    ids, labels, names = [], [], []
    for signer in range(signers):
        for label in range(classes):
            for _ in range(int(random.integers(0, 4 + signer % 5))):
                ids.append(f"signer{signer}_sample{len(ids)}")
                labels.append(label)
                names.append(str(signer))
    return LabeledSamples(ids, labels, names)


@pytest.fixture(scope="module")
def autsl(autsl_labels: Path) -> LabeledSamples:
    labels = read_labels(autsl_labels / "train_labels.csv")
    return LabeledSamples(list(labels), [label for label, _ in labels.values()], [signer_of(key) for key in labels])


def test_holding_out_8_and_9_is_the_released_stage1_split(autsl: LabeledSamples, autsl_labels: Path) -> None:
    with (autsl_labels / "train_val_labels_STAGE1.csv").open(newline="") as file:
        released = [(row[0], row[2]) for row in csv.reader(file)]
    found = hold_out(autsl, ["8", "9"], ("train", "val"))
    assert list(zip(autsl.ids, found, strict=True)) == released
    assert Counter(found) == {"train": 24773, "val": 3369}


@pytest.mark.parametrize("fractions", [[0.8, 0.2], [0.7, 0.15, 0.15]])
def test_autsl_by_signer(autsl: LabeledSamples, fractions: list[float]) -> None:
    names = ["train", "val", "test"][: len(fractions)]
    found = by_signer(autsl, fractions, names, 42)
    assert not leaking_signers(autsl.signers, found)
    sizes = Counter(found)
    for name, fraction in zip(names, fractions, strict=True):
        assert abs(sizes[name] / len(found) - fraction) < 0.02
        assert len({label for label, split in zip(autsl.labels, found, strict=True) if split == name}) == 226


def misfit(samples: LabeledSamples, fractions: list[float], names: list[str], found: list[str]) -> float:
    counts, total = Counter(zip(samples.labels, found, strict=True)), Counter(samples.labels)
    shares = dict(zip(names, fractions, strict=True))
    return sum(
        (counts[label, name] - shares[name] * total[label]) ** 2 / (shares[name] * total[label])
        for label in total
        for name in names
    )


@pytest.mark.parametrize("fractions", [[0.75, 0.25], [0.6, 0.25, 0.15]])
@pytest.mark.parametrize("seed", range(3))
def test_by_signer_is_far_better_than_chance_and_no_move_or_exchange_betters_it(seed: int, fractions) -> None:
    samples, names = made_up(12, 10), ["train", "val", "test"][: len(fractions)]
    found = by_signer(samples, fractions, names, seed)
    assert not leaking_signers(samples.signers, found)
    cost = misfit(samples, fractions, names, found)
    side = dict(zip(samples.signers, found, strict=True))
    others = [side | {signer: name} for signer in side for name in names]
    others += [side | {one: side[two], two: side[one]} for one, two in combinations(side, 2)]
    for other in others:
        assert misfit(samples, fractions, names, [other[s] for s in samples.signers]) >= cost - 1e-6
    random = np.random.default_rng(seed)
    chance = []
    for _ in range(50):
        draw = dict(zip(side, random.permutation(list(side.values())).tolist(), strict=True))
        chance.append(misfit(samples, fractions, names, [draw[s] for s in samples.signers]))
    assert cost < np.median(chance)


def test_by_signer_depends_on_the_seed_only() -> None:
    samples, names = made_up(12, 10), ["train", "val"]
    assert by_signer(samples, [0.5, 0.5], names, 1) == by_signer(samples, [0.5, 0.5], names, 1)
    assert len({tuple(by_signer(samples, [0.5, 0.5], names, seed)) for seed in range(8)}) > 1


def test_by_signer_never_leaves_a_split_empty() -> None:
    samples = LabeledSamples(["a", "b", "c"], [0, 0, 0], ["1", "2", "3"])
    for seed in range(5):
        found = by_signer(samples, [0.9, 0.05, 0.05], ["train", "val", "test"], seed)
        assert sorted(found) == ["test", "train", "val"]


@pytest.mark.parametrize("fractions", [[0.8, 0.2], [0.6, 0.25, 0.15]])
def test_by_sample_divides_every_class_to_about_a_sample(fractions: list[float]) -> None:
    samples, names = made_up(9, 13), ["train", "val", "test"][: len(fractions)]
    found = by_sample(samples, fractions, names, 0)
    counts, total = Counter(zip(samples.labels, found, strict=True)), Counter(samples.labels)
    for name, fraction in zip(names, fractions, strict=True):
        assert abs(found.count(name) - fraction * len(found)) <= 1
        for label in total:
            assert abs(counts[label, name] - fraction * total[label]) <= 2
    assert found == by_sample(samples, fractions, names, 0)
    assert found != by_sample(samples, fractions, names, 1)


def test_wrong_signers() -> None:
    samples = LabeledSamples(["a", "b"], [0, 1], ["1", "2"])
    with pytest.raises(InputError, match="no sample of signer 7; there are 1, 2"):
        hold_out(samples, ["1", "7"], ("train", "val"))
    with pytest.raises(InputError, match="all the signers"):
        hold_out(samples, ["1", "2"], ("train", "val"))
    with pytest.raises(InputError, match="2 signers cannot make 3 splits"):
        by_signer(samples, [0.4, 0.3, 0.3], ["a", "b", "c"], 0)
    for divide in (lambda s: hold_out(s, ["1"], ("a", "b")), lambda s: by_signer(s, [0.5, 0.5], ["a", "b"], 0)):
        with pytest.raises(InputError, match="no signer is known of b"):
            divide(LabeledSamples(["a", "b"], [0, 1], ["1", ""]))


def test_leaks() -> None:
    signers, splits = ["10", "9", "10", "9", "3", ""], ["train", "val", "val", "train", "val", "train"]
    assert leaking_signers(signers, splits) == {"9": ["train", "val"], "10": ["train", "val"]}


def test_description_warns_of_leaks_and_missing_classes() -> None:
    samples = LabeledSamples(["a", "b", "c"], [0, 1, None], ["1", "1", "2"])
    lines = describe(samples, ["train", "val", "train"])
    assert lines[0] == "train: 2 samples (66.7%), 1 of 2 classes, 2 signers (1, 2)"
    assert "warning: train has no sample of class 1" in lines
    assert any("1 signers are in several splits (signer 1 in train and val)" in line for line in lines)
    assert not any("warning" in line for line in describe(samples, ["train"] * 3))


def test_a_list_that_is_cut_says_so() -> None:
    count = 30
    samples = LabeledSamples([f"s{n}" for n in range(count)], [*range(count)], [f"{n}" for n in range(count)])
    lines = describe(samples, ["train"] * (count - 1) + ["val"])
    assert f"warning: val has no sample of class {', '.join(map(str, range(20)))}, …" in lines
    with pytest.raises(InputError, match=r"47, 48, 49, …$"):
        hold_out(replace(samples, signers=[f"{n}" for n in range(60)]), ["77"], ("train", "val"))
