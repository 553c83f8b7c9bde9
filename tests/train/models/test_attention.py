import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from train.models.attention import (
    DROPOUT,
    Encoder,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PositionEncoding,
    position_table,
)


def layer_norm_by_hand(z: np.ndarray) -> np.ndarray:
    return (z - z.mean(-1, keepdims=True)) / (z.std(-1, ddof=1, keepdims=True) + 1e-3)


def attention_by_hand(layer: MultiHeadAttention, z: np.ndarray, divisor: float) -> np.ndarray:
    """Attention, residual and layer norm, one dot product at a time, in float64."""
    w_q, w_k, w_v = (w.detach().numpy().astype(np.float64) for w in (layer.w_qs, layer.w_ks, layer.w_vs))
    out = np.zeros_like(z)
    heads, _, head_width = w_q.shape
    for b, sequence in enumerate(z):
        for h in range(heads):
            for t, frame in enumerate(sequence):
                products = [(frame @ w_q[h]) @ (other @ w_k[h]) / divisor for other in sequence]
                weights = [math.exp(product) for product in products]
                for weight, other in zip(weights, sequence, strict=True):
                    out[b, t, h * head_width : (h + 1) * head_width] += weight / sum(weights) * (other @ w_v[h])
    return layer_norm_by_hand(out + z)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def z():
    return torch.randn(2, 5, 12)


@pytest.mark.parametrize("by_model_width", [True, False])
def test_attention_equals_a_plain_loop(z, by_model_width):
    layer = MultiHeadAttention(12, 3, by_model_width).eval()
    for projection in (layer.w_qs, layer.w_ks, layer.w_vs):
        torch.nn.init.normal_(projection)
    expected = attention_by_hand(layer, z.numpy().astype(np.float64), math.sqrt(12 if by_model_width else 4))
    other = attention_by_hand(layer, z.numpy().astype(np.float64), math.sqrt(4 if by_model_width else 12))
    out = layer(z).detach().numpy()
    np.testing.assert_allclose(out, expected, atol=1e-5)
    assert np.abs(out - other).max() > 0.05


def test_position_table_equals_its_formula():
    length, width = 7, 10
    expected = np.zeros((length, width))
    for p in range(1, length):
        for j in range(width):
            angle = p / 10000 ** (2 * (j // 2) / width)
            expected[p, j] = math.sin(angle) if j % 2 == 0 else math.cos(angle)
    table = position_table(length, width)
    assert table.dtype == torch.float32
    np.testing.assert_allclose(table.numpy(), expected, atol=1e-7)


def test_position_table_is_added_and_trained_but_for_its_first_row(z):
    encoding = PositionEncoding(6, 12)
    out = encoding(z)
    assert torch.equal(out, z + position_table(6, 12)[:5])
    out.sum().backward()
    assert encoding.enc.weight.grad[:, 0].tolist() == [0, 2, 2, 2, 2, 0]


def test_layer_norm_uses_the_unbiased_std_and_then_scales_and_shifts(z):
    norm = LayerNorm(12)
    torch.nn.init.normal_(norm.a_2)
    torch.nn.init.normal_(norm.b_2)
    a_2, b_2 = norm.a_2.detach().numpy(), norm.b_2.detach().numpy()
    expected = layer_norm_by_hand(z.numpy()) * a_2 + b_2
    np.testing.assert_allclose(norm(z).detach().numpy(), expected, atol=1e-6)


def test_layer_norm_leaves_a_sequence_of_one_frame(z):
    assert torch.equal(LayerNorm(12)(z[:, :1]), z[:, :1])


def test_layer_norm_keeps_float32_statistics_of_bfloat16_values(z):
    rounded = (100 + z).bfloat16()
    out = LayerNorm(12)(rounded)
    assert out.dtype == torch.float32
    np.testing.assert_allclose(out.detach().numpy(), layer_norm_by_hand(rounded.double().numpy()), atol=1e-4)


def test_feed_forward_equals_two_convolutions(z):
    layer = FeedForward(12).eval()
    hidden = F.relu(layer.w_1(z.transpose(1, 2)))
    expected = layer.layer_norm(z + layer.w_2(hidden).transpose(1, 2))
    torch.testing.assert_close(layer(z), expected)


@pytest.mark.parametrize("make", [lambda: MultiHeadAttention(12, 3, False), lambda: FeedForward(12)])
def test_dropout_is_drawn_in_training_only(z, make):
    layer = make()
    assert not torch.equal(layer(z), layer(z))
    layer.eval()
    assert torch.equal(layer(z), layer(z))


def test_dropout_drops_its_share_of_attention_weights_and_outputs():
    # With one frame, value 1 and no layer norm, what is added is 0 (one of the two dropped it) or 1 / (1 - DROPOUT)².
    layer = MultiHeadAttention(64, 64, False)
    torch.nn.init.constant_(layer.w_vs, 1 / 64)
    added = layer(torch.ones(500, 1, 64)) - 1
    kept = (1 - DROPOUT) ** 2
    assert added.unique().tolist() == pytest.approx([0, 1 / kept], abs=1e-5)
    assert (added > 0).float().mean().item() == pytest.approx(kept, abs=0.01)


def test_encoder_gives_every_parameter_a_gradient(z):
    encoder = Encoder(length=5, width=12, layers=2, heads=3, by_model_width=False)
    (encoder(z) * torch.randn(2, 5, 12)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())
    assert len(encoder.layers) == 2
