import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from train.evaluate.cli import main
from train.evaluate.options import FIGURE_FILES, REPORT_FILES

ROOT = Path(__file__).parents[3]
NAMES = ["hello", "bye", "thanks"]


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("signer0_sample1,0\nsigner0_sample2,1\nsigner1_sample1,2\nsigner1_sample2,2\n")
    return path


def write_logits(path, rows: dict[str, list[float]], classes=tuple(NAMES)):
    np.savez(path, ids=np.array(list(rows)), logits=np.array(list(rows.values())), classes=np.array(classes))
    return path


# Accuracies that the reference's authors published; counts are those of the label files.
@pytest.mark.parametrize(
    ("name", "split", "line"),
    [
        ("RGB_DEV_VTN_HCPF", "val", "accuracy 0.9083 (4013 of 4418)"),
        ("RGBD_DEV_VTN_HCPF_D", "val", "accuracy 0.9167 (4050 of 4418)"),
        ("RGB_TEST_VTN_HCPF", "test", "accuracy 0.9292 (3477 of 3742)"),
        ("RGBD_TEST_VTN_HCPF_D", "test", "accuracy 0.9332 (3492 of 3742)"),
    ],
)
def test_published_predictions(autsl_labels, name, split, line):
    predictions = autsl_labels / "predictions" / f"{name}.csv"
    result = run("--predictions", predictions, "--labels", autsl_labels / f"{split}_labels.csv")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == line
    assert result.stderr == ""


def test_predictions_by_hand(tmp_path, labels):
    predictions = tmp_path / "p.csv"
    predictions.write_text("signer1_sample2,2\nsigner0_sample2,1\nsigner0_sample1,2\n")
    result = run("--predictions", predictions, "--labels", labels)
    assert result.stdout.splitlines() == [
        "accuracy 0.6667 (2 of 3)",
        "per-class mean 0.6667",
        "macro precision 0.5000",  # of the classes 0, never predicted; 1, 1 of 1; and 2, 1 of 2
        "macro F1 0.5556",
    ]
    expected = f"warning: {labels}: 1 label without a prediction, not counted, e.g. signer1_sample1\n"
    assert result.stderr == expected


def test_a_prediction_without_a_label_is_an_error(tmp_path, labels):
    predictions = tmp_path / "p.csv"
    predictions.write_text("signer0_sample1,0\nsigner9_sample9,0\n")
    assert "no label for 1 predictions" in refused("--predictions", predictions, "--labels", labels)


@pytest.mark.parametrize("option", ["--predictions", "--labels"])
@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [("a,1\nb,two\n", 2, "'two'"), ("a\n", 1, "id,class"), ("a,1\na,2\n", 2, "a has")],
)
def test_a_wrong_row_is_named(tmp_path, labels, option, text, line, fault):
    (tmp_path / "wrong.csv").write_text(text)
    files = {"--predictions": labels, "--labels": labels, option: tmp_path / "wrong.csv"}
    said = refused(*(word for pair in files.items() for word in pair))
    assert f"wrong.csv:{line}: " in said
    assert fault in said


def test_a_split_in_the_labels_is_passed_over(tmp_path, labels):
    with_split = tmp_path / "with_split.csv"
    with_split.write_text(labels.read_text().replace("\n", ",test\n"))
    assert (
        run("--predictions", labels, "--labels", with_split).stdout
        == run("--predictions", labels, "--labels", labels).stdout
    )


def test_nothing_heavy_is_imported_for_help_and_no_torch_for_a_report(tmp_path, labels):
    code = "import sys; from train.evaluate.cli import main; main(sys.argv[1:], standalone_mode=False); "
    for arguments, absent in (
        (("--help",), ("scipy", "sklearn", "torch", "pyarrow", "PIL", "jinja2")),
        (("--predictions", labels, "--labels", labels), ("scipy.stats", "sklearn", "torch", "PIL", "jinja2")),
        (("--predictions", labels, "--labels", labels, "--report", tmp_path / "r"), ("torch", "train.data", "sklearn")),
    ):
        check = f"sys.exit([name for name in {absent} if name in sys.modules] or 0)"
        subprocess.run([sys.executable, "-c", code + check, *map(str, arguments)], cwd=ROOT, check=True)


def test_a_missing_extra_is_one_line(labels):
    code = "import sys; sys.modules['scipy'] = None; from train.evaluate.cli import main; main()"
    command = [sys.executable, "-c", code, "--predictions", labels, "--labels", labels]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "scipy" in result.stderr
    assert "signshards[train]" in result.stderr


def test_logits_give_top_5(tmp_path, labels):
    names = [f"sign {n}" for n in range(8)]
    rows = {"signer0_sample1": list(range(8)), "signer0_sample2": list(range(8, 0, -1)), "signer1_sample1": [0.0] * 8}
    rows |= {"signer1_sample2": [0, 0, 9, 0, 0, 0, 0, 0]}
    path = write_logits(tmp_path / "a.npz", rows, names)
    result = run("--logits", path, "--labels", labels)
    # Class 0 is the last of 8; class 1 the second; class 2 the third of equals; class 2 the first.
    assert result.stdout.splitlines() == [
        "accuracy 0.2500 (1 of 4)",
        "per-class mean 0.1667",
        "top-5 0.7500 (3 of 4)",
        "macro precision 0.3333",
        "macro F1 0.2222",
    ]


@pytest.mark.parametrize(
    ("classes", "ranks"), [(3, []), (5, []), (6, ["top-5"]), (10, ["top-5"]), (11, ["top-5", "top-10"])]
)
def test_top_k_is_of_more_than_k_classes(tmp_path, labels, classes, ranks):
    """With k classes or fewer it would be 1, whatever the model."""
    rows = {row.split(",")[0]: np.arange(classes, dtype=float).tolist() for row in labels.read_text().split()}
    path = write_logits(tmp_path / "a.npz", rows, [f"sign {n}" for n in range(classes)])
    lines = run("--logits", path, "--labels", labels).stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("top")] == ranks
    # The likeliest is the last class; of 11, the label 1 is among the likeliest 10, and 0 is not.
    assert classes < 11 or "top-10 0.7500 (3 of 4)" in lines


@pytest.fixture
def two_models(tmp_path):
    """Two models of 4 evaluated and 3 other samples; the first is right and sure, the second wrong and less sure."""
    truth = {"signer0_sample1": 0, "signer0_sample2": 1, "signer1_sample1": 2, "signer1_sample2": 2}
    other = {"signer5_sample1": 0, "signer5_sample2": 1, "signer5_sample3": 2}
    (tmp_path / "val.csv").write_text("".join(f"{sample_id},{label}\n" for sample_id, label in other.items()))

    def rows(labels: dict[str, int], turn: int, scale: float) -> dict[str, list[float]]:
        return {key: np.roll([scale, 0.0, 0.0], label + turn).tolist() for key, label in labels.items()}

    for split, ids in (("test", truth), ("val", other)):
        write_logits(tmp_path / f"{split}_a.npz", rows(ids, 0, 3))
        write_logits(tmp_path / f"{split}_b.npz", dict(reversed(rows(ids, 1, 2.5).items())))
    return tmp_path


def test_fusion_with_weights(two_models, labels):
    a, b = two_models / "test_a.npz", two_models / "test_b.npz"
    assert "accuracy 1.0000" in run("--logits", a, b, "--labels", labels).stdout
    result = run("--logits", a, b, "--weights", "0.2,0.8", "--labels", labels)
    assert result.stdout.splitlines()[:2] == ["weights 0.2000,0.8000", "accuracy 0.0000 (0 of 4)"]
    repeated = run("--logits", a, "--logits", b, "--weights", "0.2,0.8", "--labels", labels)
    assert repeated.stdout == result.stdout


def test_weights_chosen_on_other_samples(two_models, labels):
    a, b, val_a, val_b = (two_models / f"{name}.npz" for name in ("test_a", "test_b", "val_a", "val_b"))
    chosen = (
        "--logits",
        a,
        b,
        "--labels",
        labels,
        "--val-logits",
        val_a,
        val_b,
        "--val-labels",
        two_models / "val.csv",
    )
    result = run(*chosen)
    assert result.exit_code == 0, result.output
    first = float(result.stdout.splitlines()[0].removeprefix("weights ").split(",")[0])
    assert first > 0.99


def test_weights_are_kept_for_predict_and_for_another_evaluation(two_models, labels, tmp_path):
    a, b, val_a, val_b = (two_models / f"{name}.npz" for name in ("test_a", "test_b", "val_a", "val_b"))
    kept = tmp_path / "w.json"
    validation = ("--val-logits", val_a, val_b, "--val-labels", two_models / "val.csv", "--save-weights", kept)
    chosen = run("--logits", a, b, "--labels", labels, *validation)
    assert chosen.exit_code == 0, chosen.output
    weights = json.loads(kept.read_text())["weights"]
    assert weights[0] > 0.99
    assert sum(weights) == pytest.approx(1)
    assert run("--logits", a, b, "--labels", labels, "--weights", kept).stdout == chosen.stdout
    before = kept.read_bytes()
    kept.unlink()
    assert run(*validation).stdout == chosen.stdout.splitlines()[0] + "\n"  # nothing is evaluated
    assert kept.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--logits A B --labels L --save-weights W", "give those"),
        ("--val-logits VA VB --val-labels V --save-weights W --labels L", "give --logits, too"),
        ("--val-logits VA --val-labels V --save-weights W", "give several files"),
        ("--val-logits VA VB --save-weights W", "go together"),
        ("--val-logits VA VB --val-labels V --save-weights VA", "another part in this command"),
        ("--logits A B", "--labels"),
    ],
)
def test_weights_that_cannot_be_kept(two_models, labels, tmp_path, words, reason):
    names = {"A": "test_a.npz", "B": "test_b.npz", "VA": "val_a.npz", "VB": "val_b.npz", "V": "val.csv"}
    files = {key: two_models / name for key, name in names.items()} | {"L": labels, "W": tmp_path / "w.json"}
    assert reason in refused(*(files.get(word, word) for word in words.split()))
    assert not (tmp_path / "w.json").exists()


def test_weights_are_never_chosen_on_what_is_evaluated(two_models, labels):
    a, b, val_b = (two_models / f"{name}.npz" for name in ("test_a", "test_b", "val_b"))
    message = refused("--logits", a, b, "--labels", labels, "--val-logits", a, b, "--val-labels", labels)
    assert "4 of its samples are evaluated, too, e.g. signer0_sample1" in message
    # One shared sample is enough, under whatever file name.
    rows = {"signer5_sample1": [1.0, 0, 0], "signer0_sample2": [1.0, 0, 0]}
    mixed = [write_logits(two_models / f"mixed_{n}.npz", rows) for n in range(2)]
    arguments = ("--logits", a, b, "--labels", labels, "--val-logits", *mixed, "--val-labels", labels)
    assert "1 of its samples are evaluated, too, e.g. signer0_sample2" in refused(*arguments)
    assert "1 files for 2" in refused(
        "--logits", a, b, "--labels", labels, "--val-logits", val_b, "--val-labels", two_models / "val.csv"
    )


def test_options_that_do_not_go_together(two_models, labels):
    a, b = two_models / "test_a.npz", two_models / "test_b.npz"
    truth = ("--labels", labels)
    assert "either --predictions or --logits" in refused(*truth)
    assert "either --predictions or --logits" in refused("--predictions", labels, "--logits", a, *truth)
    assert "fusing" in refused("--predictions", labels, "--weights", "1,1", *truth)
    assert "several" in refused("--logits", a, "--weights", "1", *truth)
    assert "go together" in refused("--logits", a, b, "--val-logits", a, *truth)
    assert "not both" in refused(
        "--logits", a, b, "--weights", "1,1", "--val-logits", a, b, "--val-labels", labels, *truth
    )
    assert "--report" in refused("--predictions", labels, "--shards", "x", *truth)
    assert "--shards" in refused("--predictions", labels)
    assert "--each" in refused("--predictions", labels, labels, *truth)
    assert "by itself" in refused("--each", "--logits", a, b, "--weights", "1,1", *truth)
    assert "two runs" in refused("--each", "--logits", a, *truth)
    assert ".tex" in refused("--logits", a, "--table", "scores.pdf", *truth)
    assert "two runs" in refused("--each", a, two_models / "." / a.name, *truth)
    assert "two models" in refused("--logits", a, a, *truth)
    assert "with itself" in refused(a, "--against", a, *truth)
    assert "3 weights for 2 models" in refused("--logits", a, b, "--weights", "1,1,1", *truth)


def test_files_need_no_option(two_models, labels):
    a, b = two_models / "test_a.npz", two_models / "test_b.npz"
    truth = ("--labels", labels)
    assert run(a, "--against", b, *truth).stdout == run("--logits", a, "--against", b, *truth).stdout
    assert run(labels, *truth).stdout == run("--predictions", labels, *truth).stdout
    assert "either --predictions or --logits" in refused(a, labels, *truth)


def test_quoted_globs_and_folders(two_models, labels, monkeypatch):
    monkeypatch.chdir(two_models)
    truth = ("--labels", labels)
    both = run("--logits", "test_a.npz", "test_b.npz", *truth).stdout
    assert "weights 0.5000,0.5000" in both
    assert run("--logits", "test_*.npz", *truth).stdout == both
    assert run("test_{a,b}.npz", *truth).stdout == both
    each = run("--each", "test_a.npz", "test_b.npz", *truth).stdout
    assert run("--each", "test_?.npz", *truth).stdout == each
    Path("seeds").mkdir()
    for name in ("test_a.npz", "test_b.npz"):
        Path(name).rename(Path("seeds", name))
    assert run("--each", "--logits", "seeds", *truth).stdout.replace("seeds/", "") == each
    assert "seeds/x*.npz: names no file" in refused("--logits", "seeds/x*.npz", *truth)
    assert "seeds: the folder has no .csv file" in refused("--predictions", "seeds", *truth)
    Path("seeds/test_a.npz").rename("test_[ab].npz")
    Path("seeds/test_b.npz").rename("test_b.npz")
    one = run("--logits", "test_[ab].npz", *truth).stdout
    assert "weights" not in one, "a file of this very name is meant"


def test_a_report_is_not_written_over_what_is_read(tmp_path, labels):
    truth = tmp_path / "samples.csv"
    truth.write_text(labels.read_text())
    said = refused("--predictions", labels, "--labels", truth, "--report", tmp_path)
    assert f"{truth}: the report would be written over it; give --report another folder" in said
    assert truth.read_text() == labels.read_text()
    report = tmp_path / "report"
    assert run("--predictions", labels, "--labels", truth, "--report", report).exit_code == 0
    assert {path.name for path in report.iterdir()} == {*REPORT_FILES, *FIGURE_FILES} - {
        "calibration.svg",
        "confidence.svg",
    }


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("--logits A B --labels L --val-logits VA VB --val-labels R/classes.csv --report R", "R/classes.csv"),
        ("--logits A B --labels L --val-logits VA VB --val-labels V --against O --save-weights O", "O"),
        ("--logits A B --labels L --val-logits VA VB --val-labels V.md --table V.md", "V.md"),
    ],
)
def test_no_file_that_is_read_is_written_over(two_models, labels, words, kept):
    files = {"A": "test_a.npz", "B": "test_b.npz", "VA": "val_a.npz", "VB": "val_b.npz", "V": "val.csv"}
    files |= {"R": ".", "R/classes.csv": "classes.csv", "V.md": "val.md", "O": "other.npz", "L": labels.name}
    for key, source in (("R/classes.csv", "V"), ("V.md", "V"), ("O", "A")):
        (two_models / files[key]).write_bytes((two_models / files[source]).read_bytes())
    before = (two_models / files[kept]).read_bytes()
    refused(*(two_models / files[word] if word in files else word for word in words.split()))
    assert (two_models / files[kept]).read_bytes() == before


def test_a_mistyped_class_does_not_take_all_memory(tmp_path, labels):
    far = tmp_path / "far.csv"
    far.write_text(labels.read_text().replace("sample2,2", "sample2,999999"))
    said = refused("--predictions", labels, "--labels", far, "--report", tmp_path / "report")
    assert "far.csv: a report has room for 5000 classes, not for 1000000" in said
    assert not (tmp_path / "report").exists()


def test_classes_that_do_not_match(tmp_path, two_models, labels):
    a = two_models / "test_a.npz"
    far = tmp_path / "far.csv"
    far.write_text(labels.read_text().replace("sample2,2", "sample2,7"))
    assert "class 7 occurs" in refused("--logits", a, "--labels", far)
    names = tmp_path / "names.csv"
    names.write_text("ClassId,EN\n0,hello\n1,bye\n")
    assert "names 2 classes" in refused("--logits", a, "--labels", labels, "--classes", names)
    assert "class 2 occurs" in refused("--predictions", labels, "--labels", labels, "--classes", names)


def test_the_same_classes_in_another_order(tmp_path, two_models, labels):
    """A number is another class in each file: one of the two would be scored, or named, wrongly."""
    a = two_models / "test_a.npz"
    rows = {"signer0_sample1": [0.0, 1.0, 0.0], "signer0_sample2": [1.0, 0.0, 0.0]}
    turned = write_logits(tmp_path / "turned.npz", rows, ["bye", "hello", "thanks"])
    names, words = tmp_path / "names.csv", tmp_path / "words.csv"
    names.write_text("ClassId,EN\n0,hello\n1,bye\n2,thanks\n")
    words.write_text(
        "id,label\nsigner0_sample1,hello\nsigner0_sample2,bye\nsigner1_sample1,thanks\nsigner1_sample2,thanks\n"
    )
    assert "names.csv: has the classes of" in refused(turned, "--labels", words, "--classes", names)
    assert "turned.npz: has the classes of" in refused(a, turned, "--each", "--labels", labels)
    assert "turned.npz: has the classes of" in refused(a, "--against", turned, "--labels", labels)
    # Labels that are names are numbered for each file.
    assert "accuracy 1.0000 ± 0.0000 (2 runs)" in run(a, turned, "--each", "--labels", words).stdout
