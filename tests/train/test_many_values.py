import pytest

from train.many_values import spread


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--logits a b --labels c", "--logits a --logits b --labels c"),
        ("--logits a --logits b", "--logits a --logits b"),
        ("--labels c --logits a b c", "--labels c --logits a --logits b --logits c"),
        (
            "--logits a b --val-logits c d --labels e f",
            "--logits a --logits b --val-logits c --val-logits d --labels e f",
        ),
        ("--logits=a b", "--logits=a b"),
        ("x --logits", "x --logits"),
        ("", ""),
    ],
)
def test_spread(given, expected):
    assert spread(given.split(), ["--logits", "--val-logits"]) == expected.split()
