"""Folds and seeds together, two models against each other, and tables for papers."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_score

from shards.errors import InputError
from shards.format.shardset import open_shards
from train.evaluate.cli import main
from train.evaluate.comparison import compare, pooled, spreads
from train.evaluate.intervals import Interval
from train.evaluate.metrics import macro_precision_and_f1
from train.evaluate.outcome import Outcome


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def outcome(hits: np.ndarray, ids: list[str] | None = None, source: str = "a.csv") -> Outcome:
    """Samples of 5 classes in turn; a wrong answer is the next class."""
    truth = np.arange(len(hits)) % 5
    names = [f"sign {number}" for number in range(5)]
    ids = ids or [f"s{number}" for number in range(len(hits))]
    return Outcome(source, "labels.csv", ids, truth, np.where(hits, truth, (truth + 1) % 5), None, names, [])


def test_precision_and_f1_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 12, 200), random.integers(0, 20, 200)
    labels = np.unique(truth)
    expected = [
        score(truth, predicted, labels=labels, average="macro", zero_division=0)
        for score in (precision_score, f1_score)
    ]
    assert macro_precision_and_f1(truth, predicted) == pytest.approx(expected)


def test_classes_that_are_absent_do_not_count() -> None:
    """Class 2 is predicted and never the truth; class 1 is never predicted, and its precision counts as 0."""
    truth, predicted = np.array([0, 0, 1]), np.array([0, 2, 0])
    assert macro_precision_and_f1(truth, predicted) == pytest.approx(((1 / 2 + 0) / 2, (2 / 4 + 0) / 2))


def test_mcnemar_and_the_bootstrap_of_two_models() -> None:
    random = np.random.default_rng(1)
    a, b = random.random(400) < 0.8, random.random(400) < 0.7
    order = random.permutation(400)
    shuffled = [f"s{number}" for number in order]
    second = outcome(b, source="b.csv")
    second = Outcome(
        "b.csv", "labels.csv", shuffled, second.truth[order], second.predicted[order], None, second.classes, []
    )
    found = compare(outcome(a), second)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert (found.only_first, found.only_second) == (only_a, only_b)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.p_value == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    # The bootstrap as it is usually written: samples drawn one by one.
    gains = a.astype(float) - b
    draws = gains[random.integers(0, 400, (4000, 400))].mean(axis=1)
    assert [found.interval.low, found.interval.high] == pytest.approx(np.quantile(draws, (0.025, 0.975)), abs=0.01)


def test_equal_models_differ_by_nothing() -> None:
    hits = np.arange(30) % 3 > 0
    found = compare(outcome(hits), outcome(hits))
    assert (found.difference, found.interval, found.p_value) == (0, Interval(0, 0), 1)
    with pytest.raises(InputError, match="2 samples are not in both"):
        compare(outcome(hits), outcome(hits, [*(f"s{n}" for n in range(29)), "other"]))


def test_runs_and_folds() -> None:
    first, second = outcome(np.arange(10) < 8), outcome(np.arange(10) < 6)
    spread = spreads([first, second])["top1"]
    assert (spread.mean, spread.deviation) == pytest.approx((0.7, np.std([0.8, 0.6], ddof=1)))
    assert pooled([first, second]) is None  # seeds: the same samples
    whole = pooled([first, outcome(np.arange(5) < 1, [f"t{n}" for n in range(5)])])
    assert whole is not None
    assert whole.hits()["top1"].sum() == 9
    with pytest.raises(InputError, match="two runs"):
        spreads([first])


@pytest.fixture
def answers(small: Path, tmp_path: Path) -> list[Path]:
    """Predictions of two models for the 5 validation samples of a shard set: 4 and 3 are right."""
    shards = open_shards(f"{small}/val-*.tar")
    paths = []
    for wrong in (1, 2):
        rows = enumerate(zip(shards.ids.to_pylist(), shards.labels.tolist(), strict=True))
        lines = [f"{key},{(label + (place < wrong)) % 3}\n" for place, (key, label) in rows]
        paths.append(tmp_path / f"model{wrong}.csv")
        paths[-1].write_text("".join(lines))
    return paths


def test_labels_come_from_the_shards_or_from_a_clip_list(answers: list[Path], small: Path, tmp_path: Path) -> None:
    assert run("--predictions", answers[0], "--shards", f"{small}/val-*.tar").startswith("accuracy 0.8000 (4 of 5)")
    both = ("--shards", f"{small}/train-*.tar", "--shards", f"{small}/val-*.tar")
    assert run("--predictions", answers[0], *both).startswith("accuracy 0.8000 (4 of 5)")
    shards = open_shards(f"{small}/val-*.tar")
    rows = zip(shards.ids.to_pylist(), shards.labels.tolist(), strict=True)
    listed = tmp_path / "clips.csv"
    listed.write_text("id,split,signer,label,color\n" + "".join(f"{k},val,p,{label},x.mp4\n" for k, label in rows))
    assert run("--predictions", answers[0], "--labels", listed).startswith("accuracy 0.8000 (4 of 5)")


def test_names_in_a_clip_list_are_the_classes_of_the_logits(tmp_path: Path) -> None:
    # By their own order bye would be class 0.
    (tmp_path / "clips.csv").write_text("id,label\na,hello\nb,bye\n")
    logits = np.eye(2)
    np.savez(tmp_path / "a.npz", ids=np.array(["a", "b"]), logits=logits, classes=np.array(["hello", "bye"]))
    text = run("--logits", tmp_path / "a.npz", "--labels", tmp_path / "clips.csv")
    assert text.startswith("accuracy 1.0000 (2 of 2)")


def test_predictions_that_are_names_are_numbered_as_the_labels_are(tmp_path: Path) -> None:
    """By their own order hello would be class 0 of the predictions, and class 1 of the labels."""
    labels, answers, classes = (tmp_path / name for name in ("clips.csv", "answers.csv", "classes.csv"))
    answers.write_text("id,class\na,hello\nb,hello\n")
    labels.write_text("id,label\na,hello\nb,hello\nc,bye\n")
    classes.write_text("ClassId,NAME\n0,bye\n1,hello\n2,thanks\n")
    assert run(answers, "--labels", labels).startswith("accuracy 1.0000 (2 of 2)")
    labels.write_text("a,1\nb,0\n")
    assert run(answers, "--labels", labels, "--classes", classes).startswith("accuracy 0.5000 (1 of 2)")
    result = CliRunner().invoke(main, [str(answers), "--labels", str(labels)])
    assert result.exit_code == 2
    assert "answers.csv: its classes are names, those of" in result.stderr


def test_names_that_only_the_labels_number_are_warned_of(tmp_path: Path) -> None:
    """The model knows bye, too, so that hello is its class 1, and class 0 of the labels by themselves."""
    labels, answers, classes = (tmp_path / name for name in ("clips.csv", "answers.csv", "classes.csv"))
    answers.write_text("a,1\n")
    labels.write_text("id,label\na,hello\n")
    result = CliRunner().invoke(main, [str(answers), "--labels", str(labels)])
    assert "clips.csv: its labels are names, numbered by this file alone (1 of them)" in result.stderr
    classes.write_text("ClassId,NAME\n0,bye\n1,hello\n")
    result = CliRunner().invoke(main, [str(answers), "--labels", str(labels), "--classes", str(classes)])
    assert result.stdout.startswith("accuracy 1.0000 (1 of 1)")
    assert not result.stderr


def test_runs_on_the_command_line_and_tables(answers: list[Path], small: Path, tmp_path: Path) -> None:
    truth = ("--shards", f"{small}/val-*.tar")
    text = run("--predictions", *answers, "--each", *truth, "--table", tmp_path / "scores.tex")
    assert "accuracy 0.7000 ± 0.1414 (2 runs)" in text
    table = (tmp_path / "scores.tex").read_text()
    assert r"model1 & 5 & 80.00 & " in table
    assert r"70.00 $\pm$ 14.14" in table
    run("--predictions", answers[0], *truth, "--table", tmp_path / "scores.md")
    header, rule, row = (tmp_path / "scores.md").read_text().splitlines()
    assert header.count("|") == rule.count("|") == row.count("|")
    assert row.startswith("| model1 | 5 | 80.00 |")


# What TeX takes for something else, in names of files; without a slash, which is in none.
ODD_NAMES = (
    "a_b%c",
    "x&y#z",
    "$5~6",
    "^7\\8",
    "br{a}ce",
    "[1]",
    "*star",
    "a--b---c",
    "<more>|",
    "`it's`",
    "±·ağaç_İşık",
)


@pytest.fixture
def odd_table(answers: list[Path], small: Path, tmp_path: Path) -> Path:
    for name in ODD_NAMES:
        shutil.copy(answers[0], tmp_path / f"{name}.csv")
    files = [tmp_path / f"{name}.csv" for name in ODD_NAMES]
    run("--predictions", *files, "--each", "--shards", f"{small}/val-*.tar", "--table", tmp_path / "odd.tex")
    return tmp_path / "odd.tex"


def test_names_in_a_latex_table(odd_table: Path) -> None:
    lines = odd_table.read_text().splitlines()[4:-3]
    names = [line.partition(" & ")[0] for line in lines]
    assert names[:4] == [r"a\_b\%c", r"x\&y\#z", r"\$5\textasciitilde{}6", r"\textasciicircum{}7\textbackslash{}8"]
    assert names[4:8] == [r"br\{a\}ce", "{}[1]", "{}*star", r"a-\/-\/b-\/-\/-c"]
    assert names[8:] == [
        r"\textless{}more\textgreater{}\textbar{}",
        r"\textasciigrave{}it's\textasciigrave{}",
        r"$\pm$·ağaç\_İşık",
    ]


def test_a_latex_table_compiles(odd_table: Path, tmp_path: Path) -> None:
    latex = shutil.which("pdflatex")
    found = shutil.which("kpsewhich") and subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True).stdout
    if not (latex and found):
        pytest.skip("LaTeX is not installed: apt-get install texlive-latex-recommended")
    text = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{odd}\end{document}"
    (tmp_path / "paper.tex").write_text(text)
    command = [latex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "paper.log").read_text(errors="replace")


def test_against_on_the_command_line(answers: list[Path], small: Path) -> None:
    text = run("--predictions", answers[0], "--against", answers[1], "--shards", f"{small}/val-*.tar")
    assert "accuracy +0.2000" in text
    assert "McNemar: right here alone 1, right there alone 0, p = 1" in text


def test_both_models_are_in_the_table_and_in_the_report(answers: list[Path], small: Path, tmp_path: Path) -> None:
    files = ("--table", tmp_path / "both.md", "--report", tmp_path / "report", "--shards", f"{small}/val-*.tar")
    run(answers[0], "--against", answers[1], *files)
    assert [row.split(" | ")[:3] for row in (tmp_path / "both.md").read_text().splitlines()[2:]] == [
        ["| model1", "5", "80.00"],
        ["| model2", "5", "60.00"],
    ]
    found = json.loads((tmp_path / "report" / "report.json").read_text())["against"]
    expected = {"other": 0.6, "samples": 5, "both_right": 3, "only_first": 1, "only_second": 0, "p_value": 1.0}
    assert {name: found[name] for name in expected} == expected
    page = unescape((tmp_path / "report" / "index.html").read_text()).replace("\u00a0", " ")
    assert "Top-1 accuracy 80.00 % against 60.00 %" in page
    assert re.search(r"right here</th><td>3</td><td>1</td>.*\n?<tr><th>wrong here</th><td>0</td><td>1</td>", page)


def test_rows_of_files_with_one_name_are_told_apart(answers: list[Path], small: Path, tmp_path: Path) -> None:
    for number, path in enumerate(answers):
        (tmp_path / str(number)).mkdir()
        path.rename(tmp_path / str(number) / "test.csv")
    paths = [tmp_path / "0" / "test.csv", tmp_path / "1" / "test.csv"]
    run(*paths, "--each", "--shards", f"{small}/val-*.tar", "--table", tmp_path / "runs.md")
    rows = [row.split(" | ")[0] for row in (tmp_path / "runs.md").read_text().splitlines()[2:]]
    assert rows == [f"| {paths[0]}", f"| {paths[1]}", "| mean ± sample SD of 2"]


@pytest.mark.parametrize("suffix", ["md", "tex"])
def test_a_table_of_a_file_whose_name_is_not_utf_8(
    answers: list[Path], small: Path, tmp_path: Path, suffix: str
) -> None:
    odd = answers[0].rename(tmp_path / "l\udce9.csv")
    run(odd, "--shards", f"{small}/val-*.tar", "--table", tmp_path / f"odd.{suffix}")
    assert "l? " in (tmp_path / f"odd.{suffix}").read_text()


def test_runs_that_are_neither_folds_nor_seeds_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("a,0\nb,1\nc,1\nd,0\n")
    texts = {"seed1": "a,0\nb,1\n", "seed2": "b,0\na,1\n", "fold2": "c,1\n", "odd": "b,1\nc,1\n"}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)

    def warnings(*names: str) -> str:
        files = [str(tmp_path / f"{name}.csv") for name in names]
        return CliRunner().invoke(main, [*files, "--each", "--labels", str(tmp_path / "labels.csv")]).stderr

    assert "neither folds nor seeds" in warnings("seed1", "odd")
    for names in (("seed1", "seed2"), ("seed1", "fold2")):
        assert "neither folds nor seeds" not in warnings(*names)
    assert "1 label without a prediction, not counted, e.g. d" in warnings("seed1", "fold2")


def test_the_standard_deviation_says_what_it_is(answers: list[Path], small: Path) -> None:
    text = run(*answers, "--each", "--shards", f"{small}/val-*.tar")
    assert "accuracy 0.7000 ± 0.1414 (2 runs)" in text  # with n it would be 0.1000
    assert "sample standard deviation over the runs (with n - 1)" in text
