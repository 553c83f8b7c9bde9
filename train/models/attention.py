"""Self-attention over the frames of a window: the encoder of the 2021 reference, with its parameter names.

It differs from `torch.nn.TransformerEncoder` in ways that its checkpoints depend on: no biases and no output projection
in the attention, an unbiased standard deviation and an epsilon outside the root in the layer norm. The residual stream
is float32 also under autocast.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# On the attention weights and after each of the two halves of a block. The `--dropout` flag is only the classifier's.
DROPOUT = 0.1


def position_table(length: int, width: int) -> Tensor:
    """Sines and cosines of the positions 0 … length - 1, float32 (length, width).

    Row 0 is zero. Row p ≥ 1, column j: sin (even j) or cos (odd j) of p / 10000^(2·(j // 2) / width), the table of
    "Attention is all you need" (Vaswani et al., 2017) but for row 0, which there is 0, 1, 0, 1, …
    """
    column = torch.arange(width)
    frequency = 10000.0 ** (-2.0 * (column // 2).double() / width)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    table = torch.where(column % 2 == 0, angle.sin(), angle.cos())
    table[0] = 0
    return table.float()


class PositionEncoding(nn.Module):
    """Adds a trained position table, which starts as `position_table`."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        # The reference marks row 0 as padding, so that it gets no gradient and stays zero.
        self.enc = nn.Embedding(length, width, _weight=position_table(length, width), padding_idx=0)

    def forward(self, z: Tensor) -> Tensor:
        """(B, L, width) → the same shape, float32; L is at most the table's length."""
        return z + self.enc(torch.arange(z.shape[1], device=z.device))


class LayerNorm(nn.Module):
    """(z - mean) / (std + 1e-3) · a_2 + b_2 over the last axis, with the unbiased std."""

    EPSILON = 1e-3

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a_2 = nn.Parameter(torch.ones(width))
        self.b_2 = nn.Parameter(torch.zeros(width))

    def forward(self, z: Tensor) -> Tensor:
        """(B, L, width) → the same shape, float32; a sequence of length 1 is returned as it is, as in the reference."""
        z = z.float()
        if z.shape[1] == 1:
            return z
        std, mean = torch.std_mean(z, dim=-1, keepdim=True)
        return (z - mean) / (std + self.EPSILON) * self.a_2 + self.b_2


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention of every frame to every frame, then the residual and a layer norm.

    Args:
        width: features of a frame.
        heads: number of heads, a divisor of `width`; each is `width // heads` wide.
        by_model_width: divide the products by √width (recipe `attention_by_model_width`), not by √(width of a head).
    """

    def __init__(self, width: int, heads: int, by_model_width: bool) -> None:
        super().__init__()
        head_width = width // heads
        self.w_qs = nn.Parameter(torch.empty(heads, width, head_width))
        self.w_ks = nn.Parameter(torch.empty(heads, width, head_width))
        self.w_vs = nn.Parameter(torch.empty(heads, width, head_width))
        self.layer_norm = LayerNorm(width)
        self.scale = (width if by_model_width else head_width) ** -0.5
        for projection in (self.w_qs, self.w_ks, self.w_vs):
            # Of all heads at once, as in the reference: the published learning rate goes with this start. It is smaller
            # than one Xavier start per head (std 0.0039, not 0.042, for 8 heads of width 1024).
            nn.init.xavier_normal_(projection)

    def forward(self, z: Tensor) -> Tensor:
        """(B, L, width) → the same shape, float32."""
        q, k, v = (torch.einsum("blw,hwd->bhld", z, projection) for projection in (self.w_qs, self.w_ks, self.w_vs))
        dropout = DROPOUT if self.training else 0.0
        heads = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=self.scale)
        joined = heads.transpose(1, 2).flatten(2)
        return self.layer_norm(z + F.dropout(joined, DROPOUT, self.training))


class FeedForward(nn.Module):
    """Two linear layers at each frame, width → 2·width → width, then the residual and a layer norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # Convolutions for the names and shapes of the reference's weights.
        self.w_1 = nn.Conv1d(width, 2 * width, 1)
        self.w_2 = nn.Conv1d(2 * width, width, 1)
        self.layer_norm = LayerNorm(width)

    def forward(self, z: Tensor) -> Tensor:
        """(B, L, width) → the same shape, float32."""
        # A 1×1 convolution is a linear layer; as one, it needs no transposed copies.
        hidden = F.relu(F.linear(z, self.w_1.weight[..., 0], self.w_1.bias))
        out = F.linear(hidden, self.w_2.weight[..., 0], self.w_2.bias)
        return self.layer_norm(z + F.dropout(out, DROPOUT, self.training))


class EncoderBlock(nn.Module):
    """Attention over the frames, then the feed-forward layers."""

    def __init__(self, width: int, heads: int, by_model_width: bool) -> None:
        super().__init__()
        self.slf_attn = MultiHeadAttention(width, heads, by_model_width)
        self.pos_ffn = FeedForward(width)

    def forward(self, z: Tensor) -> Tensor:
        """(B, L, width) → the same shape, float32."""
        return self.pos_ffn(self.slf_attn(z))


class Encoder(nn.Module):
    """Position table and a stack of blocks."""

    def __init__(self, length: int, width: int, layers: int, heads: int, by_model_width: bool) -> None:
        super().__init__()
        self.position_encoding = PositionEncoding(length, width)
        self.layers = nn.ModuleList(EncoderBlock(width, heads, by_model_width) for _ in range(layers))

    def forward(self, z: Tensor) -> Tensor:
        """(B, L, width) → the same shape, float32."""
        z = self.position_encoding(z)
        for layer in self.layers:
            z = layer(z)
        return z
