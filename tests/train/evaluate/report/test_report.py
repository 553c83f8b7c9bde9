import base64
import csv
import io
import json
import re
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.chromium import measure, recording_proxy, run_chromium
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from shards.format.shardset import open_shards
from train.evaluate.cli import main
from train.evaluate.logits import ModelRecord
from train.evaluate.options import FIGURE_FILES
from train.evaluate.report.confusion import cell_size
from train.evaluate.report.figures import MOST_NAMED

NASTY = ["<script>alert(1)</script>", "</script><img src=http://evil.test/x.png onerror=alert(1)>", "a\"b'c & <b>d</b>"]


def evaluate(*arguments: object) -> None:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def published(autsl_labels, tmp_path_factory):
    """The report on the reference's RGB predictions for the test signers."""
    folder = tmp_path_factory.mktemp("report")
    arguments = ["--predictions", autsl_labels / "predictions" / "RGB_TEST_VTN_HCPF.csv"]
    arguments += ["--labels", autsl_labels / "test_labels.csv"]
    evaluate(*arguments, "--classes", autsl_labels / "SignList_ClassId_TR_EN.csv", "--report", folder)
    return folder


def nasty_report(shards, folder, classes: int):
    """A report with logits, pictures, and class names that are HTML; half of the answers are wrong."""
    found = open_shards(str(shards))
    truth = dict(zip(found.ids.to_pylist(), found.labels.tolist(), strict=True))
    labels = folder / "labels.csv"
    labels.write_text("".join(f"{key},{label}\n" for key, label in truth.items()) + "test_sample99,1\n")
    logits = np.random.default_rng(0).normal(0, 0.1, (len(truth), classes))
    logits[np.arange(len(truth)), [(label + n % 2) % classes for n, label in enumerate(truth.values())]] += 2
    names = np.array([NASTY[number % 3] for number in range(classes)])
    np.savez(folder / "l.npz", ids=np.array(list(truth)), logits=logits, classes=names)
    report = folder / "report"
    evaluate("--logits", folder / "l.npz", "--labels", labels, "--shards", shards, "--report", report)
    return report


@pytest.fixture(scope="module")
def nasty(made, tmp_path_factory):
    """Few classes: their names are in the matrix. 8 samples."""
    return nasty_report(made(splits={"test": 8}), tmp_path_factory.mktemp("nasty"), 3)


def test_worst_samples_without_video_are_skeletons(made, tmp_path):
    report = nasty_report(made(splits={"test": 8}, keypoints_only=2), tmp_path, 3)
    page = (report / "index.html").read_text()
    worst = re.findall(r"<figure>(?:(?!</figure>).)*taken for.*?</figure>", page, re.DOTALL)
    kinds = [("<img" in figure, '<svg class="skeleton"' in figure) for figure in worst]
    assert set(kinds) == {(True, False), (False, True)} or len(kinds) == 4


@pytest.fixture(scope="module")
def nasty_lens(made, tmp_path_factory):
    """So many classes that the matrix is a picture with a lens."""
    plan = {"splits": {"test": MOST_NAMED + 4}, "classes": MOST_NAMED + 2, "frames": 6}
    return nasty_report(made(**plan), tmp_path_factory.mktemp("nasty_lens"), MOST_NAMED + 2)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Eight classes, every share of right answers in the matrix, logits of two fused models, and another to compare."""
    folder = tmp_path_factory.mktemp("compared")
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(8), 40)
    ids = [f"signer{n % 5}_sample{n}" for n in range(len(truth))]
    (folder / "labels.csv").write_text("".join(f"{key},{label}\n" for key, label in zip(ids, truth, strict=True)))
    names = np.array(["hello", "thank you very much indeed, my friend", *(f"sign {n}" for n in range(2, 8))])
    for model in "abc":
        # Class c is right in about c of 8.
        wrong = (truth + 1 + random.integers(0, 2, len(truth))) % 8
        answer = np.where(random.random(len(truth)) < truth / 7, truth, wrong)
        logits = random.normal(0, 0.3, (len(truth), 8)) + 3 * np.eye(8)[answer]
        record = ModelRecord(f"runs/{model}/best.pt", 1.0, {"model": "VTN_HCPF", "seed": model, NASTY[0]: NASTY[1]})
        models = np.array([record.to_json()])
        np.savez(folder / f"{model}.npz", ids=np.array(ids), logits=logits, classes=names, models=models)
    files = (folder / "a.npz", folder / "b.npz", "--weights", "0.25,0.75", "--labels", folder / "labels.csv")
    evaluate("--logits", *files, "--against", folder / "c.npz", "--report", folder / "report")
    return folder / "report"


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_published_figures(published):
    report = json.loads((published / "report.json").read_text())
    assert report["samples"] == 3742
    assert round(report["scores"]["top1"]["value"], 4) == 0.9292
    for over in ("over_signers", "over_samples"):
        assert report["scores"]["top1"][over]["low"] < 0.9292 < report["scores"]["top1"][over]["high"]
    # Counted from the CSV files with grep and awk.
    spread = {signer["name"]: (signer["hits"], signer["samples"]) for signer in report["signers"]}
    assert spread == {
        "39": (633, 665), "6": (645, 678), "27": (594, 639), "34": (609, 657), "30": (602, 662), "14": (394, 441)
    }  # fmt: skip
    assert report["pairs"][0] == {"truth": 6, "predicted": 79, "count": 8}
    assert sum(pair["count"] for pair in report["pairs"]) == 3742 - 3477
    assert report["calibration"] is None


def test_tables_agree_with_the_json(published):
    report = json.loads((published / "report.json").read_text())
    samples = rows(published / "samples.csv")
    assert len(samples) == 3742
    assert sum(row["class"] == row["predicted"] for row in samples) == 3477
    assert {row["signer"]: int(row["hits"]) for row in rows(published / "signers.csv")} == {
        signer["name"]: signer["hits"] for signer in report["signers"]
    }
    classes = rows(published / "classes.csv")
    assert [row["name"] for row in classes] == report["class_names"]
    assert sum(int(row["hits"]) for row in classes) == 3477
    first = rows(published / "confusions.csv")[0]
    assert (first["name"], first["predicted_name"], first["samples"]) == ("heavy", "lightweight", "8")


def test_the_same_input_gives_the_same_report(published, autsl_labels, tmp_path):
    arguments = ["--predictions", autsl_labels / "predictions" / "RGB_TEST_VTN_HCPF.csv"]
    arguments += ["--labels", autsl_labels / "test_labels.csv"]
    evaluate(*arguments, "--classes", autsl_labels / "SignList_ClassId_TR_EN.csv", "--report", tmp_path)
    for path in published.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_the_page_in_a_browser(published, tmp_path):
    address = (published / "index.html").as_uri()
    page = run_chromium(tmp_path / "profile", address, "--dump-dom")
    assert "92.92&nbsp;%" in page or "92.92 %" in page
    assert "Most confused pairs" in page
    assert "lightweight" in page
    # The script ran, and starts at the most confused pair; an address chooses another cell.
    assert "heavy (6) taken for lightweight (79): 8 of 17 samples" in page
    pinned = run_chromium(tmp_path / "profile", f"{address}#cell=144,43", "--dump-dom")
    assert "school (144) taken for soup (43): 6 of 17 samples" in pinned
    # Readable with 226 classes, and light: a picture, not 51,076 elements.
    assert page.count("<") < 10_000
    assert len(page) < 500_000


def test_the_matrix_is_seen_in_a_browser(published, tmp_path):
    picture = tmp_path / "page.png"
    run_chromium(tmp_path / "profile", (published / "index.html").as_uri(), f"--screenshot={picture}")
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    # 226 right classes of 3×3 pixels, most of them dark blue; 188 wrong pairs, orange to red.
    assert ((blue > 150) & (red < 90) & (green < 130)).sum() > 226 * 9 * 0.7
    assert ((red > 180) & (blue < 160) & (green < 200) & (green > 20)).sum() > 188 * 9 * 0.5


def pictures(body: str) -> list[str]:
    """How the sources of pictures begin."""
    return re.findall(r"<img[^>]* src=\"([^\"]{0,30})", body)


def test_names_are_escaped(nasty, tmp_path):
    page = run_chromium(tmp_path / "profile", (nasty / "index.html").as_uri(), "--dump-dom")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "evil.test/x.png onerror" in page
    # Pictures are all our own: the hands of four wrong samples.
    columns = [row.count("<th>") - 1 for row in re.findall(r"<tr><th>frame</th>.*?</tr>", page)]
    assert len(columns) == 4
    assert len(pictures(page)) == 2 * sum(columns)
    assert all(source.startswith("data:image/jpeg") for source in pictures(page))


def test_names_are_escaped_in_the_lens(nasty_lens, tmp_path):
    page = run_chromium(tmp_path / "profile", (nasty_lens / "index.html").as_uri(), "--dump-dom")
    body = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert "<script" not in body
    assert page.count("<script") == 2
    assert [source for source in pictures(body) if source.startswith("data:image/png")] == pictures(body)[:1]
    assert all(source.startswith("data:image/") for source in pictures(body))
    # The script's own output holds names, too.
    assert re.search(r'<p id="caption">[^<]*taken for[^<]*samples</p>', page)


@pytest.mark.parametrize("name", ["nasty", "nasty_lens"])
def test_nothing_is_loaded(name, request, tmp_path):
    with recording_proxy((request.getfixturevalue(name) / "index.html").read_bytes()) as (proxy, asked):
        page = run_chromium(
            tmp_path / "profile", "http://report.test/index.html", f"--proxy-server={proxy}", "--dump-dom"
        )
    assert "taken for" in page
    assert [address for address in asked if not address.endswith("/favicon.ico")] == ["http://report.test/index.html"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [420, 1200])
@pytest.mark.parametrize("name", ["nasty", "nasty_lens", "compared", "published"])
def test_a_page_fits_and_can_be_read(name, width, dark, request, tmp_path):
    """It is no wider than the screen, and texts have the contrast with their ground that WCAG 2 wants (AA)."""
    found = measure(tmp_path / "profile", request.getfixturevalue(name) / "index.html", width, dark)
    assert found["width"] == width
    assert found["overflow"] <= 0
    assert found["texts"] > 40
    assert found["worst"]["contrast"] >= 4.5, found["worst"]
    assert (found["ground"] < 0.05) is dark


def test_what_does_not_fit_and_cannot_be_read_is_noticed(tmp_path):
    page = tmp_path / "page.html"
    policy = '<meta http-equiv="Content-Security-Policy" content="">'
    page.write_text(f'{policy}<body><p style="width: 600px; color: #777">gray</p><p>black</p>')
    found = measure(tmp_path / "profile", page, 420, False)
    assert found["overflow"] > 150
    assert found["worst"]["text"] == "gray"
    assert found["worst"]["contrast"] == pytest.approx(4.48, abs=0.01)  # as the WCAG's examples have it


def test_loading_would_be_noticed(tmp_path):
    """That the test above can fail."""
    document = b"<img src='http://evil.test/x.png'><link rel=stylesheet href='https://fonts.test/a.css'>"
    with recording_proxy(document) as (proxy, asked):
        run_chromium(tmp_path / "profile", "http://report.test/index.html", f"--proxy-server={proxy}", "--dump-dom")
    assert {"http://evil.test/x.png", "fonts.test:443"} <= set(asked)


def test_worst_samples_and_signers_from_the_shards(nasty):
    report = json.loads((nasty / "report.json").read_text())
    assert report["labels_without_prediction"] == 1
    assert len(report["worst"]) == 4
    losses = [worst["loss"] for worst in report["worst"]]
    assert losses == sorted(losses, reverse=True)
    for worst in report["worst"]:
        assert worst["loss"] == pytest.approx(-np.log(worst["right"]))
        assert worst["confidence"] > worst["right"]
    # The ids do not say it (test_sample3), the shards' index does.
    assert {signer["name"] for signer in report["signers"]} == {"signer0", "signer1"}
    assert sum(report["calibration"]["right"]) == 4


def test_long_work_shows_rate_and_time_left(made, tmp_path, monkeypatch):
    shards, labels, answers = made(splits={"test": 8}), tmp_path / "labels.csv", tmp_path / "answers.csv"
    found = dict.fromkeys(open_shards(str(shards)).ids.to_pylist())
    labels.write_text("".join(f"{key},0\n" for key in found))
    answers.write_text("".join(f"{key},1\n" for key in found))
    monkeypatch.setattr("shards.progress._LOG_SECONDS", 0)
    arguments = ("--predictions", answers, "--labels", labels, "--shards", shards, "--report", tmp_path / "report")
    said = CliRunner().invoke(main, list(map(str, arguments))).stderr
    # Over samples and over the two signers; the last line of each would be that all is done.
    assert len(re.findall(r"^resampling: \d+/2000, [\d.]+/s, \d+ s left$", said, re.MULTILINE)) == 2 * 19
    assert len(re.findall(r"^pictures: \d/8, [\d.]+/s, \d+ s left$", said, re.MULTILINE)) == 7


@pytest.mark.parametrize("used", [2, MOST_NAMED + 1])
def test_classes_without_samples_and_answers_are_not_in_the_matrix(tmp_path, used):
    """`used` of 50 are."""
    ids = [f"signer0_sample{number}" for number in range(used)]
    (tmp_path / "labels.csv").write_text("".join(f"{name},{2 * number}\n" for number, name in enumerate(ids)))
    (tmp_path / "answers.csv").write_text("".join(f"{name},0\n" for name in ids))
    (tmp_path / "names.csv").write_text("ClassId,EN\n" + "".join(f"{number},sign {number}\n" for number in range(50)))
    files = ["--predictions", tmp_path / "answers.csv", "--labels", tmp_path / "labels.csv"]
    evaluate(*files, "--classes", tmp_path / "names.csv", "--report", tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    if used <= MOST_NAMED:
        assert page.count('id="cell=') == used * used
        assert 'id="cell=2,0"' in page
        assert 'href="#cell=2,0"' in page
        return
    (image,) = re.findall(r'<img [^>]*id="matrix"[^>]*>', page)
    png = base64.b64decode(re.search(r'src="data:image/png;base64,([^"]+)"', image)[1])
    drawn = Image.open(io.BytesIO(png)).size
    assert drawn == (used * cell_size(used),) * 2
    assert tuple(int(re.search(rf'{side}="(\d+)"', image)[1]) for side in ("width", "height")) == drawn


def shown(folder) -> str:
    """The text of a page, without its elements, on one line."""
    page = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", (folder / "index.html").read_text(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_page_and_json_agree(compared):
    report, page = json.loads((compared / "report.json").read_text()), shown(compared)
    titles = {"top1": "Top-1 accuracy", "class_mean": "Per-class mean (macro recall)", "top5": "Top-5 accuracy"}
    assert report["scores"].keys() == titles.keys()
    for name, title in titles.items():
        score = report["scores"][name]
        intervals = [score[over] for over in ("over_signers", "over_samples")]
        ends = [f"{100 * found['low']:.1f} – {100 * found['high']:.1f} %" for found in intervals]
        # A dot has its tip, and after it the interval.
        assert re.search(rf"{re.escape(title)} {100 * score['value']:.2f} % .*?{ends[0]} .*?{ends[1]}", page)
    macro, against = report["macro"], report["against"]
    assert (
        "precision {:.2f} % recall {:.2f} % F1 {:.2f} %".format(
            *(100 * macro[n] for n in ("precision", "recall", "f1"))
        )
        in page
    )
    assert macro["recall"] == report["scores"]["class_mean"]["value"]
    assert f"a difference of {100 * against['difference']:+.2f} points".replace("-", "−") in page
    assert f"p = {against['p_value']:.3g}" in page
    assert f"is {100 * report['calibration']['ece']:.1f} %." in page
    for signer in report["signers"]:
        assert f"{100 * signer['hits'] / signer['samples']:.1f} %, {signer['hits']} of {signer['samples']}" in page
    for group in report["classes"]:
        shares = (group["hits"] / group["samples"], group["precision"], group["f1"])
        accuracy, precision, f1 = (f"{100 * share:.0f} %" for share in shares)
        row = rf"{accuracy} {group['hits']} of {group['samples']} \d+ – \d+ % {precision} {f1} "
        assert re.search(rf"{re.escape(group['name'])} \d {row}", page), row


def test_precision_and_f1_of_classes_are_those_of_scikit_learn(compared):
    samples = rows(compared / "samples.csv")
    truth, predicted = ([int(row[name]) for row in samples] for name in ("class", "predicted"))
    expected = precision_recall_fscore_support(truth, predicted, labels=range(8), zero_division=0)
    found = rows(compared / "classes.csv")
    for name, values in zip(("precision", "accuracy", "f1", "samples"), expected, strict=True):
        assert [float(row[name]) for row in found] == pytest.approx(list(values))
    matrix = confusion_matrix(truth, predicted, labels=range(8))
    cells = {
        (int(row["class"]), int(row["predicted"])): int(row["samples"]) for row in rows(compared / "confusions.csv")
    }
    assert cells == {(i, j): matrix[i, j] for i, j in np.argwhere(matrix - np.diag(np.diag(matrix))).tolist()}


def test_the_settings_of_the_models_are_in_the_report(compared, published):
    report, page = json.loads((compared / "report.json").read_text()), (compared / "index.html").read_text()
    assert [(model["checkpoint"], model["weight"]) for model in report["models"]] == [
        ("runs/a/best.pt", 0.25),
        ("runs/b/best.pt", 0.75),
    ]
    assert '<tr class="differs"><th>seed</th><td>a</td><td>b</td></tr>' in page
    assert "<tr><th>model</th><td>VTN_HCPF</td><td>VTN_HCPF</td></tr>" in page
    assert "does not name the model" in (published / "index.html").read_text()


@pytest.mark.parametrize("name", ["nasty", "nasty_lens", "compared", "published"])
def test_figures_are_svg_files_in_which_names_are_text(name, request):
    folder = request.getfixturevalue(name)
    without_logits = {"calibration.svg", "confidence.svg"} if name == "published" else set()
    assert {path.name for path in folder.glob("*.svg")} == {*FIGURE_FILES} - without_logits
    for path in folder.glob("*.svg"):
        elements = {element.tag.partition("}")[2] for element in ElementTree.parse(path).iter()}  # noqa: S314  our own
        assert elements <= {"svg", "title", "style", "text", "line", "rect", "circle", "polyline"}


def test_figures_of_an_earlier_report_do_not_stay(compared, tmp_path):
    for name in ("labels.csv", "a.npz"):
        (tmp_path / name).write_bytes((compared.parent / name).read_bytes())
    report = ("--labels", tmp_path / "labels.csv", "--report", tmp_path / "report")
    evaluate(tmp_path / "a.npz", *report)
    assert (tmp_path / "report" / "calibration.svg").exists()
    evaluate(tmp_path / "labels.csv", *report)
    assert not (tmp_path / "report" / "calibration.svg").exists()


@pytest.mark.parametrize(
    ("labels", "answers", "says"),
    [
        ("a,0\n", "a,0\n", "1 sample, 1 class "),
        ("a,0\nb,0\n", "a,0\nb,0\n", "2 samples, 1 class "),
        ("a,1\nb,1\n", "a,0\nb,0\n", "1 pair of classes is confused at least once."),
        ("signer1_sample1,0\n", "signer1_sample1,1\n", "1 sample, 1 class, 1 signer "),
    ],
)
@pytest.mark.parametrize("with_logits", [False, True])
def test_the_smallest_reports(labels, answers, says, with_logits, tmp_path):
    (tmp_path / "labels.csv").write_text(labels)
    (tmp_path / "p.csv").write_text(answers)
    if with_logits:
        found = dict(line.split(",") for line in answers.split())
        count = 1 + max(int(line.split(",")[1]) for line in (labels + answers).split())
        logits = np.eye(count)[[int(answer) for answer in found.values()]]
        np.savez(tmp_path / "p.npz", ids=np.array(list(found)), logits=logits, classes=np.array(["x", "y"][:count]))
    file = tmp_path / ("p.npz" if with_logits else "p.csv")
    command = [str(file), "--labels", str(tmp_path / "labels.csv"), "--report", str(tmp_path / "report")]
    result = CliRunner().invoke(main, command)
    assert (result.exit_code, result.stderr) == (0, "")
    assert says in shown(tmp_path / "report")


def test_a_folder_that_cannot_be_made(tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("signer0_sample1,0\nsigner0_sample2,1\n")
    result = CliRunner().invoke(
        main, ["--predictions", str(labels), "--labels", str(labels), "--report", str(labels / "report")]
    )
    assert result.exit_code == 2
    assert str(labels) in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_label_file_whose_name_is_not_utf_8(tmp_path):
    labels = tmp_path / "l\udce9.csv"
    labels.write_text("signer0_sample1,0\nsigner0_sample2,1\n")
    evaluate("--predictions", labels, "--labels", labels, "--report", tmp_path / "report")
    assert json.loads((tmp_path / "report" / "report.json").read_text())["labels"] == f"{tmp_path}/l?.csv"


def test_all_right_with_one_signer(tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("signer0_sample1,0\nsigner0_sample2,1\n")
    evaluate("--predictions", labels, "--labels", labels, "--report", tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["scores"]["top1"] == {"value": 1, "over_signers": None, "over_samples": {"low": 1, "high": 1}}
    assert "None: every answer is right." in (tmp_path / "report" / "index.html").read_text()
