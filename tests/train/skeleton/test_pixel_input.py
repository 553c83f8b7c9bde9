import numpy as np
import pytest
import torch
from helpers.data.skeleton_making import made_keypoints, skeleton_of
from torch import nn
from torch.export import Dim

from train.skeleton.model import PoseNet, PoseSettings
from train.skeleton.nodes import sampled_frames
from train.skeleton.pixel_input import PixelInput


def clips(frames):
    """Clips of all kinds that the preparation tells apart, nobody at all among them."""
    batch = np.stack([made_keypoints(frames, seed) for seed in range(8)])
    for clip, hidden in zip(batch, ([], [17], [17, 5], [5, 6], [17, 5, 6], range(135), range(1, 135)), strict=False):
        clip[:, list(hidden)] = 0
    batch[7, :, 6] = batch[7, :, 5]
    batch[batch[..., 2] == 0, :2] = np.nan
    return batch


@pytest.mark.parametrize("frames", [1, 2, 15, 16, 31, 75])
@pytest.mark.parametrize("length", [2, 16, 60])
def test_skeletons_are_those_of_the_loader(frames, length):
    batch = clips(frames)
    expected = np.stack([skeleton_of(clip, sampled_frames(frames, length)) for clip in batch])
    found = PixelInput(nn.Identity(), length)(torch.from_numpy(batch))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected).max() > 0.5


@pytest.fixture(scope="module")
def exported():
    torch.manual_seed(0)
    model = PixelInput(PoseNet(PoseSettings(5)), 16).eval()
    shapes = {"keypoints": {0: Dim("batch", min=1), 1: Dim("frames", min=1)}}
    with torch.no_grad():
        return model, torch.export.export(model, (torch.from_numpy(clips(20)),), dynamic_shapes=shapes)


def check(model, run):
    """For any number of clips and frames."""
    for frames in (1, 2, 20, 75):
        for batch in (clips(frames), clips(frames)[:1]):
            with torch.no_grad():
                expected = model(torch.from_numpy(batch)).numpy()
                np.testing.assert_allclose(run(batch), expected, rtol=1e-4, atol=1e-5)


def test_the_exported_program_gives_the_model_s_logits(exported):
    model, program = exported
    check(model, lambda batch: program.module()(torch.from_numpy(batch)).numpy())


@pytest.mark.slow
def test_onnx_runtime_gives_the_model_s_logits(exported):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model, program = exported
    onnx = torch.onnx.export(program, input_names=["keypoints"], output_names=["logits"], dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(onnx.model_proto.SerializeToString())
    check(model, lambda batch: session.run(None, {"keypoints": batch})[0])
