import pytest

from pipeline.lists.name_pattern import NamePattern
from shards.errors import InputError


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("{split}/{signer}_{rep}_{label}", "train/01_02_0003", ("train", "01", "0003")),
        ("_{group}/{signer}_{label} ({take:d})", "_gde/P1_gde (1)", (None, "P1", "gde")),
        ("{signer}/{signer}/{split}/{label}/{clip}", "03/03/test/0071/x_1", ("test", "03", "0071")),
        ("{category}/{label}/{clip}", "Animals/4. Bird/MVI_1", (None, None, "4. Bird")),
        ("{label}_{signer:d}", "good_morning_7", (None, "7", "good_morning")),
        ("U{signer:d}W{label:d}F_{rest}", "U4W216F_trial_0_L", (None, "4", "216")),
    ],
)
def test_fields(pattern: str, path: str, fields: tuple[str | None, str | None, str]) -> None:
    match = NamePattern(pattern).match(path)
    assert (match.get("split"), match.get("signer"), match["label"]) == fields


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("{split}/{signer}_{label}", "01_02"),
        ("{label}/{clip}", "a/b/c"),
        ("{signer}/{signer}/{label}/{clip}", "1/2/a/b"),
        ("{label}.{clip}", "aXb"),
        ("{label:d}/{clip}", "٣/b"),
    ],
)
def test_paths_that_do_not_match(pattern: str, path: str) -> None:
    assert NamePattern(pattern).match(path) is None


def test_two_ways_to_read_a_path() -> None:
    with pytest.raises(InputError, match="'good' or 'good_morning'"):
        NamePattern("{label}_{rep}").match("good_morning_1")
    assert NamePattern("{label}/{a}_{b}").match("x/1_2_3")["label"] == "x"  # what is not used may be read anyhow


@pytest.mark.parametrize("pattern", ["{signer}/{clip}", "{label}/{", "{label}/{a b}", "{label:x}/a"])
def test_wrong_patterns(pattern: str) -> None:
    with pytest.raises(InputError, match="--pattern"):
        NamePattern(pattern)
