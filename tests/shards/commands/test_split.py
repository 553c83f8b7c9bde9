from pathlib import Path

import pytest

from shards.commands.verify import verify
from shards.tables import read_assignment


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
        ([], "either --holdout-signers or --by"),
        (["--by", "signer", "--holdout-signers", "1"], "either --holdout-signers or --by"),
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
        (["--holdout-signers", "0", "--fractions", "nonsense"], "--fractions and --seed go with --by"),
        (["--holdout-signers", "0", "--seed", "0"], "--fractions and --seed go with --by"),
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
