"""Starting from another model, folds, the start summary and `--check`, as a user types them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from helpers.predict_runs import predict, rows
from helpers.train_runs import tiny_arguments

from shards.format.dataset import read_dataset
from shards.format.index import read_index, write_index
from shards.format.shardset import open_shards
from train.cli import main
from train.fit.checkpoint import read_checkpoint


def train(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def trained(made, tmp_path_factory) -> Path:
    """A run's last.pt, of 3 classes."""
    run = tmp_path_factory.mktemp("trained") / "run"
    shards = made(splits={"train": 13, "val": 5})
    assert train(*tiny_arguments(shards, run, "--max-epochs", 1, "--num-workers", 0, val=False)).exit_code == 0
    return run / "last.pt"


def test_other_classes_get_a_new_head_and_all_else_is_taken(trained: Path, made, tmp_path: Path) -> None:
    shards = made(splits={"train": 8}, classes=4)
    frozen = ("--init", trained, "--learning-rate", 1e-12, "--max-epochs", 1, "--num-workers", 0)
    result = train(*tiny_arguments(shards, tmp_path / "run", *frozen, val=False))
    assert result.exit_code == 0, result.output
    assert "weights taken; new: classifier (its classes are others)" in result.stderr
    before, after = read_checkpoint(trained).model, read_checkpoint(tmp_path / "run" / "last.pt").model
    parameters = [name for name in before if name.endswith(("weight", "bias")) and not name.startswith("classifier")]
    assert parameters
    for name in parameters:
        assert torch.allclose(before[name], after[name], atol=1e-6), name
    assert after["classifier.fc.weight"].shape[0] == 4


def test_the_same_classes_keep_their_head(trained: Path, small: Path, tmp_path: Path) -> None:
    steady = ("--init", trained, "--learning-rate", 1e-12, "--max-epochs", 1, "--num-workers", 0)
    result = train(*tiny_arguments(small, tmp_path / "run", *steady, val=False))
    assert "new:" not in result.stderr
    before, after = read_checkpoint(trained).model, read_checkpoint(tmp_path / "run" / "last.pt").model
    assert torch.allclose(before["classifier.fc.weight"], after["classifier.fc.weight"], atol=1e-6)


def test_a_model_of_other_settings_gives_its_resnet(trained: Path, small: Path, tmp_path: Path) -> None:
    other = ("--init", trained, "--embed-size", 32, "--max-epochs", 1, "--num-workers", 0)
    result = train(*tiny_arguments(small, tmp_path / "run", *other, val=False))
    assert result.exit_code == 0, result.output
    new = result.stderr.partition("new: ")[2].splitlines()[0]
    assert new
    assert "resnet" not in new


def write_folds(path: Path, shards: Path) -> dict[str, str]:
    """Train samples in folds 1 and 2 in turn, validation samples in fold 3."""
    found = open_shards(str(shards))
    folds, turn = {}, 0
    for key, split in zip(found.ids.to_pylist(), found.splits.tolist(), strict=True):
        turn += split == "train"
        folds[key] = "3" if split == "val" else str(turn % 2 + 1)
    path.write_text("id,fold\n" + "".join(f"{key},{fold}\n" for key, fold in folds.items()))
    return folds


def test_folds_are_trained_on_and_predicted_without_a_copy(small: Path, tmp_path: Path) -> None:
    folds = write_folds(tmp_path / "folds.csv", small)
    tiny = tiny_arguments(small, tmp_path / "run", "--max-epochs", 1, "--num-workers", 0, val=False)
    tiny[1] = str(small)
    chosen = ("--folds", tmp_path / "folds.csv", "--test-fold", 1)
    result = train(*tiny, *chosen, "--val-fold", 3)
    assert result.exit_code == 0, result.output
    sizes = {fold: list(folds.values()).count(fold) for fold in "123"}
    assert f"train {sizes['2']} samples" in result.stderr
    assert f"validation {sizes['3']} samples" in result.stderr
    out = tmp_path / "out.csv"
    assert predict("--checkpoint", tmp_path / "run/best.pt", "--shards", small, *chosen, "--out", out).exit_code == 0
    assert {row[0] for row in rows(out)} == {key for key, fold in folds.items() if fold == "1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--test-fold", "1"), "go together"),
        (("--folds", "F", "--test-fold", "9"), "no sample is in fold 9; there are 1, 2, 3"),
        (("--folds", "F", "--test-fold", "1", "--val-fold", "1"), "to be tested on"),
        (("--val-fold", "1"), "--val-fold goes with --folds"),
    ],
)
def test_folds_that_are_wrong(small: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    write_folds(tmp_path / "folds.csv", small)
    given = [str(tmp_path / "folds.csv") if argument == "F" else argument for argument in arguments]
    result = train("--shards", small, "--run-dir", tmp_path / "run", "--weights", "none", "--device", "cpu", *given)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_the_start_says_what_is_trained_on_and_warns(small: Path, tmp_path: Path) -> None:
    long = ("--max-epochs", 1, "--num-workers", 0, "--temporal-stride", 9, "--batch-size", 13)
    said = train(*tiny_arguments(small, tmp_path / "run", *long)).stderr
    assert "train 13 samples, 3 of 3 classes" in said
    assert "1 batches of 13, 1 optimizer steps" in said
    assert "warning: an epoch is one optimizer step" in said
    assert "warning: the window spans 28 frames" in said


def test_check_learns_two_batches_by_heart_and_leaves_nothing(small: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    arguments = tiny_arguments(
        small, tmp_path / "run", "--check", "--batch-size", 2, "--learning-rate", 1e-3, "--num-workers", 0, val=False
    )
    result = train(*arguments)
    assert result.exit_code == 0, result.output
    assert "check: all right" in result.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_check_says_what_is_wrong(made, small: Path, tmp_path: Path) -> None:
    common = ("--check", "--num-workers", 0, "--batch-size", 2)
    result = train(*tiny_arguments(small, tmp_path / "run", *common, "--learning-rate", 1e-12, val=False))
    assert result.exit_code == 2
    assert "not learned in" in result.stderr
    assert "learned in 20 passes" in result.stderr
    # Labels that count from 1: class 0 has no sample, and one name too many.
    folder = Path(shutil.copytree(made(splits={"train": 6}), tmp_path / "from1"))
    rows = read_index(folder / "train.parquet").to_pylist()
    write_index(folder / "train.parquet", [row | {"label": row["label"] + 1} for row in rows])
    dataset = read_dataset(folder)
    replace(dataset, classes=["a", "b", "c", "d"]).write(folder)
    result = train(*tiny_arguments(folder, tmp_path / "run", *common, val=False))
    assert result.exit_code == 2
    assert "count from 1" in result.stderr
