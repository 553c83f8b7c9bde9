import math

import pytest
import torch
from torch import nn

from train.fit.optimizer import OptimizerSettings, learning_rate, make_average, make_optimizer


def test_published_schedule():
    rates = [learning_rate(OptimizerSettings(), epoch) for epoch in (0, 4.99, 5, 9.5, 10)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-6])


def test_steps_are_those_of_torchs_step_lr():
    settings = OptimizerSettings(learning_rate=0.3, lr_step_size=3)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    for epoch in range(10):
        assert learning_rate(settings, epoch + 0.7) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


def test_cosine_with_warm_up():
    settings = OptimizerSettings(learning_rate=2.0, schedule="cosine", warmup_epochs=2, max_epochs=12)
    assert learning_rate(settings, 0) > 0  # a first step of 0 would be lost
    assert learning_rate(settings, 0.5) == pytest.approx(0.5)
    assert learning_rate(settings, 1) == pytest.approx(1.0)
    assert learning_rate(settings, 2) == pytest.approx(2.0)
    assert learning_rate(settings, 7) == pytest.approx(1.0)
    assert learning_rate(settings, 4.5) == pytest.approx(1 + math.cos(math.pi / 4))
    assert learning_rate(settings, 12) == pytest.approx(0.0)
    falling = [learning_rate(settings, 2 + step / 10) for step in range(101)]
    assert falling == sorted(falling, reverse=True)


def test_a_cosine_of_less_than_an_epoch_ends_at_0_too():
    settings = OptimizerSettings(learning_rate=2.0, schedule="cosine", warmup_epochs=1.5, max_epochs=2)
    assert [learning_rate(settings, epoch) for epoch in (1.5, 1.75, 2)] == pytest.approx([2.0, 1.0, 0.0])


def test_warm_up_before_steps():
    settings = OptimizerSettings(learning_rate=1.0, lr_step_size=5, warmup_epochs=1)
    assert [learning_rate(settings, epoch) for epoch in (0.25, 1, 5.9, 6)] == pytest.approx([0.25, 1.0, 1.0, 0.1])


@pytest.mark.parametrize(("decay", "equivalent"), [(0.0, torch.optim.Adam), (0.1, torch.optim.AdamW)])
def test_the_optimizer_is_adam_until_there_is_weight_decay(decay, equivalent):
    torch.manual_seed(0)
    models = [nn.Linear(3, 2) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    ours = make_optimizer(models[0], OptimizerSettings(learning_rate=0.01, weight_decay=decay))
    theirs = equivalent(models[1].parameters(), lr=0.01, weight_decay=decay)
    for _ in range(5):
        x = torch.randn(4, 3)
        for model, optimizer in zip(models, (ours, theirs), strict=True):
            model(x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    torch.testing.assert_close(models[0].weight, models[1].weight)


def test_frozen_parameters_get_no_state():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    optimizer = make_optimizer(model, OptimizerSettings())
    assert [id(p) for group in optimizer.param_groups for p in group["params"]] == [
        id(p) for p in model[1].parameters()
    ]


def test_the_average_follows_weights_and_statistics():
    model = nn.BatchNorm1d(1)
    average = make_average(model, OptimizerSettings(ema_decay=0.75))
    expected = None
    for value in (1.0, 3.0, -2.0):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(10 * value)
        average.update_parameters(model)
        expected = value if expected is None else 0.75 * expected + 0.25 * value
        assert average.module.weight.item() == pytest.approx(expected)
        assert average.module.running_mean.item() == pytest.approx(10 * expected)
    assert make_average(model, OptimizerSettings()) is None
