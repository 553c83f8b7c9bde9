"""Starting from another model, folds, the start summary and `--check`, as a user types them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from helpers.data.shard_making import rewrite_index
from helpers.models.tiny_model import tiny_pose_checkpoint
from helpers.processes.predict_runs import predict, rows
from helpers.processes.train_runs import tiny_arguments
from torchvision.models import resnet18

from shards.format.dataset import read_dataset
from shards.format.index import read_index
from shards.format.shardset import open_shards
from train.cli import main
from train.fit.checkpoint import read_checkpoint
from train.fit.initial_weights import _known_rows


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


def head_of(path: Path) -> torch.Tensor:
    return read_checkpoint(path).model["classifier.fc.weight"]


def renamed(shards: Path, folder: Path, names: list[str]) -> Path:
    """A copy of a shard set whose classes have other names."""
    shutil.copytree(shards, folder)
    replace(read_dataset(folder), classes=names).write(folder)
    return folder


STILL = ("--learning-rate", 1e-12, "--max-epochs", 1, "--num-workers", 0)


def test_classes_that_are_known_keep_their_rows_and_all_else_is_taken(trained: Path, made, tmp_path: Path) -> None:
    """The known ones, `class 0` to `class 2`, come in another order, and with a new one."""
    names = ["new", "class 2", "class 0", "class 1"]
    shards = renamed(made(splits={"train": 8}, classes=4), tmp_path / "shards", names)
    result = train(*tiny_arguments(shards, tmp_path / "run", "--init", trained, *STILL, val=False))
    assert result.exit_code == 0, result.output
    assert "3 of 4 classes taken by name; new: new" in result.stderr
    before, after = read_checkpoint(trained).model, read_checkpoint(tmp_path / "run" / "last.pt").model
    parameters = [name for name in before if name.endswith(("weight", "bias")) and not name.startswith("classifier")]
    assert parameters
    for name in parameters:
        assert torch.allclose(before[name], after[name], atol=1e-6), name
    there, here = before["classifier.fc.weight"], after["classifier.fc.weight"]
    assert torch.allclose(here[1:], there[[2, 0, 1]], atol=1e-6)


def test_no_known_class_is_a_new_head(trained: Path, made, tmp_path: Path) -> None:
    shards = renamed(made(splits={"train": 8}, classes=4), tmp_path / "shards", ["a", "b", "c", "d"])
    result = train(*tiny_arguments(shards, tmp_path / "run", "--init", trained, *STILL, val=False))
    assert "weights taken; new: classifier\n" in result.stderr
    assert head_of(tmp_path / "run" / "last.pt").shape[0] == 4


def test_the_same_classes_keep_their_head(trained: Path, small: Path, tmp_path: Path) -> None:
    result = train(*tiny_arguments(small, tmp_path / "run", "--init", trained, *STILL, val=False))
    assert "new:" not in result.stderr
    assert "all 3 classes taken by name" in result.stderr
    assert torch.allclose(head_of(trained), head_of(tmp_path / "run" / "last.pt"), atol=1e-6)


@pytest.mark.parametrize(
    ("known", "classes", "rows"),
    [
        (["a", "b"], ["b", "c", "a"], [(0, 1), (2, 0)]),
        (["0", "1"], ["0", "1"], [(0, 0), (1, 1)]),
        (["0", "1"], ["0", "1", "2"], []),  # numbers are no names
        (["a", "a", "b"], ["a", "b"], [(1, 2)]),  # which of the two?
        (None, ["a"], []),
    ],
)
def test_rows_of_known_classes(known: list[str] | None, classes: list[str], rows: list[tuple[int, int]]) -> None:
    assert _known_rows(known, classes) == rows


def test_a_model_of_other_settings_gives_its_resnet(trained: Path, small: Path, tmp_path: Path) -> None:
    other = ("--init", trained, "--embed-size", 32, "--max-epochs", 1, "--num-workers", 0)
    result = train(*tiny_arguments(small, tmp_path / "run", *other, val=False))
    assert result.exit_code == 0, result.output
    new = result.stderr.partition("new: ")[2].splitlines()[0]
    assert new
    assert "resnet" not in new


def test_a_resnet_alone_out_of_a_checkpoint_or_of_torchvision(trained: Path, small: Path, tmp_path: Path) -> None:
    """Frozen, it is in the new model as it was; the head is another one."""
    weights = read_checkpoint(trained).model
    torchvision = resnet18(weights=None)
    torch.save(torchvision.state_dict(), tmp_path / "resnet18.pth")
    frozen = ("--freeze-layers", 8, "--max-epochs", 1, "--num-workers", 0)
    for file, wanted, more in (
        (trained, weights["feature_extractor.resnet.0.weight"], ()),
        (tmp_path / "resnet18.pth", torchvision.conv1.weight, ("--cnn", "rn18")),
    ):
        run = tmp_path / file.stem
        assert train(*tiny_arguments(small, run, "--cnn-weights", file, *frozen, *more, val=False)).exit_code == 0
        after = read_checkpoint(run / "last.pt").model
        assert torch.equal(after["feature_extractor.resnet.0.weight"], wanted)
        assert not torch.allclose(after["classifier.fc.weight"], weights["classifier.fc.weight"])


def test_frozen_layers_stay_as_they_were_in_the_other_model(trained: Path, small: Path, tmp_path: Path) -> None:
    frozen = ("--init", trained, "--freeze-layers", 5, "--max-epochs", 1, "--num-workers", 0)
    assert train(*tiny_arguments(small, tmp_path / "run", *frozen, val=False)).exit_code == 0
    before, after = read_checkpoint(trained).model, read_checkpoint(tmp_path / "run" / "last.pt").model
    assert all(torch.equal(before[name], after[name]) for name in before if ".resnet.4." in name)
    assert not torch.equal(before["feature_extractor.resnet.7.0.conv1.weight"],
                           after["feature_extractor.resnet.7.0.conv1.weight"])  # fmt: skip


def test_a_run_that_began_so_goes_on_without_the_other_model(trained: Path, small: Path, tmp_path: Path) -> None:
    """Two epochs, and one with a second after it: the same weights; the other model may have gone meanwhile."""
    other = Path(shutil.copy(trained, tmp_path / "other.pt"))
    shared = ("--init", other, "--num-workers", 0, "--learning-rate", 1e-3)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(*tiny_arguments(small, whole, *shared, "--max-epochs", 2, val=False)).exit_code == 0
    assert train(*tiny_arguments(small, parts, *shared, "--max-epochs", 1, val=False)).exit_code == 0
    other.unlink()
    assert train(*tiny_arguments(small, parts, *shared, "--max-epochs", 2, "--resume", val=False)).exit_code == 0
    one, two = (read_checkpoint(run / "last.pt").model for run in (whole, parts))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_skeleton_model_starts_from_another(small: Path, made, tmp_path: Path) -> None:
    def options(run: str, *more: object) -> list[object]:
        tiny = ("--model", "POSE", "--sequence-length", 4, "--num-layers", 1, "--embed-size", 8, "--device", "cpu")
        return [*tiny, "--num-workers", 0, "--max-epochs", 1, "--run-dir", tmp_path / run, *more]

    assert train(*options("first"), "--shards", small / "train-*.tar").exit_code == 0
    shards = renamed(made(splits={"train": 8}, classes=4), tmp_path / "shards", ["x", "class 1", "y", "z"])
    begun = ("--init", tmp_path / "first/last.pt", "--learning-rate", 1e-12, "--weight-decay", 0)
    result = train(*options("second", *begun), "--shards", shards)
    assert result.exit_code == 0, result.output
    assert "1 of 4 classes taken by name; new: x, y, z" in result.stderr
    before, after = (read_checkpoint(tmp_path / run / "last.pt").model for run in ("first", "second"))
    assert torch.allclose(before["embed.weight"], after["embed.weight"], atol=1e-6)
    assert torch.allclose(before["classifier.weight"][1], after["classifier.weight"][1], atol=1e-6)


def test_models_that_do_not_fit_are_one_line(trained: Path, small: Path, tmp_path: Path) -> None:
    skeleton, larger = tmp_path / "pose.pt", ("--cnn", "rn34")
    tiny_pose_checkpoint(skeleton, ["class 0", "class 1", "class 2"])
    for more, part in (
        (("--init", skeleton), "is a model POSE, which has nothing in common with VTN_HCPF"),
        (("--init", trained, *larger), "its ResNet is small, not rn34; give --cnn small"),
        (("--cnn-weights", skeleton), "the model in it has no ResNet"),
        (("--cnn-weights", trained, *larger), "do not fit the model"),
    ):
        result = train(*tiny_arguments(small, tmp_path / "run", *more, val=False))
        assert result.exit_code == 2
        assert part in result.stderr
        assert len(result.stderr.splitlines()) == 1


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
    chosen = (tmp_path / "folds.csv", "--test-fold", 1)
    result = train(*tiny, "--fold-file", *chosen, "--val-fold", 3)
    assert result.exit_code == 0, result.output
    sizes = {fold: list(folds.values()).count(fold) for fold in "123"}
    assert f"train {sizes['2']} samples" in result.stderr
    assert f"validation {sizes['3']} samples" in result.stderr
    out = tmp_path / "out.csv"
    for option in ("--fold-file", "--folds"):  # the second is its name of an earlier version
        common = ("--checkpoint", tmp_path / "run/best.pt", "--shards", small, "--out", out)
        assert predict(*common, option, *chosen).exit_code == 0
        assert {row[0] for row in rows(out)} == {key for key, fold in folds.items() if fold == "1"}
        out.unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--test-fold", "1"), "go together"),
        (("--fold-file", "F", "--test-fold", "9"), "no sample is in fold 9; there are 1, 2, 3"),
        (("--fold-file", "F", "--test-fold", ""), "no sample is in fold ''; there are 1, 2, 3"),
        (("--fold-file", "F", "--test-fold", "1", "--val-fold", ""), "no sample is in fold ''; there are 1, 2, 3"),
        (("--fold-file", "F", "--test-fold", "1", "--val-fold", "1"), "to be tested on"),
        (("--val-fold", "1"), "--val-fold goes with --fold-file"),
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
    said = train(*tiny_arguments(small, tmp_path / "frozen", *long, "--freeze-layers", 2)).stderr
    assert "--freeze-layers keeps parts of the ResNet as they are, which is random" in said


def test_keypoints_of_another_estimator_are_told(small: Path, made, tmp_path: Path) -> None:
    other = made(splits={"train": 13, "val": 5}, estimator="other")
    quick = ("--max-epochs", 1, "--num-workers", 0, "--freeze-layers", 8)
    validated = tiny_arguments(small, tmp_path / "run", *quick, "--val-shards", other / "val-*.tar", val=False)
    assert "val-*.tar: has keypoints of other, " in train(*validated).stderr
    resumed = tiny_arguments(other, tmp_path / "run", *quick, "--max-epochs", 2, "--resume")
    assert "note: estimator is other, was none: " in train(*resumed).stderr


def test_check_learns_two_batches_by_heart_and_leaves_nothing(small: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    arguments = tiny_arguments(
        small, tmp_path / "run", "--check", "--batch-size", 2, "--learning-rate", 1e-3, "--num-workers", 0, val=False
    )
    result = train(*arguments)
    assert result.exit_code == 0, result.output
    assert "check: all right" in result.stdout
    assert "chance is a loss of 1.099 and an accuracy of 0.3333; who always names" in result.stderr
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
    rewrite_index(folder, "train", [row | {"label": row["label"] + 1} for row in rows])
    replace(read_dataset(folder), classes=["a", "b", "c", "d"]).write(folder)
    result = train(*tiny_arguments(folder, tmp_path / "run", *common, val=False))
    assert result.exit_code == 2
    assert "count from 1" in result.stderr
