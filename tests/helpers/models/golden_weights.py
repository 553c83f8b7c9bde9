"""The weights and inputs that the golden logits come from, by the recipe in tests/golden/README.md."""

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[2] / "golden"
SEEDS = {"VTN_HCPF": 11, "VTN_HCPF_D": 12}


def golden_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Parameter `name` of the golden models, float64."""
    z = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        return 1 + 0.1 * np.abs(z)
    if name.endswith("running_mean"):
        return 0.1 * z
    if len(shape) == 1:
        return 1 + 0.1 * z if name.endswith((".weight", "a_2")) else 0.1 * z
    fan = shape[1] if name.endswith(("w_qs", "w_ks", "w_vs")) else np.prod(shape[1:])
    return z * np.sqrt(2 / fan)


def golden_state(model: nn.Module) -> dict[str, Tensor]:
    """State dict of the golden weights; counters and the position table as `model` has them."""
    return {
        name: value
        if name.endswith(("num_batches_tracked", "enc.weight"))
        else torch.from_numpy(golden_weight(name, tuple(value.shape))).float()
        for name, value in model.state_dict().items()
    }


def golden_inputs(name: str) -> tuple[Tensor, Tensor, Tensor | None]:
    """Crops, pose and (VTN_HCPF_D only) depth that the golden logits of model `name` were computed from."""
    random = np.random.RandomState(SEEDS[name])
    crops, depth, pose = (
        torch.from_numpy(random.standard_normal(shape).astype(np.float32))
        for shape in [(2, 16, 2, 3, 224, 224)] * 2 + [(2, 16, 106)]
    )
    return crops, pose, depth if name == "VTN_HCPF_D" else None


def golden_logits(name: str) -> Tensor:
    """Logits of the reference, float32 (2, 226)."""
    return torch.from_numpy(np.load(GOLDEN / f"logits_{name}.npy"))
