import os
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from helpers.models.golden_weights import golden_inputs, golden_logits, golden_state

from shards.format.recipe import DEFAULT, REFERENCE, recipe_from_json
from train.convert.cli import import_command as main
from train.models.vtn import VTN, ModelSettings

ROOT = Path(__file__).parents[3]
SMALL = {"cnn": "rn18", "sequence_length": 3, "num_layers": 2, "num_heads": 4, "embed_size": 24}
LIGHTNING = [
    "callbacks.early_stopping.EarlyStopping",
    "callbacks.model_checkpoint.ModelCheckpoint",
    "utilities.argparse_utils._gpus_arg_default",
]


@pytest.fixture
def lightning(monkeypatch):
    """Classes that pickle under the names of Lightning's, which is not installed, by their last name."""
    made = {}
    for path in LIGHTNING:
        module_name, _, name = f"pytorch_lightning.{path}".rpartition(".")
        parent = ""
        for part in module_name.split("."):
            parent = f"{parent}.{part}".lstrip(".")
            monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent) or types.ModuleType(parent))
        made[name] = type(name, (), {"__module__": module_name})
        setattr(sys.modules[module_name], name, made[name])
    return made


def lightning_content(state, settings: ModelSettings, lightning, **flags) -> dict:
    """What Lightning 1.1.1 writes at the end of an epoch of the reference's training, optimizer aside."""
    return {
        "epoch": 3,
        "global_step": 120,
        "pytorch-lightning_version": "1.1.1",
        "callbacks": {
            lightning["EarlyStopping"]: {"wait_count": 0, "best_score": torch.tensor(0.5), "patience": 10},
            lightning["ModelCheckpoint"]: {"monitor": None, "best_model_path": "epoch=3.ckpt"},
        },
        "optimizer_states": [{"state": {0: {"step": 1, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4}]}],
        "lr_schedulers": [{"step_size": 5, "gamma": 0.1, "base_lrs": [1e-4], "last_epoch": 3}],
        "state_dict": OrderedDict((f"model.{name}", value) for name, value in state.items()),
        "hparams_name": "kwargs",
        "hyper_parameters": {
            "model": settings.name,
            "cnn": settings.cnn,
            "sequence_length": settings.sequence_length,
            "temporal_stride": 2,
            "num_layers": settings.num_layers,
            "num_heads": settings.num_heads,
            "embed_size": settings.embed_size,
            "dropout": settings.dropout,
            "gpus": 1,
            "tpu_cores": lightning["_gpus_arg_default"],
            "profiler": None,
            **flags,
        },
    }


@pytest.fixture
def small(lightning):
    settings = ModelSettings("VTN_HCPF", num_classes=7, dropout=0.25, **SMALL)
    return lightning_content(VTN(settings, REFERENCE).state_dict(), settings, lightning)


@pytest.fixture
def convert(tmp_path):
    """Writes the content of a reference checkpoint, imports it, and gives the result and where it was to go."""

    def run(content, *options: str):
        reference = tmp_path / "reference.ckpt"
        if isinstance(content, bytes):
            reference.write_bytes(content)
        else:
            torch.save(content, reference)
        out = tmp_path / "ours.pt"
        result = CliRunner().invoke(main, [str(reference), "--out", str(out), *options])
        reference.unlink()
        return result, out

    return run


def assert_refused(result, out: Path, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    line = result.output.strip()
    assert line.startswith("Error: ")
    assert "\n" not in line
    assert all(part in line for part in ("reference.ckpt: ", *parts)), line
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
def test_an_imported_checkpoint_gives_the_references_logits(lightning, tmp_path):
    settings = ModelSettings("VTN_HCPF", num_classes=226)
    model = VTN(settings, DEFAULT)
    reference, out = tmp_path / "reference.ckpt", tmp_path / "ours.pt"
    torch.save(lightning_content(golden_state(model), settings, lightning), reference)
    command = [sys.executable, "-m", "train.convert", "import", str(reference), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}: VTN_HCPF with rn34, 226 classes, 16 frames at stride 2\n"
    content = torch.load(out, weights_only=True)
    # 200 MB each: not left for pytest to keep.
    reference.unlink()
    out.unlink()
    imported = VTN(ModelSettings(**content["model_settings"]), recipe_from_json(content["recipe"], "ours.pt")).eval()
    imported.load_state_dict(content["model"])
    with torch.inference_mode():
        logits = imported.to(memory_format=torch.channels_last)(*golden_inputs("VTN_HCPF"))
    # The tolerance of the models' own test, tests/train/models/test_vtn.py.
    torch.testing.assert_close(logits, golden_logits("VTN_HCPF"), atol=1e-4, rtol=0)


def test_content_of_an_imported_checkpoint(convert, small):
    result, out = convert(small)
    assert result.exit_code == 0, result.output
    content = torch.load(out, weights_only=True)
    out.unlink()
    weights = content.pop("model")
    assert content == {
        "format": "signshards-checkpoint-1",
        "model_settings": {"name": "VTN_HCPF", "num_classes": 7, "dropout": 0.25, **SMALL},
        "recipe": REFERENCE.to_json(),
        "window": {"length": 3, "stride": 2},
        "classes": None,
        "image_size": 224,
        "estimator": None,
        "clip_frames": None,
    }
    assert [f"model.{name}" for name in weights] == list(small["state_dict"])
    assert all(torch.equal(weights[name], small["state_dict"][f"model.{name}"]) for name in weights)


def test_settings_come_from_the_weights_where_there_are_no_flags(convert, lightning):
    settings = ModelSettings("VTN_HCPF_D", num_classes=7, **SMALL)
    content = lightning_content(VTN(settings, REFERENCE).state_dict(), settings, lightning)
    del content["hyper_parameters"]
    assert_refused(*convert(content), "does not say its stride; give --temporal-stride")
    result, out = convert(content, "--temporal-stride", "3")
    assert result.exit_code == 0, result.output
    imported = torch.load(out, weights_only=True)
    out.unlink()
    assert ModelSettings(**imported["model_settings"]) == settings
    assert imported["window"] == {"length": 3, "stride": 3}


def test_a_stride_that_contradicts_the_flag_is_refused(convert, small):
    assert_refused(*convert(small, "--temporal-stride", "3"), "flag temporal_stride is 2; leave --temporal-stride out")
    result, out = convert(small, "--temporal-stride", "2")
    assert result.exit_code == 0, result.output
    out.unlink()


@pytest.mark.parametrize("stride", [True, 0, -1, 10**30, 2.0, "2"])
def test_a_stride_that_cannot_be_is_refused(convert, small, stride):
    small["hyper_parameters"]["temporal_stride"] = stride
    assert_refused(*convert(small), "does not say its stride")


@pytest.mark.parametrize("name", ["classifier.fc.weight", "self_attention_decoder.position_encoding.enc.weight"])
def test_a_weight_that_is_larger_than_its_file_is_refused(convert, small, name):
    for flag in ("num_classes", "sequence_length"):
        small["hyper_parameters"].pop(flag, None)
    small["state_dict"][f"model.{name}"] = torch.zeros(1).expand(1000, small["state_dict"][f"model.{name}"].shape[1])
    assert_refused(*convert(small), "of another shape: ")


def test_a_changed_byte_of_a_weight_is_refused(convert, small, tmp_path):
    """Torch does not look at the checksums that it writes."""
    whole = tmp_path / "whole.ckpt"
    torch.save(small, whole)
    data = bytearray(whole.read_bytes())
    whole.unlink()
    place = data.index(small["state_dict"]["model.bottle_mm.bias"].numpy().tobytes())
    data[place] ^= 1
    assert_refused(*convert(bytes(data)), "the checksum of ")


def test_code_in_a_checkpoint_is_not_run(convert, small, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    small["hyper_parameters"]["profiler"] = Attack()
    assert_refused(*convert(small), "names posix.mkdir, which could run code")


@pytest.mark.parametrize("kept", [0, 1000, 0.6])
def test_a_truncated_checkpoint_is_refused(convert, small, tmp_path, kept):
    whole = tmp_path / "whole.ckpt"
    torch.save(small, whole)
    data = whole.read_bytes()
    whole.unlink()
    assert_refused(*convert(data[: kept if isinstance(kept, int) else int(len(data) * kept)]), "damaged")


@pytest.mark.parametrize(
    ("lost", "part"),
    [
        ("feature_extractor.resnet.5.0.conv1.weight", "1 missing: feature_extractor.resnet.5.0.conv1.weight"),
        ("bottle_mm.bias", "1 missing: bottle_mm.bias"),
        ("classifier.fc.weight", "has no usable weight model.classifier.fc.weight"),
        ("self_attention_decoder.position_encoding.enc.weight", "position_encoding.enc.weight"),
    ],
)
def test_a_missing_weight_is_named(convert, small, lost, part):
    del small["state_dict"][f"model.{lost}"]
    assert_refused(*convert(small), part)


def test_weights_of_another_model_are_named(convert, small):
    small["state_dict"]["model.gru.weight"] = torch.zeros(2)
    assert_refused(*convert(small), "1 unexpected: gru.weight")


def test_a_resnet_of_another_depth_is_refused(convert, small):
    small["state_dict"]["model.feature_extractor.resnet.4.2.conv1.weight"] = torch.zeros(2)
    small["state_dict"]["model.feature_extractor.resnet.4.3.conv1.weight"] = torch.zeros(2)
    assert_refused(*convert(small), "its ResNet begins with 4 blocks")


@pytest.mark.parametrize(
    ("flag", "value", "part"),
    [
        ("num_heads", 8, "its flag num_heads is 8, its weights say 4"),
        ("model", "VTN_HCPF_D", "its flag model is 'VTN_HCPF_D', its weights say 'VTN_HCPF'"),
        ("dropout", "much", "its flag dropout is 'much', not a number"),
        ("dropout", 1.5, "dropout 1.5"),
        ("temporal_stride", 0, "does not say its stride"),
    ],
)
def test_a_flag_that_cannot_be_is_refused(convert, small, flag, value, part):
    small["hyper_parameters"][flag] = value
    assert_refused(*convert(small), part)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {"a": "b"}}])
def test_a_file_without_weights_is_refused(convert, content):
    assert_refused(*convert(content), "has no `state_dict` of tensors")


def test_the_reference_is_not_written_over(tmp_path):
    reference = tmp_path / "reference.ckpt"
    reference.write_bytes(b"downloaded")
    result = CliRunner().invoke(main, [str(reference), "--out", str(tmp_path / "." / "reference.ckpt")])
    assert result.exit_code == 2
    assert "reference.ckpt: has another part in this command already" in result.output
    assert reference.read_bytes() == b"downloaded"


def test_a_missing_folder_is_refused(convert, small, tmp_path):
    out = tmp_path / "absent" / "ours.pt"
    result, _ = convert(small, "--out", str(out))
    assert result.exit_code == 2
    assert f"{out}: its folder does not exist" in result.output
