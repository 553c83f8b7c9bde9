import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers.data.skeleton_making import made_keypoints, skeleton_of
from helpers.models.golden_weights import golden_inputs, golden_logits, golden_state

from shards.errors import InputError
from shards.format.recipe import RECIPES, REFERENCE
from train.convert.cli import export_command as main
from train.convert.export_model import METADATA, example_inputs, export_program, write_onnx, write_program
from train.data.window import Window
from train.fit.checkpoint import Checkpoint
from train.models.vtn import VTN, ModelSettings
from train.skeleton.model import PoseNet, PoseSettings
from train.skeleton.nodes import sampled_frames

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install '.[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install '.[export]'")

# Exporting takes 5 to 15 s of one core each; the quick ones are one per format.
SLOW = pytest.mark.slow
BOTH = [(model, recipe) for model in ("VTN_HCPF", "VTN_HCPF_D") for recipe in ("default", "reference")]


def tiny_checkpoint(model: str, recipe: str) -> Checkpoint:
    torch.manual_seed(3)
    settings = ModelSettings(
        model, 3, "small", sequence_length=4, num_layers=1, num_heads=2, embed_size=16, dropout=0.5
    )
    network = VTN(settings, RECIPES[recipe])
    # As built, every logit is close to 0 and the batch norms do nothing.
    torch.nn.init.normal_(network.classifier.fc.weight, std=1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    classes = ["hello", "<bye>", "şimdi"]
    return Checkpoint(network.state_dict(), settings, RECIPES[recipe], Window(4, 2), 32, classes)


def pose_checkpoint() -> Checkpoint:
    torch.manual_seed(3)
    settings = PoseSettings(3, sequence_length=16, num_layers=2, embed_size=16)
    network = PoseNet(settings)
    torch.nn.init.normal_(network.classifier.weight, std=1)
    return Checkpoint(network.state_dict(), settings, RECIPES["default"], Window(16, 1), 224, ["a", "b", "c"])


@SLOW
@pytest.mark.parametrize("kind", ["onnx", "torch-export"])
def test_keypoints_in_pixels_go_into_the_exported_skeleton_model(tmp_path, kind):
    """Compared with the model on what the loader makes of them, for clips of several lengths."""
    checkpoint, path = pose_checkpoint(), tmp_path / "model"
    checkpoint.write(tmp_path / "pose.pt")
    result = CliRunner().invoke(main, [str(tmp_path / "pose.pt"), f"--{kind}", str(path)])
    assert result.exit_code == 0, result.output
    model = checkpoint.build()
    for frames in (1, 9, 40):
        keypoints = made_keypoints(frames, seed=frames)
        skeleton = skeleton_of(keypoints, sampled_frames(frames, 16))
        with torch.no_grad():
            expected = model(torch.from_numpy(skeleton)[None])
            inputs = {"keypoints": torch.from_numpy(keypoints)[None]}
            found = run_onnx(path, inputs) if kind == "onnx" else torch.export.load(path).module()(*inputs.values())
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert expected.abs().max() > 0.1


def logits_of(checkpoint: Checkpoint, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return checkpoint.build()(**inputs)


def run_onnx(path: Path, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {name: value.numpy() for name, value in inputs.items()})[0])


def check(found, checkpoint: Checkpoint) -> None:
    """At batch sizes other than those that the tool itself looks at, and with inputs of another seed."""
    for batch in (1, 2, 5):
        inputs = example_inputs(checkpoint, batch, seed=77)
        expected = logits_of(checkpoint, inputs)
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(found(inputs), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("model", "recipe"), [BOTH[0], *(pytest.param(*both, marks=SLOW) for both in BOTH[1:])])
def test_torch_export(model, recipe, tmp_path):
    checkpoint, path = tiny_checkpoint(model, recipe), tmp_path / "model.pt2"
    assert write_program(export_program(checkpoint, path), checkpoint, path) < 1e-5
    extra = {METADATA: ""}
    loaded = torch.export.load(path, extra_files=extra).module()
    check(lambda inputs: loaded(*inputs.values()), checkpoint)
    told = json.loads(extra[METADATA])
    assert (told["recipe"], told["classes"], told["window"]) == (recipe, checkpoint.classes, {"length": 4, "stride": 2})
    assert set(told["inputs"]) == set(example_inputs(checkpoint, 1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt2"]


@pytest.mark.parametrize(("model", "recipe"), [BOTH[3], *(pytest.param(*both, marks=SLOW) for both in BOTH[:3])])
def test_onnx(model, recipe, tmp_path):
    checkpoint, path = tiny_checkpoint(model, recipe), tmp_path / "model.onnx"
    assert write_onnx(export_program(checkpoint, path), checkpoint, path) < 1e-5
    check(lambda inputs: run_onnx(path, inputs), checkpoint)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == list(example_inputs(checkpoint, 1))
    assert not isinstance(session.get_inputs()[0].shape[0], int)
    told = json.loads(session.get_modelmeta().custom_metadata_map["signshards"])
    assert (told["recipe"], told["classes"], told["image_size"]) == (recipe, checkpoint.classes, 32)
    # One file, weights inside, and nothing left over.
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


def test_the_recipes_give_different_graphs(tmp_path):
    """Else the tests above would say nothing about recipes."""
    default, reference = (tiny_checkpoint("VTN_HCPF_D", recipe) for recipe in ("default", "reference"))
    inputs = example_inputs(default, 2)
    assert (logits_of(default, inputs) - logits_of(reference, inputs)).abs().max() > 1e-3


def test_a_graph_that_differs_is_not_written(tmp_path):
    checkpoint, other = tiny_checkpoint("VTN_HCPF", "default"), tiny_checkpoint("VTN_HCPF", "reference")
    path = tmp_path / "model.pt2"
    with pytest.raises(InputError, match="not written, as its logits differ"):
        write_program(export_program(other, path), checkpoint, path)
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path):
    checkpoint = tmp_path / "best.pt"
    tiny_checkpoint("VTN_HCPF", "default").write(checkpoint)
    result = CliRunner().invoke(main, [str(checkpoint), "--torch-export", str(tmp_path / "model.pt2")])
    assert result.exit_code == 0, result.output
    assert "logits differ from the model's by at most" in result.stdout
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{checkpoint}: making a graph of the model")
    assert second.startswith(f"{tmp_path / 'model.pt2'}: writing")
    assert (tmp_path / "model.pt2").is_file()
    result = CliRunner().invoke(main, [str(checkpoint)])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    result = CliRunner().invoke(main, [str(tmp_path / "absent.pt"), "--onnx", str(tmp_path / "m.onnx")])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("option", ["--onnx", "--torch-export"])
def test_where_nothing_can_be_written_is_said_before_the_work(tmp_path, option):
    """Even before the checkpoint is read: there is none."""
    for target, reason in (("absent/model", "absent/model: its folder does not exist"), (".", "is a folder")):
        result = CliRunner().invoke(main, [str(tmp_path / "absent.pt"), option, str(tmp_path / target)])
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert reason in result.stderr


def test_a_missing_extra_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    result = CliRunner().invoke(main, [str(tmp_path / "absent.pt"), "--onnx", str(tmp_path / "model.onnx")])
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: --onnx needs onnxscript: pip install 'signshards[export]'\n",
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["VTN_HCPF", "VTN_HCPF_D"])
def test_onnx_gives_the_references_logits(model, tmp_path):
    """The published size: ResNet-34, 16 frames, 224 pixels, against logits that the 2021 reference computed."""
    settings = ModelSettings(model, 226)
    state = golden_state(VTN(settings, REFERENCE))
    checkpoint, path = Checkpoint(state, settings, REFERENCE, Window(), 224, None), tmp_path / "model.onnx"
    write_onnx(export_program(checkpoint, path), checkpoint, path)
    values = [value for value in golden_inputs(model) if value is not None]
    inputs = dict(zip(example_inputs(checkpoint, 1), values, strict=True))
    np.testing.assert_allclose(run_onnx(path, inputs).numpy(), golden_logits(model).numpy(), atol=1e-4, rtol=0)
