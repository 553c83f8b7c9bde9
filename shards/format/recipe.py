"""Recipes: named switches between the 2021 reference's exact behaviour and the right one.

Every switch is a quirk of the reference. `REFERENCE` has all of them, so that its released checkpoints give the same
predictions; `DEFAULT` has none. Code asks for a switch (`recipe.flow_after_frame`), never for a recipe's name.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from shards.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """One switch per quirk; each comment says what the quirk does, then what happens without it, and why."""

    name: str
    # The window of sampled frames starts at (T - L) // (2·stride): off-center for strides over 1, and it may pad
    # although frames are left. Without: centered, and padded only when the clip is too short.
    off_centre_window: bool = False
    # Training sees the same window as testing. Without: a random start, a free augmentation.
    fixed_training_window: bool = False
    # A point filled in at frame t counts as present for t + 1, so a gap is filled forwards and then jumps. Without: the
    # nearest frame where the point was really seen.
    chained_imputation: bool = False
    # Each frame is divided by its own neck length, so jitter of the neck moves every point, and a missing neck is
    # fatal. Without: the clip's median neck length, or shoulder width where no neck was ever seen.
    scale_per_frame: bool = False
    # The flow of a sampled frame is the motion to the next video frame. Without: the motion since the previous
    # *sampled* frame, (0, 0) at the first, so that no motion between the sampled frames is lost.
    flow_after_frame: bool = False
    # A crop's side follows the shoulder width of its own frame; one lost shoulder makes a huge box. Without: the clip's
    # median shoulder width.
    box_per_frame: bool = False
    # A missing hand is cut as the whole frame and, inside the window, imputed one position too late. Without: the
    # nearest good crop of the clip, marked as missing.
    late_hand_imputation: bool = False
    # A missing right hand swaps color and depth; imputing a left hand copies color into depth. Without: never mixed.
    mixed_depth: bool = False
    # A hand of which only wrist and elbow are known is shown as it was cut: often sleeve or background. Without: the
    # nearest crop of the clip in which the hand itself was found; a hand that was found in no frame stays as it is.
    guessed_hands_shown: bool = False
    # Frames are converted to RGB as OpenCV has FFmpeg do it, quickly and 1 to 2 gray levels too dark. Without: a crop's
    # JPEG holds the video's own luma and chroma.
    opencv_colour: bool = False
    # Crops over 256 are shrunk without antialiasing in color (with it in depth). Without: antialiased in both.
    aliased_colour: bool = False
    # A horizontal flip mirrors pixels only. Without: hands are swapped, flow and keypoints mirrored, as in a mirror.
    flip_pixels_only: bool = False
    # Multi-scale crops draw only the first 4 of the 10 scale pairs, at offsets computed for a 224 window, so that
    # larger windows run over the edge. Without: all 10 pairs, always inside.
    clipped_multiscale: bool = False
    # Features are normalized without epsilon: a constant input gives NaN. Without: an epsilon.
    bare_normalisation: bool = False
    # Attention logits are divided by the root of the model width. Without: of the head width.
    attention_by_model_width: bool = False
    # Depth crops go through the color ResNet although the model has a second one. Without: through their own.
    depth_through_colour_cnn: bool = False

    def to_json(self) -> dict[str, Any]:
        """Name, switches that are on, and of later switches those that are off, for `dataset.json` and checkpoints."""
        quirks = [key for key, on in asdict(self).items() if on is True and key not in _LATER]
        mended = [key for key in _LATER if not getattr(self, key)]
        return {"name": self.name, "quirks": quirks} | ({"mended": mended} if mended else {})


# Switches that came when recipes had been stored already, all of which did what the switch now says: it is on where the
# JSON does not name it, and the reference's JSON stays what it was. Only readers of shards ask for them, so shards and
# checkpoints of before and after go together; see `joined`.
_LATER = ("guessed_hands_shown",)

DEFAULT = Recipe("default")
REFERENCE = Recipe("reference", **{field.name: True for field in fields(Recipe) if field.type in (bool, "bool")})
RECIPES = {recipe.name: recipe for recipe in (DEFAULT, REFERENCE)}


def recipe_from_json(value: dict[str, Any], source: str) -> Recipe:
    """The recipe that `source` (a file, for the error) was made with.

    Raises:
        InputError: when this version does not know the recipe, or knows it with other switches.
    """
    named = RECIPES.get(value.get("name", ""))
    later: dict[str, Any] = dict.fromkeys(_LATER, True)
    for recipe in (named, replace(named, **later)) if named else ():
        if recipe.to_json() == value:
            return recipe
    raise InputError(f"{source}: recipe {value} is not one this version has ({', '.join(RECIPES)}); make it anew")


def joined(one: Recipe, other: Recipe) -> Recipe:
    """The recipe of two shard sets of one name taken together: a later switch is off only where both have it off."""
    return replace(one, **{key: getattr(one, key) or getattr(other, key) for key in _LATER})
