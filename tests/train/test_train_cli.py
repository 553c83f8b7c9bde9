"""The `train` command in this process: what it writes, and what it refuses in one line."""

import csv
import errno
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers.data.shard_making import Plan, make_shards, rewrite_index
from helpers.processes.train_runs import tiny_arguments
from helpers.processes.train_runs import tiny_options as options

import train.fit.run_log
import train.fit.session
from shards.format.dataset import read_dataset
from shards.format.index import read_index
from shards.format.recipe import DEFAULT, REFERENCE
from train.cli import main
from train.fit.checkpoint import read_checkpoint
from train.fit.run_log import COLUMNS
from train.models.vtn import VTN

QUICK = options("--max-epochs 1 --batch-size 4 --accumulate-grad-batches 2 --num-workers 0 --freeze-layers 8")


def call(*arguments):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*arguments) -> str:
    """The one line that says why."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    line = result.output.strip()
    assert line.startswith("Error: ")
    assert "\n" not in line
    return line.removeprefix("Error: ")


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """A finished run of two epochs and what it said. Read only."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    result = call(*tiny_arguments(small, folder, *QUICK, "--max-epochs", 2))
    assert result.exit_code == 0, result.output
    yield folder, result.output
    shutil.rmtree(folder)


@pytest.fixture
def copy(trained, tmp_path):
    yield Path(shutil.copytree(trained[0], tmp_path / "run"))
    shutil.rmtree(tmp_path / "run")


def test_the_run_folder(trained, small):
    folder, _ = trained
    assert {path.name for path in folder.iterdir() if "tfevents" not in path.name} == {
        "best.pt",
        "config.json",
        "last.pt",
        "metrics.csv",
        "previous.pt",
        "train.lock",
    }
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(
        0 <= float(row[name]) <= 1 for row in rows for name in ("val_top1", "val_top5", "val_class_mean", "waiting")
    )
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["shards"] == [f"{small}/train-*.tar"]
    assert config["settings"]["model"]["num_classes"] == 3
    assert config["settings"]["loader"]["recipe"] == DEFAULT.to_json()
    assert config["settings"]["optimiser"]["learning_rate"] == 1e-4
    assert config["versions"]["torch"] == torch.__version__.split("+")[0]
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    assert config["git"] is None or head.stdout.startswith(config["git"].removesuffix("-dirty"))


def test_tensorboard_shows_the_same_figures(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, _ = trained
    events = EventAccumulator(str(folder)).Reload()
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in ("train_loss", "val_class_mean", "learning_rate"):
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        assert shown == [(int(row["epoch"]), pytest.approx(float(row[name]), rel=1e-5)) for row in rows]


def test_the_lines_of_a_run(trained):
    epochs = [line for line in trained[1].splitlines() if line.startswith("epoch")]
    assert len(epochs) == 2
    form = r"epoch 1  loss \d\.\d{4}  accuracy \d\.\d{4}  \d+\.\d samples/s  waiting \d+\.\d%  memory \d+\.\d GiB"
    assert re.fullmatch(form, epochs[0])
    assert re.search(r"^validation  loss \S+  top1 \S+  top5 \S+  class_mean \S+  \(best\)$", trained[1], re.M)


def test_the_checkpoint_says_all_that_prediction_needs(trained):
    best = read_checkpoint(trained[0] / "best.pt")
    assert best.training == {}
    assert best.classes == ["class 0", "class 1", "class 2"]
    assert (best.image_size, best.window.length, best.window.stride) == (32, 4, 2)
    assert not best.build().training


@pytest.mark.parametrize(
    "more",
    [
        "--precision bf16",
        "--gradient-clip-val 0 --weight-decay 0.1 --label-smoothing 0.2 --lr-step-size 1",
        "--schedule cosine --warmup-epochs 1 --ema-decay 0.9 --dropout 0.5",
        "--freeze-layers 0 --num-workers 2",
        "--temporal_stride 3 --max_epochs 1",  # the reference's spelling
    ],
)
def test_options_train(small, tmp_path, more):
    result = call(*tiny_arguments(small, tmp_path / "run", *QUICK, *options(more)))
    assert result.exit_code == 0, result.output
    last = read_checkpoint(tmp_path / "run" / "last.pt")
    assert last.training["progress"]["epoch"] == 1
    assert all(value.isfinite().all() for value in last.model.values())
    shutil.rmtree(tmp_path / "run")


@pytest.mark.parametrize("recipe", [None, REFERENCE], ids=["default", "reference"])
def test_depth_trains_under_both_recipes(made, tmp_path, recipe):
    plan = {"splits": {"train": 4, "val": 2}, "depth": True, **({"recipe": recipe} if recipe else {})}
    more = ["--recipe", "reference"] if recipe else []
    result = call(*tiny_arguments(made(**plan), tmp_path / "run", *QUICK, "--model", "VTN_HCPF_D", *more))
    assert result.exit_code == 0, result.output
    shutil.rmtree(tmp_path / "run")


@pytest.mark.slow
def test_it_learns(made, tmp_path):
    """The class is the color of the crops."""
    shards = made(splits={"train": 24, "val": 12})
    more = options("--freeze-layers 0 --max-epochs 15 --learning-rate 1e-3 --accumulate-grad-batches 1 --patience 15")
    result = call(*tiny_arguments(shards, tmp_path / "run", *QUICK, *more))
    assert result.exit_code == 0, result.output
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    losses, hits = ([float(row[name]) for row in rows] for name in ("train_loss", "val_top1"))
    # Means: of 24 samples an epoch's loss varies by a tenth, and with the machine's arithmetic.
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:3])
    assert np.mean(hits[-5:]) > 0.8  # by chance: 0.33
    shutil.rmtree(tmp_path / "run")


def test_frozen_layers_stay_and_the_rest_moves(trained):
    last = read_checkpoint(trained[0] / "last.pt")
    torch.manual_seed(42)  # the run's
    start = VTN(last.model_settings, last.recipe).state_dict()
    stayed = {name for name, value in last.model.items() if torch.equal(value, start[name])}
    assert stayed == {name for name in start if ".resnet." in name}


def test_without_validation(small, tmp_path):
    result = call(*tiny_arguments(small, tmp_path / "run", *QUICK, val=False))
    assert result.exit_code == 0
    assert "note: without --val-shards there is no validation, no best.pt, no early stopping" in result.output
    assert not (tmp_path / "run" / "best.pt").exists()
    shutil.rmtree(tmp_path / "run")


def test_a_smaller_last_group_weighs_as_much_as_a_group(small, tmp_path):
    """13 samples in batches of 4 and groups of 3 batches: two steps."""
    result = call(*tiny_arguments(small, tmp_path / "run", *QUICK, "--accumulate-grad-batches", 3, val=False))
    assert result.exit_code == 0
    progress = read_checkpoint(tmp_path / "run" / "last.pt").training["progress"]
    assert progress["step"] == 2
    shutil.rmtree(tmp_path / "run")


def test_help_names_every_option_with_its_default():
    text = call("--help").output
    for option in ("--learning-rate FLOAT", "--schedule", "--model [VTN_HCPF|VTN_HCPF_D|POSE]", "--resume"):
        assert option in text
    assert "[default: 0.0001" in " ".join(text.split())
    assert "recipe that the shards were made with" in " ".join(text.split())


def test_help_needs_no_torch():
    code = "import sys, train.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


# --- what is refused ---


def test_an_existing_run_is_not_overwritten(trained, small):
    line = refused(*tiny_arguments(small, trained[0], *QUICK))
    assert line == f"{trained[0]}: holds a run already; give --resume to go on with it, or another --run-dir"


def test_nothing_to_resume(small, tmp_path):
    line = refused(*tiny_arguments(small, tmp_path / "run", *QUICK, "--resume"))
    assert line == f"{tmp_path}/run: no run to resume; leave --resume out, or give another --run-dir"
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_is_a_file(small, tmp_path):
    (tmp_path / "run").write_text("")
    assert "run: cannot be written to (File exists)" in refused(*tiny_arguments(small, tmp_path / "run", *QUICK))


@pytest.mark.parametrize("damage", ["bit", "directory", "truncated", "empty", "gone"])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_offered(small, copy, damage):
    last = copy / "last.pt"
    data = bytearray(last.read_bytes())
    last.unlink()  # previous.pt may be the same file
    if damage == "directory":
        data[data.rindex(b"PK\x01\x02") + 46] = 255  # in the name of a part, which is UTF-8
    else:
        data[len(data) // 2] ^= 1
    if damage != "gone":
        last.write_bytes({"bit": data, "directory": data, "truncated": data[: len(data) // 2], "empty": b""}[damage])
    arguments = tiny_arguments(small, copy, *QUICK, "--max-epochs", 2, "--resume")
    line = refused(*arguments)
    assert line.startswith(f"{last}: {'cannot be read' if damage == 'gone' else 'damaged'}")
    assert line.endswith(f"; `cp {copy}/previous.pt {last}` goes on from the one before it")
    shutil.copy(copy / "previous.pt", last)
    assert call(*arguments).exit_code == 0


def test_a_checkpoint_for_prediction_cannot_be_resumed(small, copy):
    shutil.copy(copy / "best.pt", copy / "last.pt")
    assert "is for prediction only" in refused(*tiny_arguments(small, copy, *QUICK, "--resume"))


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ("--seed 1", "seed 42, now 1"),
        ("--freeze-layers 2", "freeze_layers 8, now 2"),
        ("--ema-decay 0.9", "averaged model False, now True"),
        ("--num-layers 2", "num_layers 1, now 2"),
        ("--temporal-stride 1", "temporal_stride 2, now 1"),
        ("--image-size 64", "image_size 32, now 64"),
    ],
)
def test_a_run_goes_on_with_its_own_settings_only(trained, small, more, part):
    line = refused(*tiny_arguments(small, trained[0], *QUICK, *options(more), "--resume"))
    assert line == f"{trained[0]}/last.pt: was trained with {part}; resume with the same options"


def test_other_samples_cannot_be_resumed_on(trained, made):
    shards = made(splits={"train": 12, "val": 5})
    assert re.search(
        r"trained with samples 13 \(\w{12}\), now 12 \(\w{12}\)",
        refused(*tiny_arguments(shards, trained[0], *QUICK, "--resume")),
    )


def test_other_classes_cannot_be_resumed_on(trained, made):
    shards = made(splits={"train": 13, "val": 5}, classes=4)
    assert "its 3 classes are not the 4 of" in refused(*tiny_arguments(shards, trained[0], *QUICK, "--resume"))


def test_a_changed_pace_is_noted(small, copy):
    more = options("--max-epochs 3 --batch-size 2 --learning-rate 1e-5")
    result = call(*tiny_arguments(small, copy, *QUICK, *more, "--resume"))
    assert result.exit_code == 0, result.output
    assert "note: batch_size is 2, was 4: not exactly the run that it would have been" in result.output
    assert "note: learning_rate is 1e-05, was 0.0001" in result.output
    assert result.output.count("note:") == 2
    with (copy / "metrics.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("split", "what"), [("train", "digest of the labels"), ("val", "digest of the validation samples")]
)
def test_changed_labels_are_noted(small, copy, tmp_path, split, what):
    corrected = Path(shutil.copytree(small, tmp_path / "corrected"))
    rows = read_index(corrected / f"{split}.parquet").to_pylist()
    rewrite_index(corrected, split, [rows[0] | {"label": (rows[0]["label"] + 1) % 3}, *rows[1:]])
    result = call(*tiny_arguments(corrected, copy, *QUICK, "--max-epochs", 3, "--resume"))
    assert result.exit_code == 0, result.output
    assert re.findall("note: (.+) is ", result.output) == [what]


def test_a_run_that_is_done_says_so(small, copy):
    result = call(*tiny_arguments(small, copy, *QUICK, "--max-epochs", 2, "--resume"))
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "all 2 epochs are done; a larger --max-epochs goes on"


def test_check_and_resume_exclude_each_other(small, copy):
    assert "give one of them" in refused(*tiny_arguments(small, copy, *QUICK, "--check", "--resume"))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("progress", {"epoch": 1.5}),
        ("progress", {"position": -1}),
        ("progress", {"sums": [0.0, 0.0]}),
        ("progress", {"more": 1}),
        ("fixed", None),
        ("exact", [1]),
        ("averaged", torch.ones(2)),
        ("optimiser", {}),
        ("optimiser", {"param_groups": 5}),
        ("optimiser", {"state": {}, "param_groups": [{"params": [0]}]}),
        ("step", torch.ones(3)),
        ("exp_avg", torch.zeros(1)),
        ("betas", "ab"),
    ],
)
def test_odd_values_for_resuming_are_one_line(small, copy, part, value):
    content = torch.load(copy / "last.pt", weights_only=True)
    kept = content["training"]
    if part == "progress":
        kept["progress"] |= value
    elif part in ("step", "exp_avg"):
        kept["optimiser"]["state"][0][part] = value
    elif part == "betas":
        kept["optimiser"]["param_groups"][0][part] = value
    else:
        kept[part] = value
    torch.save(content, copy / "last.pt")
    line = refused(*tiny_arguments(small, copy, *QUICK, "--max-epochs", 3, "--resume"))
    assert line.startswith(f"{copy}/last.pt: what is for resuming is damaged (")


def test_files_keep_the_names_that_they_always_had(trained):
    """Whatever the options and our names become: old checkpoints are resumed, and old scripts read `config.json`."""
    kept = torch.load(trained[0] / "last.pt", weights_only=True)
    assert kept.keys() >= {
        "format", "model", "model_settings", "recipe", "window", "image_size", "classes", "training",
    }  # fmt: skip
    training = kept["training"]
    assert training.keys() >= {"progress", "optimiser", "weights", "averaged", "fixed", "exact"}
    assert training["exact"].keys() >= {
        "accumulate", "batch_size", "clip_norm", "compiled", "ema_decay", "label_smoothing", "learning_rate",
        "precision", "processes", "schedule", "step_size", "warmup_epochs", "weight_decay",
    }  # fmt: skip
    assert training["fixed"].keys() >= {
        "averaged model", "cnn", "dropout", "embed_size", "freeze_layers", "image_size", "name", "num_classes",
        "num_heads", "num_layers", "recipe", "samples", "seed", "sequence_length", "temporal_stride",
    }  # fmt: skip
    settings = json.loads((trained[0] / "config.json").read_text())["settings"]
    assert settings["step"]["accumulate"] == 2
    assert settings["loader"].keys() >= {
        "window", "recipe", "with_depth", "batch_size", "workers", "seed", "rank", "ranks",
    }  # fmt: skip
    assert settings["optimiser"]["step_size"] == 5


def test_a_column_added_to_the_metrics_stays_and_stops_nothing(small, copy):
    lines = (copy / "metrics.csv").read_text().splitlines()
    lines = [f"{line},{extra}" for line, extra in zip(lines, ("notes", "good", "bad"), strict=True)]
    (copy / "metrics.csv").write_text("\n".join(lines))
    result = call(*tiny_arguments(small, copy, *QUICK, "--max-epochs", 3, "--resume"))
    assert result.exit_code == 0, result.output
    with (copy / "metrics.csv").open(newline="") as file:
        assert [row["notes"] for row in csv.DictReader(file)] == ["good", "bad", ""]
    assert read_checkpoint(copy / "last.pt").training["progress"]["epoch"] == 3


def test_what_cannot_be_logged_is_a_warning(small, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "metrics.csv")

    monkeypatch.setattr(train.fit.run_log.csv.DictWriter, "writeheader", full)
    result = call(*tiny_arguments(small, tmp_path / "run", *QUICK))
    assert result.exit_code == 0, result.output
    (warning,) = [line for line in result.output.splitlines() if "warning: not logged" in line]
    assert "metrics.csv" in warning
    assert read_checkpoint(tmp_path / "run" / "last.pt").training["progress"]["epoch"] == 1
    shutil.rmtree(tmp_path / "run")


def test_a_changed_weight_decay_is_in_effect(small, copy):
    more = options("--max-epochs 3 --weight-decay 0.25")
    result = call(*tiny_arguments(small, copy, *QUICK, *more, "--resume"))
    assert result.exit_code == 0, result.output
    assert "note: weight_decay is 0.25, was 0.0" in result.output
    groups = read_checkpoint(copy / "last.pt").training["optimiser"]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.25]


def test_more_epochs_are_noted_where_they_change_the_learning_rate(small, tmp_path):
    run = tiny_arguments(small, tmp_path / "run", *QUICK, *options("--schedule cosine --max-epochs 1"))
    assert call(*run).exit_code == 0
    result = call(*run, "--max-epochs", 2, "--resume")
    assert result.exit_code == 0, result.output
    assert "note: max_epochs is 2, was 1: not exactly the run that it would have been" in result.output
    assert result.output.count("note:") == 1
    shutil.rmtree(tmp_path / "run")


def test_a_run_that_goes_on_elsewhere_is_left_alone(small, copy):
    hold = "import sys; from pathlib import Path; from shards.lock import file_lock\n"
    hold += "with file_lock(Path(sys.argv[1]), 'this run folder'): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, copy / "train.lock"]
    before = {path.name: path.stat().st_mtime_ns for path in copy.iterdir()}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        line = refused(*tiny_arguments(small, copy, *QUICK, "--resume"))
        other.kill()
    assert line.startswith(f"{copy}/train.lock: process {other.pid} on ")
    assert line.endswith(" works on this run folder; wait for its end, or stop it")
    del before["train.lock"]
    assert before == {path.name: path.stat().st_mtime_ns for path in copy.iterdir() if path.name != "train.lock"}


def test_validation_samples_are_not_trained_on(small, tmp_path):
    """A folder stands for all of its shards."""
    line = refused("--shards", small, "--val-shards", f"{small}/val-*.tar", "--run-dir", tmp_path / "run")
    assert line == (
        f"{small}/val-*.tar: 5 of its samples are in {small}, too, e.g. val_sample0; "
        "give --shards the shards of the training split only"
    )
    assert not (tmp_path / "run").exists()


def test_shards_that_do_not_go_together(small, made, tmp_path):
    reference = made(splits={"train": 4, "val": 2}, recipe=REFERENCE)
    four = made(splits={"train": 13, "val": 5}, classes=4)
    start = ["--shards", f"{small}/train-*.tar", "--run-dir", tmp_path / "run"]
    assert "made with the reference recipe" in refused(*start, "--val-shards", f"{reference}/val-*.tar")
    assert "its 4 classes are not the 3 of" in refused(*start, "--val-shards", f"{four}/val-*.tar")
    assert "no such shard" in refused(*start, "--val-shards", f"{small}/absent-*.tar")
    line = refused(*start, "--recipe", "reference")
    assert "made with the default recipe; leave --recipe reference out, or make shards with" in line
    line = refused(*start, "--model", "VTN_HCPF_D")
    assert "sample train_sample0 has no depth; use VTN_HCPF, or make shards with depth" in line
    assert not (tmp_path / "run").exists()


def test_samples_that_cannot_be_trained_on(made, tmp_path):
    run = ["--run-dir", tmp_path / "run"]
    assert "sample train_sample0 has no label" in refused("--shards", made(splits={"train": 2}, labelled=False), *run)
    folder = make_shards(tmp_path / "s", Plan({"train": 4}))
    replace(read_dataset(folder), classes=["class 0", "class 1"]).write(folder)
    line = refused("--shards", folder, *run)
    assert "has samples of class 2, but dataset.json names 2 classes" in line


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ("--device cuda:77", "torch sees"),
        ("--device tpu", "--device tpu: torch does not know it"),
        ("--device meta", "--device meta: not supported"),
        ("--weights absent.pth", "absent.pth: cannot be read"),
        ("--num-heads 3", "width 32 is no multiple of 3 heads"),
    ],
)
def test_options_that_cannot_be(small, tmp_path, more, part):
    assert part in refused(*tiny_arguments(small, tmp_path / "run", *QUICK, *options(more)))


def test_a_loss_that_is_not_finite_names_the_batch(small, tmp_path):
    more = options("--learning-rate 1e30 --accumulate-grad-batches 1 --max-epochs 3 --checkpoint-steps 1")
    result = call(*tiny_arguments(small, tmp_path / "run", *QUICK, *more, val=False))
    assert result.exit_code == 2
    line = result.output.strip().splitlines()[-1]
    assert re.search(
        r"loss or gradient is not finite \((nan|inf)\) at the batch of (train_sample\d+, ){3}train_sample", line
    )
    assert "lower --learning-rate" in line
    # What was written last is from before.
    last = read_checkpoint(tmp_path / "run" / "last.pt")
    assert all(value.isfinite().all() for value in last.model.values())
    shutil.rmtree(tmp_path / "run")


def test_a_gpu_that_is_too_small(small, tmp_path, monkeypatch):
    def run_session(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore lines")

    monkeypatch.setattr(train.fit.session, "run_session", run_session)
    line = refused(*tiny_arguments(small, tmp_path / "run", *options("--batch-size 4 --accumulate-grad-batches 8")))
    assert "for --batch-size 4: try --batch-size 2 and --accumulate-grad-batches 16" in line


def test_a_damaged_sample_ends_the_run_in_one_line(tmp_path):
    folder = make_shards(tmp_path / "s", Plan({"train": 4}))
    path = folder / "train-001.tar"
    data = bytearray(path.read_bytes())
    data[2048:] = bytes(len(data) - 2048)
    path.write_bytes(data)
    more = options("--num-workers 2 --max-epochs 1 --batch-size 1")
    result = call(*tiny_arguments(folder, tmp_path / "run", *more, val=False))
    assert result.exit_code == 2
    line = result.output.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    assert "train-001.tar: sample train_sample3 is damaged" in line
