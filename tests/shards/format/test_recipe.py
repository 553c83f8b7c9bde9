from dataclasses import asdict

import pytest

from shards.errors import InputError
from shards.format.recipe import DEFAULT, RECIPES, REFERENCE, recipe_from_json


def test_reference_has_every_quirk_and_default_none() -> None:
    switches = {key for key in asdict(DEFAULT) if key != "name"}
    assert DEFAULT.to_json() == {"name": "default", "quirks": []}
    assert set(REFERENCE.to_json()["quirks"]) == switches
    assert len(switches) > 10


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_round_trip(recipe) -> None:
    assert recipe_from_json(recipe.to_json(), "here") is recipe


@pytest.mark.parametrize("value", [{}, {"name": "mine", "quirks": []}, {"name": "default", "quirks": ["mixed_depth"]}])
def test_unknown(value) -> None:
    with pytest.raises(InputError, match="here: recipe"):
        recipe_from_json(value, "here")
