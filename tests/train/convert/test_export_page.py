"""The NumPy reference on docs/export.md, run as it stands, against `predict`."""

import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.data.shard_making import Plan, make_shards
from helpers.models.tiny_model import tiny_checkpoint
from helpers.processes.predict_runs import predict

from shards.format.shardset import open_shards
from train.data.window import Window
from train.fit.checkpoint import read_checkpoint

PAGE = Path(__file__).parents[3] / "docs" / "export.md"


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    return names


def samples_of(shards: Path) -> dict[str, dict[str, bytes]]:
    """The members of every sample, by suffix."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(shards.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                found.setdefault(key, {})[suffix] = tar.extractfile(member).read()
    return found


@pytest.mark.parametrize("stride", [1, 2, 9])
def test_it_gives_the_logits_of_predict(reference: dict[str, Any], tmp_path: Path, stride: int) -> None:
    """Of clips longer and shorter than the window, with crops wide, high and square."""
    shards = make_shards(tmp_path / "shards", Plan({"test": 9}))
    names, window = open_shards(str(shards)).dataset.classes, Window(4, stride)
    tiny_checkpoint(tmp_path / "best.pt", names, window=window)
    saved = ("--out", tmp_path / "p.csv", "--save-logits", tmp_path / "p.npz")
    assert predict("--checkpoint", tmp_path / "best.pt", "--shards", shards, *saved).exit_code == 0
    with np.load(tmp_path / "p.npz") as file:
        expected = dict(zip(file["ids"].tolist(), file["logits"], strict=True))
    model = read_checkpoint(tmp_path / "best.pt").build()
    about = {"window": {"length": 4, "stride": stride}, "image_size": 32}
    samples = samples_of(shards)
    assert samples.keys() == expected.keys()
    for key, members in samples.items():
        crops, pose = (torch.from_numpy(array)[None] for array in reference["model_input"](members, about))
        with torch.inference_mode():
            found = model(crops, pose)[0].numpy()
        assert np.abs(found - expected[key]).max() < 1e-4
    assert np.ptp(np.array(list(expected.values())), axis=0).max() > 1e-2  # they differ from clip to clip
