"""From clips to model input under the reference recipe, through the real pipeline, shards and loader."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers.models.golden_weights import GOLDEN

from pipeline.cli import main as pipeline
from shards.format.recipe import REFERENCE
from shards.format.shardset import open_shards
from train.crops.crop_batch import CropReader
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from train.data.window import Window

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shards(autsl_mini, tmp_path_factory):
    work = tmp_path_factory.mktemp("autsl-mini")
    options = ["--data", autsl_mini / "mp4", "--labels", autsl_mini / "labels.csv", "--work", work, "--jobs", 2]
    options += ["--pose", "import", "--keypoints", autsl_mini / "kp.tar.bz2.aa", "--recipe", "reference"]
    result = CliRunner().invoke(pipeline, ["run", *map(str, options)])
    assert result.exit_code == 0, result.output
    return work / "shards"


def inputs(shards, split: str, with_depth: bool) -> dict[str, list[np.ndarray]]:
    """(crops, pose[, depth]) by id; crops averaged over 16×16 pixels, (16, 2, 3, 14, 14)."""
    settings = LoaderSettings(Window(16, 2), REFERENCE, with_depth, batch_size=3, num_workers=1)
    found = {}
    for batch in make_loader(open_shards(f"{shards}/{split}-*.tar"), settings, CropReader, training=False):
        for number, parts in enumerate(zip(*batch.inputs(224, training=False), strict=True)):
            pooled = [torch.nn.functional.avg_pool2d(x.flatten(0, 1), 16).unflatten(0, (16, 2)) for x in parts[::2]]
            found[batch.ids[number]] = [pooled[0].numpy(), parts[1].numpy(), *(x.numpy() for x in pooled[1:])]
    return found


@pytest.mark.parametrize("split", ["train", "val"])
def test_model_inputs_are_the_golden_ones(shards, split):
    with np.load(GOLDEN / "model_inputs.npz") as images, np.load(GOLDEN / "pose_features.npz") as features:
        keys = sorted({key.rsplit("__", 1)[0] for key in images.files if key.startswith(f"{split}__")})
        color, depth = inputs(shards, split, with_depth=False), inputs(shards, split, with_depth=True)
        assert keys
        for key in keys:
            sample_id = key.removeprefix(f"{split}__")
            # The golden inputs come from lossless frames. Measured through JPEG, mean over all clips: 0.006, 0.008,
            # 0.003; over the worst clip: 0.007, 0.014, 0.005; over the worst crop: 0.009, 0.023 (a depth crop in the
            # color clip), 0.009.
            for name, found, bound in (
                ("rgb", color[sample_id][0], 0.01),
                ("rgbd_rgb", depth[sample_id][0], 0.016),
                ("rgbd_depth", depth[sample_id][2], 0.006),
            ):
                error = np.abs(found - images[f"{key}__{name}"].astype(np.float32))
                assert error.mean() < bound, (key, name)
                # At every place: a crop of another frame, hand or kind is off by 0.3 and more.
                assert error.mean(axis=(2, 3, 4)).max() < 0.03, (key, name)
            for found in (color, depth):
                np.testing.assert_allclose(found[sample_id][1], features[key], atol=1e-6)
