import pytest

from shards.names import id_problem, is_split_name, signer_of, signer_order


@pytest.mark.parametrize(
    "sample_id", ["", "a.b", "a/b", "..", "a\\b", "a\nb", "a\x00", "a\x7f", "x" * 84, "ü" * 42, "\udcff"]
)
def test_forbidden_ids(sample_id: str) -> None:
    assert id_problem(sample_id)


@pytest.mark.parametrize("sample_id", ["a", "signer1_sample2", "işaret çok güzel", "日本語", "x" * 83, "ü" * 41])
def test_allowed_ids(sample_id: str) -> None:
    assert id_problem(sample_id) is None


def test_signers_and_split_names() -> None:
    assert [signer_of(key) for key in ("signer12_sample3", "signer1_sample2_x", "x", "signer_sample1")] == [
        "12",
        "",
        "",
        "",
    ]
    assert [is_split_name(name) for name in ("train", "", "a/b", "a.b", "-x", "\udcff")] == [True] + [False] * 5


def test_signers_are_sorted_by_number() -> None:
    signers = ["²", "10", "anna", "9", "", "٣", "1" * 5000]
    assert sorted(signers, key=signer_order) == ["٣", "9", "10", "", "1" * 5000, "anna", "²"]
