import numpy as np
import pytest
import torch
from helpers.data.skeleton_making import made_keypoints, skeleton_of
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from shards.errors import InputError
from train.skeleton.model import PoseNet, PoseSettings
from train.skeleton.nodes import sampled_frames


def skeletons(count, length=16):
    clips = [skeleton_of(made_keypoints(40, seed), sampled_frames(40, length)) for seed in range(count)]
    return torch.from_numpy(np.stack(clips))


def model(**settings):
    """One whose batch norms have statistics of their own, as after training."""
    torch.manual_seed(0)
    net = PoseNet(PoseSettings(7, **settings))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias)
    return net.eval()


def test_it_has_163_thousand_parameters_and_2_5_million_multiplications():
    net = PoseNet(PoseSettings(10)).eval()
    assert sum(parameter.numel() for parameter in net.parameters()) == 163_295
    count = 0

    def add(module, inputs, output):
        nonlocal count
        count += output.numel() * module.weight[0].numel()

    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            module.register_forward_hook(add)
    net(skeletons(1))
    assert 2.4e6 < count < 2.6e6


@pytest.mark.parametrize(("length", "width", "layers"), [(2, 8, 1), (16, 96, 3), (60, 128, 4)])
def test_length_width_and_depth_are_options(length, width, layers):
    net = model(sequence_length=length, embed_size=width, num_layers=layers)
    logits = net(skeletons(3, length))
    assert logits.shape == (3, 7)
    assert logits.dtype == torch.float32
    assert len(net.blocks) == layers
    with pytest.raises(ValueError, match="frames"):
        net(skeletons(3, length + 1))


@pytest.mark.parametrize(
    "wrong", [{"sequence_length": 1}, {"num_layers": 0}, {"embed_size": 0}, {"dropout": 1.0}, {"name": "VTN_HCPF"}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError):
        PoseSettings(7, **wrong)


def test_a_frame_without_anybody_changes_nothing():
    """However many of them follow: as if the clip ended before."""
    clips = skeletons(4)
    clips[:, 10:] = 0
    with torch.no_grad():
        short = model(sequence_length=10)(clips[:, :10])
        padded = model(sequence_length=16)(clips)
    torch.testing.assert_close(padded, short, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("junk", [float("nan"), -1.0, 1e9])
def test_what_stands_at_a_missing_point_changes_nothing(junk):
    clips, net = skeletons(3), model()
    dirty = clips.clone()
    dirty[..., :2][clips[..., 2] == 0] = junk
    with torch.no_grad():
        assert torch.equal(net(dirty), net(clips))


def test_gradients_are_finite_with_a_clip_with_nobody_in_it():
    clips = skeletons(4)
    clips[2] = 0
    for batch in (clips, clips[2:3]):
        net = model().train()
        loss = F.cross_entropy(net(batch), torch.zeros(len(batch), dtype=torch.long), label_smoothing=0.1)
        loss.backward()
        gradients = [parameter.grad for parameter in net.parameters()]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        assert sum(gradient.abs().sum() for gradient in gradients) > 0


def test_in_evaluation_a_clip_s_logits_do_not_depend_on_its_batch():
    clips, net = skeletons(5), model()
    with torch.no_grad():
        together = net(clips)
        for number in range(5):
            torch.testing.assert_close(net(clips[number : number + 1])[0], together[number], rtol=1e-5, atol=1e-5)


def test_an_average_of_models_is_one():
    """It rounds whole numbers down (3 to 2 at this decay), so that no buffer of them may stand for a place."""
    net = model()
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9995), use_buffers=True)
    for _ in range(5):
        average.update_parameters(net)
    with torch.no_grad():
        torch.testing.assert_close(average.module(skeletons(3)), net(skeletons(3)), rtol=1e-4, atol=1e-4)


def test_bfloat16_is_close_and_its_logits_are_float32():
    clips, net = skeletons(5), model()
    with torch.no_grad():
        exact = net(clips)
        with torch.autocast("cpu", torch.bfloat16):
            rough = net(clips)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()


def test_it_learns_which_hand_moves():
    """24 synthetic clips of two classes that differ in nothing but the wrist that waves, learned by heart."""
    clips, labels = skeletons(24), torch.arange(24) % 2
    wave = 0.5 * torch.sin(torch.arange(16) * 1.5)
    for clip, label in zip(clips, labels.tolist(), strict=True):
        wrist = clip[:, 5 + label]
        wrist[:, 0] += torch.where(wrist[:, 2] > 0, wave, 0)
    torch.manual_seed(0)
    net = PoseNet(PoseSettings(2))
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(net(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.3 * losses[0]
    with torch.no_grad():
        assert (net.eval()(clips).argmax(1) == labels).float().mean() > 0.9
