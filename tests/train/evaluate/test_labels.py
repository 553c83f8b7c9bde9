import pytest

from shards.errors import InputError
from train.evaluate.labels import read_ids, read_labels


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_labels_and_ids_in_their_order(write):
    path = write("\ufeffb,3,train\n\na, 0\r\n")
    assert read_labels(path) == {"b": 3, "a": 0}
    assert read_ids(path) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a,1\nb,two\n", "labels.csv:2: class 'two' is not a whole number from 0 up"),
        ("id,class\n", "labels.csv:1: class 'class' is not a whole number from 0 up"),
        ("a\n", "labels.csv:1: expected id,class, found 'a'"),
        ("a,-1\n", "labels.csv:1: class '-1' is not a whole number from 0 up"),
        ("a,٣\n", "labels.csv:1: class '٣' is not a whole number from 0 up"),
        ("a,12345678901234567890\n", "labels.csv:1: class '12345678901234567890' is not a whole number from 0 up"),
        ("a,1\na,2\n", "labels.csv:2: a has another class further up"),
        ("", "labels.csv: is empty"),
        (b"\xff\xfe\x00", "labels.csv: cannot be read as CSV"),
    ],
)
def test_a_wrong_file_is_named(write, text, part):
    with pytest.raises(InputError) as error:
        read_labels(write(text))
    assert part in error.value.message
    assert "\n" not in error.value.message


def test_the_same_label_twice_is_no_mistake(write):
    assert read_labels(write("a,1\na,1\n")) == {"a": 1}


@pytest.mark.parametrize(("text", "part"), [("a,1\nb,1\na,2\n", "an id occurs twice, e.g. a"), ("", "is empty")])
def test_a_wrong_template_is_named(write, text, part):
    with pytest.raises(InputError, match=part):
        read_ids(write(text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv: cannot be read"):
        read_labels(tmp_path / "absent.csv")
