"""The training step on real batches, against gradients and updates computed here."""

import copy
import shutil
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

import train.models.attention
from shards.errors import InputError
from shards.format.recipe import DEFAULT, REFERENCE
from shards.format.shardset import open_shards
from train.crops.crop_batch import CropBatch, CropReader
from train.data.loader import make_loader
from train.data.shard_dataset import LoaderSettings
from train.data.window import Window
from train.fit.optimizer import OptimizerSettings
from train.fit.trainer import StepSettings, Trainer
from train.models.resnet import freeze
from train.models.vtn import VTN, ModelSettings
from train.ranks.distributed import Ranks
from train.ranks.stopping import StopRequest

CPU = Ranks(0, 1, torch.device("cpu"))


def tiny_model(name="VTN_HCPF", recipe=DEFAULT, frozen=8) -> VTN:
    torch.manual_seed(0)
    settings = ModelSettings(name, 3, "small", sequence_length=4, num_layers=1, num_heads=2, embed_size=16)
    model = VTN(settings, recipe)
    freeze(model, frozen)
    return model


def trainer_of(model: VTN, optimizer: OptimizerSettings | None = None, **step) -> Trainer:
    return Trainer(model, StepSettings(image_size=32, **step), optimizer or OptimizerSettings(), CPU)


def loader_of(folder, training=True, batch_size=2, **settings):
    shards = open_shards(f"{folder}/{'train' if training else 'val'}-*.tar")
    return make_loader(
        shards, LoaderSettings(Window(4, 2), batch_size=batch_size, num_workers=0, **settings), CropReader, training
    )


@pytest.fixture
def batches(small):
    return list(loader_of(small, recipe=DEFAULT))


@pytest.fixture
def no_dropout(monkeypatch):
    monkeypatch.setattr(train.models.attention, "DROPOUT", 0.0)


def trained_weights(trainer: Trainer) -> list[torch.Tensor]:
    return [parameter for parameter in trainer.model.parameters() if parameter.requires_grad]


def test_a_step_is_adam_on_the_clipped_mean_gradient(batches, no_dropout):
    model = tiny_model()
    expected = copy.deepcopy(model)
    adam = torch.optim.Adam([p for p in expected.parameters() if p.requires_grad], lr=1e-3)
    trainer = trainer_of(model, OptimizerSettings(learning_rate=1e-3), gradient_clip_val=0.05, label_smoothing=0.1)
    for group in (batches[:2], batches[2:4]):
        logits = [expected(*batch.inputs(32, training=True)) for batch in group]
        losses = [F.cross_entropy(x, batch.labels, label_smoothing=0.1) for x, batch in zip(logits, group, strict=True)]
        torch.stack(losses).mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(expected.parameters(), 0.05)
        assert norm > 0.05
        adam.step()
        adam.zero_grad()
        sums = trainer.train_step(iter(group), 2)
        assert sums[0].item() == pytest.approx(2 * sum(loss.item() for loss in losses), rel=1e-5)
        assert sums[2].item() == 4
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert (trainer.progress.step, trainer.progress.position) == (2, 8)


def test_accumulation_equals_a_larger_batch(small, no_dropout):
    """With batch norm in evaluation mode, as the frozen ResNet has it."""
    found = []
    for batch_size, group in ((2, 2), (4, 1)):
        trainer = trainer_of(
            tiny_model(), OptimizerSettings(learning_rate=1e-3), accumulate_grad_batches=group, gradient_clip_val=0
        )
        loader = loader_of(small, batch_size=batch_size, recipe=DEFAULT)
        trainer.train_step(iter(list(loader)[:group]), group)
        found.append([weight.detach() for weight in trained_weights(trainer)])
    for one, other in zip(*found, strict=True):
        # Adam's first step is the sign of a gradient; where that is all but 0, rounding decides it.
        assert ((one - other).abs() > 1e-5).float().mean() < 0.001


def test_one_batch_can_be_learnt_by_heart(batches):
    trainer = trainer_of(tiny_model(frozen=0), OptimizerSettings(learning_rate=1e-3))
    trainer.model.train()
    losses = [trainer.train_step(iter(batches[:1]), 1)[0].item() / 2 for _ in range(30)]
    assert losses[-1] < 0.2 * losses[0]


def test_bf16_is_close_to_fp32_and_weights_stay_fp32(batches, no_dropout):
    sums = []
    for precision in ("fp32", "bf16"):
        trainer = trainer_of(tiny_model(frozen=0), precision=precision)
        trainer.model.train()
        sums.append(trainer.train_step(iter(batches[:3]), 3))
        assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}
    assert sums[0][0] != sums[1][0]  # it was not fp32
    torch.testing.assert_close(sums[0][0], sums[1][0], rtol=0.03, atol=0)


def test_images_and_convolutions_are_channels_last(batches):
    trainer = trainer_of(tiny_model())
    seen = []
    trunk = trainer.model.feature_extractor.resnet
    trunk[4].register_forward_hook(
        lambda module, inputs, output: seen.append(output.is_contiguous(memory_format=torch.channels_last))
    )
    trainer.train_step(iter(batches[:1]), 1)
    assert seen == [True]
    assert trunk[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_dropout_depends_on_the_place_in_the_training_only(batches):
    results = []
    for disturbance in (0, 3):
        trainer = trainer_of(tiny_model())
        trainer.model.train()
        trainer.train_step(iter(batches[:1]), 1)
        torch.rand(disturbance)
        trainer.train_step(iter(batches[1:2]), 1)
        results.append([weight.detach() for weight in trained_weights(trainer)])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_evaluation_counts_every_sample_once_and_uses_the_average(small):
    trainer = trainer_of(tiny_model(), OptimizerSettings(ema_decay=0.5))
    loader = loader_of(small, training=False, batch_size=3, recipe=DEFAULT)
    with StopRequest(CPU) as stop:
        found = trainer.evaluate(loader, stop)
        with torch.no_grad():
            trainer.model.classifier.fc.bias += torch.tensor([9.0, 0.0, 0.0])
        assert trainer.evaluate(loader, stop) == found
        trainer.average.module.load_state_dict(trainer.model.state_dict())
        biased = trainer.evaluate(loader, stop)
    # Of labels 0, 1, 2, 0, 1 two are 0.
    assert biased["top1"] == pytest.approx(2 / 5)
    assert biased["class_mean"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("recipe", [DEFAULT, REFERENCE], ids=lambda recipe: recipe.name)
def test_depth_is_trained_by_the_network_that_sees_it(made, recipe):
    folder = made(splits={"train": 4}, depth=True, recipe=recipe)
    batches = list(loader_of(folder, recipe=recipe, with_depth=True))
    trainer = trainer_of(tiny_model("VTN_HCPF_D", recipe, frozen=0))
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train_step(iter(batches), len(batches))
    moved = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    assert any(name.startswith("feature_extractor.") for name in moved)
    assert any(name.startswith("feature_extractor_d.") for name in moved) == (recipe is DEFAULT)


def broken(batch: CropBatch) -> CropBatch:
    return replace(batch, pose=batch.pose * float("nan"))


def test_a_step_that_is_not_finite_is_named_by_the_next(batches):
    trainer = trainer_of(tiny_model())
    trainer.train_step(iter([batches[0], broken(batches[1])]), 2)
    with pytest.raises(InputError) as error:
        trainer.train_step(iter(batches[2:3]), 1)
    assert f"at the batch of {', '.join(batches[0].ids + batches[1].ids)};" in error.value.message


@pytest.mark.slow
def test_compiled_steps_are_plain_steps(batches, no_dropout, tmp_path, monkeypatch):
    if shutil.which("gcc") is None and shutil.which("c++") is None:
        pytest.skip("torch.compile needs a C++ compiler on the CPU")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    found = []
    for compiled in (False, True):
        trainer = trainer_of(tiny_model(), compiled=compiled)
        trainer.model.train()
        found.append([trainer.train_step(iter([batch]), 1)[0].item() for batch in batches[:2]])
        assert all(not name.startswith("_orig_mod") for name in trainer.model.state_dict())
    assert found[0] == pytest.approx(found[1], rel=1e-4)
