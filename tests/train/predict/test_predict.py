"""Predictions of shards: what is written, and what is refused before the work. Videos: `test_predict_video.py`."""

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.data.shard_making import Plan, make_sample, rewrite_index
from helpers.models.tiny_model import tiny_checkpoint
from helpers.processes.predict_runs import predict, rows

from shards.format.dataset import Dataset, read_dataset
from shards.format.index import read_index, scan_shard, write_index
from shards.format.recipe import DEFAULT
from shards.format.sample import SampleInfo, array_from_npy, npy_bytes
from shards.format.tar import pack
from shards.format.writer import Extent, write_shard
from train.fit.checkpoint import read_checkpoint
from train.predict.prediction_files import Prediction, write_classes, write_likeliest, write_logits

CLASSES = ["class 0", "class 1", "class 2"]
IDS = [f"val_sample{number}" for number in range(5)]


def test_a_template_gives_ids_and_order(small, tmp_path):
    tiny_checkpoint(tmp_path / "best.pt", CLASSES)
    template = tmp_path / "template.csv"
    template.write_text("val_sample3,0\nval_sample0,0\nval_sample4,0\n")
    common = ("--checkpoint", tmp_path / "best.pt", "--shards", f"{small}/val-*.tar")
    assert predict(*common, "--out", tmp_path / "all.csv").exit_code == 0
    everything = dict(rows(tmp_path / "all.csv"))
    assert list(everything) == IDS
    result = predict(*common, "--out", tmp_path / "some.csv", "--template", template)
    assert result.stdout == f"{tmp_path}/some.csv: 3 predictions\n"
    wanted = ["val_sample3", "val_sample0", "val_sample4"]
    assert rows(tmp_path / "some.csv") == [[sample_id, everything[sample_id]] for sample_id in wanted]
    assert predict(*common, "--out", tmp_path / "top.csv", "--template", template, "--top-k", 1).exit_code == 0
    assert [row[0] for row in rows(tmp_path / "top.csv")[1:]] == wanted


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("val_sample3\nother\nanother\n", "template.csv: 2 of its ids are no samples here, e.g. other; take them out"),
        ("val_sample3\nval_sample3\n", "template.csv: an id occurs twice, e.g. val_sample3"),
        (None, "template.csv: cannot be read"),
    ],
)
def test_a_wrong_template_is_refused_before_the_work(small, tmp_path, content, reason):
    """Even before the checkpoint is read: there is none."""
    if content is not None:
        (tmp_path / "template.csv").write_text(content)
    common = ("--checkpoint", tmp_path / "absent.pt", "--shards", f"{small}/val-*.tar", "--out", tmp_path / "p.csv")
    result = predict(*common, "--template", tmp_path / "template.csv")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert reason in result.stderr


@pytest.mark.parametrize("option", ["--out", "--save-logits"])
def test_a_folder_is_no_file_to_write(small, tmp_path, option):
    common = ("--checkpoint", tmp_path / "absent.pt", "--shards", f"{small}/val-*.tar", "--out", tmp_path / "p.csv")
    result = predict(*common, option, tmp_path)
    assert (result.exit_code, result.stderr) == (2, f"Error: {tmp_path}: is a folder; give a file\n")


@pytest.mark.parametrize(
    ("classes", "fits"),
    [(CLASSES, True), (["0", "1", "2"], True), ([], True), (["0", "1", "2", "3"], False), (["1", "2", "3"], False)],
)
def test_shards_whose_classes_have_no_names(small, tmp_path, classes, fits):
    """Clips without labels, or labels without names, can be predicted by a model whose classes have names."""
    tiny_checkpoint(tmp_path / "best.pt", CLASSES)
    folder = shutil.copytree(small, tmp_path / "shards")
    replace(read_dataset(folder), classes=classes).write(folder)
    if not classes:
        rewrite_index(folder, "val", [row | {"label": None} for row in read_index(folder / "val.parquet").to_pylist()])
    common = ("--checkpoint", tmp_path / "best.pt", "--out")
    result = predict(*common, tmp_path / "p.csv", "--shards", f"{folder}/val-*.tar")
    assert result.exit_code == (0 if fits else 2), result.output
    if fits:
        assert predict(*common, tmp_path / "named.csv", "--shards", f"{small}/val-*.tar").exit_code == 0
        assert rows(tmp_path / "p.csv") == rows(tmp_path / "named.csv")
    else:
        assert "give what was made with the same" in result.stderr


def test_shards_are_opened_once(small, tmp_path, monkeypatch):
    opened = []

    def counting(folder):
        opened.append(folder)
        return read_dataset(folder)

    monkeypatch.setattr("shards.format.shardset.read_dataset", counting)
    tiny_checkpoint(tmp_path / "best.pt", CLASSES)
    common = ("--checkpoint", tmp_path / "best.pt", "--shards", f"{small}/val-*.tar", "--out", tmp_path / "p.csv")
    for more in ((), ("--sliding", 3)):
        assert predict(*common, *more).exit_code == 0
    assert opened == [small, small]


def written(folder: Path, samples: list[tuple[SampleInfo, dict[str, bytes]]]) -> Path:
    """A shard set of these samples."""
    folder.mkdir()
    extents = []
    for info, members in samples:
        packed = pack(info.id, members)
        (folder / info.id).write_bytes(packed.data)
        extents.append(Extent(folder / info.id, 0, packed.extent))
    shard = write_shard(folder / "val-000.tar", extents)
    write_index(folder / "val.parquet", scan_shard(folder / "val-000.tar"))
    Dataset(DEFAULT, {}, CLASSES, {"val": [shard]}).write(folder)
    return folder


def with_flow_of(value: float, folder: Path, ids: list[str]) -> Path:
    """A shard set of five samples, in some of which all pose flow is one number."""
    samples = [make_sample(Plan({"val": 5}), "val", number) for number in range(5)]
    for info, members in samples:
        if info.id in ids:
            flow = np.full_like(array_from_npy(members["flow.npy"]), value)
            members["flow.npy"] = npy_bytes(flow)
    return written(folder, samples)


@pytest.mark.parametrize("value", [np.nan, 1e38])
@pytest.mark.parametrize("more", [(), ("--mirror",), ("--windows", 2), ("--sliding", 3)])
def test_pose_flow_that_cannot_be_is_refused(tmp_path, more, value):
    tiny_checkpoint(tmp_path / "best.pt", CLASSES)
    shards = with_flow_of(value, tmp_path / "shards", ["val_sample3"])
    common = ("--checkpoint", tmp_path / "best.pt", "--shards", shards, "--out", tmp_path / "p.csv")
    result = predict(*common, *more)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "val_sample3 is damaged (its pose flow has " in result.stderr
    assert not (tmp_path / "p.csv").exists()


def test_many_samples_without_finite_logits_are_counted(small, tmp_path):
    checkpoint = tiny_checkpoint(tmp_path / "best.pt", CLASSES)
    # Finite, as `read_checkpoint` wants them, but their products are not.
    weights = {
        name: torch.full_like(value, 1e30) if value.is_floating_point() else value
        for name, value in checkpoint.model.items()
    }
    replace(checkpoint, model=weights).write(tmp_path / "nan.pt")
    common = ("--checkpoint", tmp_path / "nan.pt", "--shards", small, "--out", tmp_path / "p.csv")
    result = predict(*common)
    assert result.exit_code == 2
    assert "and 13 more" in result.stderr
    assert "nan.pt" in result.stderr


def test_shards_are_not_written_over(small, tmp_path):
    for name in ("val-000.tar", "dataset.json", "val.parquet"):
        path = small / name
        before = path.read_bytes()
        result = predict("--checkpoint", tmp_path / "absent.pt", "--shards", f"{small}/val-*.tar", "--out", path)
        assert result.exit_code == 2
        assert f"{path}: has another part in this command already" in result.stderr
        assert path.read_bytes() == before


@pytest.mark.parametrize("option", ["--fold-file", "--weights"])
def test_folds_and_weights_are_not_written_over(small, tmp_path, option):
    files = {"--fold-file": tmp_path / "folds.csv", "--weights": tmp_path / "weights.json"}
    files["--fold-file"].write_text("".join(f"{sample_id},fold0\n" for sample_id in IDS))
    files["--weights"].write_text('{"weights": [1, 1]}')
    before = files[option].read_bytes()
    checkpoints = ("--checkpoint", tmp_path / "a.pt", tmp_path / "b.pt", "--shards", f"{small}/val-*.tar")
    more = [word for pair in files.items() for word in pair]
    result = predict(*checkpoints, *more, "--test-fold", "fold0", "--out", files[option])
    assert result.exit_code == 2
    assert f"{files[option]}: has another part in this command already" in result.stderr
    assert files[option].read_bytes() == before


@pytest.mark.parametrize(
    "write",
    [
        write_classes,
        lambda path, prediction: write_likeliest(path, prediction, 3),
        write_logits,
    ],
    ids=["classes", "likeliest", "logits"],
)
def test_a_full_disk_leaves_nothing_and_names_the_file(tmp_path, full_disk, write):
    prediction = Prediction([f"sample{number}" for number in range(200)], np.zeros((200, 3), np.float32), CLASSES)
    path = tmp_path / "out"
    with full_disk(1000), pytest.raises(OSError) as error:
        write(path, prediction)
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(path))
    assert list(tmp_path.iterdir()) == []
    write(path, prediction)
    assert path.stat().st_size > 1000


def test_guessed_hands_are_shown_as_the_checkpoint_knows_them(made, tmp_path):
    """A checkpoint of before they were kept apart, and shards of before, which do not say which they are."""
    before = replace(DEFAULT, guessed_hands_shown=True)
    tiny_checkpoint(tmp_path / "old.pt", CLASSES, before)
    tiny_checkpoint(tmp_path / "new.pt", CLASSES)
    assert read_checkpoint(tmp_path / "old.pt").recipe == before
    after = with_guesses(tmp_path / "after")
    found = {}
    for model in ("old.pt", "new.pt"):
        for shards in (made(splits={"val": 4}, recipe=before), after):
            path = tmp_path / f"{model}.npz"
            common = ("--checkpoint", tmp_path / model, "--out", tmp_path / "p.csv", "--save-logits", path)
            result = predict(*common, "--shards", shards)
            assert result.exit_code == 0, result.output
            warned = "did not keep which hands were guessed" in result.stderr
            assert warned == (model == "new.pt" and shards != after)
            with np.load(path) as file:
                found[model, shards == after] = file["logits"]
    assert np.array_equal(found["old.pt", True], found["old.pt", False])
    assert np.array_equal(found["new.pt", False], found["old.pt", False])
    assert (np.abs(found["new.pt", True] - found["old.pt", True]).max(axis=1) > 0).all()


def with_guesses(folder: Path) -> Path:
    """The samples of `made(splits={"val": 4})` with all frames but one of each hand being guesses."""
    samples = []
    for number in range(4):
        info, members = make_sample(Plan({"val": 4}), "val", number)
        hands = {}
        for name, track in info.hands.items():
            found = int(np.flatnonzero(~track.missing)[-1])
            hands[name] = replace(track, guessed=~track.missing & (np.arange(info.frames) != found))
        info = replace(info, hands=hands)
        samples.append((info, members | {"json": info.to_json()}))
    return written(folder, samples)
