from collections import Counter
from pathlib import Path

import pytest

from shards.commands.verify import verify
from shards.format.assignment import read_assignment


def splits_in(path: Path) -> dict[str, str]:
    return {sample_id: split for sample_id, (_, split) in read_assignment(path).items()}


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("".join(f"signer{n % 5}_sample{n},{n % 3}\n" for n in range(60)))
    return path


def test_holdout_from_labels(run, labels: Path, tmp_path: Path) -> None:
    result = run("split", "--labels", labels, "--holdout-signers", "1, 4", "--out", tmp_path / "out.csv")
    assert result.exit_code == 0
    found = splits_in(tmp_path / "out.csv")
    assert found == {f"signer{n % 5}_sample{n}": "val" if n % 5 in (1, 4) else "train" for n in range(60)}
    assert list(found) == [line.split(",")[0] for line in labels.read_text().split()]
    assert "train: 36 samples (60.0%), 3 of 3 classes, 3 signers (0, 2, 3)" in result.stdout
    assert result.stderr == ""


def test_from_shards(run, shards: Path, split_of, tmp_path: Path) -> None:
    result = run("split", "--shards", shards, "--holdout-signers", 2, "--names", "a,b", "--out", tmp_path / "out.csv")
    assert result.exit_code == 0
    assert splits_in(tmp_path / "out.csv") == {
        key: "b" if key.startswith("signer2") else "a" for key in split_of(shards)
    }


def test_labels_are_not_written_over(run, labels: Path) -> None:
    before = labels.read_text()
    result = run("split", "--labels", labels, "--by", "signer", "--out", labels.parent / "." / labels.name)
    assert result.exit_code == 2
    assert f"{labels.name}: has another part in this command" in result.stderr
    assert labels.read_text() == before


@pytest.mark.parametrize("name", ["dataset.json", "train-000.tar", "val.parquet"])
@pytest.mark.parametrize("how", ["itself", "symlink", "hardlink"])
def test_shards_are_not_written_over(run, shards: Path, tmp_path: Path, name: str, how: str) -> None:
    before, out = (shards / name).read_bytes(), tmp_path / "out.csv"
    if how == "itself":
        out = shards / name
    elif how == "symlink":
        out.symlink_to(shards / name)
    else:
        out.hardlink_to(shards / name)
    result = run("split", "--shards", shards, "--by", "sample", "--out", out)
    assert result.exit_code == 2
    assert f"{out}: has another part in this command" in result.stderr
    assert (shards / name).read_bytes() == before
    assert verify(shards, True, 1).faults == []


def test_by_signer_and_by_sample(run, labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    result = run("split", "--labels", labels, "--by", "signer", "--fractions", "0.6,0.2,0.2", "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert set(splits_in(out).values()) == {"train", "val", "test"}
    result = run("split", "--labels", labels, "--by", "sample", "--out", out)
    assert result.exit_code == 0
    assert "signers are in several splits" in result.stderr
    assert sorted(splits_in(out).values()) == ["train"] * 48 + ["val"] * 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "how to divide"),
        (["--keep", "test"], "how to divide"),
        (["--by", "signer", "--leave-one-signer-out"], "--leave-one-signer-out divides by itself"),
        (["--folds", "2", "--fractions", "0.5,0.5"], "--fractions goes with --by"),
        (["--by", "signer", "--folds", "2", "--fractions", "0.5,0.5"], "not with --folds"),
        (["--folds", "2", "--per-class", "1"], "not for folds"),
        (["--folds", "2", "--names", "a,b"], "not for folds"),
        (["--keep", "test", "--per-class", "1", "--names", "a,b"], "--names goes with --by"),
        (["--folds", "6"], "5 signers cannot make 6"),
        (["--keep", "dev", "--by", "signer"], "no sample is in split dev; there are none"),
        (["--by", "sample", "--per-class", "30"], "has only 16 samples"),
        (["--by", "signer", "--shards", "x"], "either --labels or --shards"),
        (["--by", "signer", "--fractions", "0.8,0.3"], "add up to 1"),
        (["--by", "signer", "--fractions", "1"], "two or more"),
        (["--by", "signer", "--fractions", "a,b"], "two or more"),
        (["--by", "signer", "--fractions", "nan,0.5"], "two or more"),
        (["--by", "sample", "--fractions", "0.5,nan"], "two or more"),
        (["--by", "sample", "--fractions", "inf,-inf"], "two or more"),
        (["--by", "signer", "--fractions", "1.5,-0.5"], "two or more"),
        (["--by", "signer", "--fractions", "0.25,0.25,0.25,0.25"], "4 different names"),
        (["--by", "signer", "--names", "train,train"], "2 different names"),
        (["--by", "signer", "--names", "train,a/b"], "2 different names"),
        (["--holdout-signers", "77"], "no sample of signer 77"),
        (["--holdout-signers", "0", "--fractions", "nonsense"], "--fractions goes with --by"),
        (["--holdout-signers", "0", "--seed", "0"], "--seed goes with"),
        (["--by", "sample", "--fractions", "0.999,0.001"], "val would have none of the 60 samples"),
        (["--by", "clip"], "Invalid value for '--by'"),
    ],
)
def test_wrong_options(run, labels: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run("split", "--labels", labels, *arguments, "--out", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out.csv").exists()


def test_missing_files(run, tmp_path: Path) -> None:
    for option in ("--labels", "--shards"):
        result = run("split", option, tmp_path / "absent", "--by", "sample", "--out", tmp_path / "out.csv")
        assert result.exit_code == 2
        assert "absent" in result.stderr


@pytest.fixture
def clip_list(tmp_path: Path) -> Path:
    """60 labelled clips of 5 signers, who are not in the ids, 12 of them of the test split; and one without label."""
    path = tmp_path / "clips.csv"
    rows = [f"c{n},{'test' if n % 5 == 4 else 'train'},p{n % 5},sign {n % 3},c{n}.mp4" for n in range(60)]
    path.write_text("\n".join(["id,split,signer,label,color", *rows, "unlabelled,train,,,x.mp4"]) + "\n")
    return path


def test_folds_of_a_clip_list_keep_signers_apart_and_classes_equal(run, clip_list: Path, tmp_path: Path) -> None:
    result = run("split", "--labels", clip_list, "--folds", 5, "--out", tmp_path / "out.csv")
    assert result.exit_code == 0
    assert "without a class, which are left out: 1" in result.stderr
    assert (tmp_path / "out.csv").read_text().startswith("id,fold\n")
    found = splits_in(tmp_path / "out.csv")
    signer_of_fold = {fold: {int(key[1:]) % 5 for key in found if found[key] == fold} for fold in found.values()}
    assert sorted(map(len, signer_of_fold.values())) == [1] * 5
    assert set(signer_of_fold) == {"1", "2", "3", "4", "5"}
    result = run("split", "--labels", clip_list, "--folds", 4, "--by", "sample", "--out", tmp_path / "out.csv")
    found = splits_in(tmp_path / "out.csv")
    counts = Counter((fold, int(key[1:]) % 3) for key, fold in found.items())
    assert set(counts.values()) == {5}
    assert "5 signers are in several folds" in result.stderr


def test_leaving_one_signer_out(run, clip_list: Path, tmp_path: Path) -> None:
    result = run("split", "--labels", clip_list, "--leave-one-signer-out", "--out", tmp_path / "out.csv")
    assert result.exit_code == 0
    assert splits_in(tmp_path / "out.csv") == {f"c{n}": f"p{n % 5}" for n in range(60)}


def test_a_fixed_test_set_and_the_rest_divided(run, clip_list: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    by = ("--by", "signer", "--fractions", "0.75,0.25", "--out", out)
    for fixed in (("--keep", "test"), ("--holdout-signers", "p4")):
        assert run("split", "--labels", clip_list, *fixed, *by).exit_code == 0
        found = splits_in(out)
        assert {key for key, split in found.items() if split == "test"} == {f"c{n}" for n in range(4, 60, 5)}
        assert Counter(found.values()) == {"train": 36, "val": 12, "test": 12}
    assert (
        "split test would be made anew"
        in run(
            "split",
            "--labels",
            clip_list,
            "--keep",
            "test",
            "--by",
            "sample",
            "--fractions",
            "0.5,0.3,0.2",
            "--out",
            out,
        ).stderr
    )
    result = run("split", "--labels", clip_list, "--keep", "test", "--folds", 2, "--out", out)
    assert "12 of 60 samples are left out" in result.stderr
    assert set(splits_in(out).values()) == {"1", "2"}
    assert len(splits_in(out)) == 48


def test_signers_held_out_of_a_split_that_is_kept(run, clip_list: Path, tmp_path: Path) -> None:
    """Signer p4 is the split test: kept there, nobody would be held out."""
    both = ("split", "--labels", clip_list, "--keep", "test", "--holdout-signers", "p4", "--out", tmp_path / "out.csv")
    result = run(*both)
    assert result.exit_code == 2
    assert "some of their samples are in split test" in result.stderr
    assert run(*both, "--by", "signer").exit_code == 0  # into test, where they are
    assert run(*both, "--folds", 2).exit_code == 0  # in no fold either way


def test_a_few_of_each_class_to_train_on(run, clip_list: Path, tmp_path: Path) -> None:
    sets = []
    for count in (2, 4):
        out = tmp_path / "out.csv"
        assert (
            run(
                "split", "--labels", clip_list, "--keep", "train,test", "--per-class", count, "--seed", 3, "--out", out
            ).exit_code
            == 0
        )
        found = splits_in(out)
        few = {key for key, split in found.items() if split == "train"}
        assert Counter(int(key[1:]) % 3 for key in few) == dict.fromkeys(range(3), count)
        assert Counter(found.values())["test"] == 12
        sets.append(few)
    assert sets[0] < sets[1]


def test_what_is_known_of_no_signer_is_left_out_only_without_a_class(run, clip_list: Path, tmp_path: Path) -> None:
    clip_list.write_text(clip_list.read_text() + "nobody,train,,sign 0,x.mp4\n")
    result = run("split", "--labels", clip_list, "--holdout-signers", "p1", "--out", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert "no signer is known of nobody" in result.stderr
    assert "column signer" in result.stderr


def test_several_shard_patterns(run, shards: Path, split_of, tmp_path: Path) -> None:
    """One of them as a shell leaves it that has expanded it."""
    patterns = ("--shards", *sorted(shards.glob("train-*.tar")), "--shards", shards / "val-*.tar")
    assert (
        run(
            "split", *patterns, "--keep", "val", "--by", "sample", "--names", "a,b", "--out", tmp_path / "o.csv"
        ).exit_code
        == 0
    )
    found, before = splits_in(tmp_path / "o.csv"), split_of(shards)
    assert found.keys() == before.keys()
    assert {key for key in found if found[key] == "val"} == {key for key in before if before[key] == "val"}
