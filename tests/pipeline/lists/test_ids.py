import pytest

from pipeline.lists.ids import LONGEST, legal_id, unique_ids
from shards.names import id_problem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("01_03_0001_(06_12)_c", "01_03_0001_(06_12)_c"),
        ("Animals/4. Bird/MVI_1", "Animals_4_ Bird_MVI_1"),
        ("a\\b\nc\x7f", "a_b_c_"),
        ("o\u0308g\u0306", "\u00f6\u011f"),
        (" a ", "a"),
        ("", "_"),
        ("\udcff", "_"),
    ],
)
def test_ids_are_legal(name: str, expected: str) -> None:
    assert legal_id(name) == expected
    assert id_problem(expected) is None


def test_long_ids_are_cut_and_stay_different() -> None:
    one, two = (legal_id("ж" * 100 + end) for end in "ab")
    assert one != two
    assert len(one.encode()) <= LONGEST
    assert one == legal_id("ж" * 100 + "a")


def test_equal_ids_get_the_split_in_front_and_then_numbers() -> None:
    ids, told = unique_ids(["x", "y", "x", "y", "z"], ["train", "train", "test", "train", "test"])
    assert ids == ["train_x", "y", "test_x", "y_2", "z"]
    assert len(told) == 2


def test_a_number_that_is_taken_is_passed_over() -> None:
    assert unique_ids(["y", "y", "y_2"], ["", "", ""])[0] == ["y", "y_3", "y_2"]


def test_case_and_form_alone_do_not_tell_ids_apart() -> None:
    ids, _ = unique_ids(["a.b", "a_b", "A_B", "\u00f6", "o\u0308"], [""] * 5)
    assert ids == ["a_b_2", "a_b_3", "A_B", "\u00f6_2", "\u00f6"]


def test_ids_depend_on_the_names_and_not_on_their_order() -> None:
    names = ["a/b", "a_b", "a.b", "c"]
    ids = dict(zip(names, unique_ids(names, [""] * 4)[0], strict=True))
    turned = names[::-1]
    assert dict(zip(turned, unique_ids(turned, [""] * 4)[0], strict=True)) == ids
