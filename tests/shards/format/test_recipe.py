from dataclasses import asdict, replace

import pytest

from shards.errors import InputError
from shards.format.recipe import DEFAULT, RECIPES, REFERENCE, joined, recipe_from_json


def test_reference_has_every_quirk_and_default_none() -> None:
    switches = {key for key in asdict(DEFAULT) if key != "name"}
    assert not any(getattr(DEFAULT, key) for key in switches)
    assert all(getattr(REFERENCE, key) for key in switches)
    assert len(switches) > 10


def test_the_references_json_is_what_it_ever_was() -> None:
    """It stands in shards and checkpoints, which are compared byte by byte."""
    first = """
    off_centre_window fixed_training_window chained_imputation scale_per_frame flow_after_frame box_per_frame
    late_hand_imputation mixed_depth opencv_colour aliased_colour flip_pixels_only clipped_multiscale bare_normalisation
    attention_by_model_width depth_through_colour_cnn
    """
    assert REFERENCE.to_json() == {"name": "reference", "quirks": first.split()}


def test_a_default_recipe_of_before_shows_guessed_hands() -> None:
    before = recipe_from_json({"name": "default", "quirks": []}, "here")
    assert before == replace(DEFAULT, guessed_hands_shown=True)
    assert before.to_json() == {"name": "default", "quirks": []}
    assert DEFAULT.to_json() == {"name": "default", "quirks": [], "mended": ["guessed_hands_shown"]}
    assert joined(before, DEFAULT) == joined(DEFAULT, before) == before
    assert joined(DEFAULT, DEFAULT) == DEFAULT


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_round_trip(recipe) -> None:
    assert recipe_from_json(recipe.to_json(), "here") is recipe


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"name": "mine", "quirks": []},
        {"name": "default", "quirks": ["mixed_depth"]},
        {"name": "default", "quirks": [], "mended": ["mixed_depth"]},
    ],
)
def test_unknown(value) -> None:
    with pytest.raises(InputError, match="here: recipe"):
        recipe_from_json(value, "here")
