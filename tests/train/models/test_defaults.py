import pytest
from click.testing import CliRunner

from shards.errors import InputError
from train.cli import main
from train.models import defaults
from train.models.defaults import shown_default, with_defaults

OTHER = {"batch_size": 64, "learning_rate": 3e-3, "num_layers": 4}


@pytest.fixture
def two_models(monkeypatch):
    """A second model, with defaults of its own, and without a ResNet."""
    monkeypatch.setattr(defaults, "DEFAULTS", {**defaults.DEFAULTS, "OTHER": OTHER})


def options(**given):
    names = main.make_context("train", ["--shards", "train-*.tar", "--run-dir", "."]).params
    return names | given


def test_what_was_not_given_is_the_models(two_models):
    found = with_defaults(options(model="VTN_HCPF", batch_size=2, schedule="cosine"))
    assert (found["batch_size"], found["schedule"], found["cnn"], found["learning_rate"]) == (2, "cosine", "rn34", 1e-4)
    assert found["max_epochs"] == 100  # the same for all models
    found = with_defaults(options(model="OTHER", learning_rate=0.5))
    assert (found["batch_size"], found["learning_rate"]) == (64, 0.5)
    assert "cnn" not in found


def test_zero_is_given():
    assert with_defaults(options(gradient_clip_val=0.0))["gradient_clip_val"] == 0


def test_an_option_that_a_model_does_not_have_is_refused(two_models):
    with pytest.raises(InputError, match="--cnn means nothing for OTHER; leave it out"):
        with_defaults(options(model="OTHER", cnn="rn18"))


def test_help_shows_the_defaults_of_all_models(two_models):
    assert shown_default("batch_size") == "[default: 4; POSE: 64; OTHER: 64]"
    assert shown_default("num_layers") == "[default: 4; POSE: 3]"
    assert shown_default("cnn") == "[default: rn34]"


def test_every_option_of_a_model_is_an_option_of_train():
    names = main.make_context("train", ["--shards", "train-*.tar", "--run-dir", "."]).params
    text = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    for option, value in defaults.DEFAULTS["VTN_HCPF"].items():
        assert names[option] is None
        assert f"[default: {value}]" in text or f"[default: {value}; " in text
