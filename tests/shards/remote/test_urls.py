import pytest

from shards.errors import InputError
from shards.remote.urls import RemoteFolder, command_without_credentials, is_url, parse, without_credentials


def urls(pattern: str) -> list[str]:
    return [one.folder.url(name) for one in parse(pattern) for name in one.names or ["*"]]


@pytest.mark.parametrize(
    ("pattern", "answer"),
    [
        ("https://h/d/", True),
        ("s3://b/train-000.tar", True),
        ("pipe:cat x", True),
        ("shards", False),
        ("train-{000..001}.tar", False),
        ("C:/x", False),
    ],
)
def test_what_is_a_url(pattern: str, answer: bool) -> None:
    assert is_url(pattern) is answer


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("https://h/d/train-{000..002}.tar", [f"https://h/d/train-00{number}.tar" for number in range(3)]),
        ("https://h/d/train-<002..003>.tar?a=b", ["https://h/d/train-002.tar?a=b", "https://h/d/train-003.tar?a=b"]),
        ("s3://b/{train,val}-000.tar", ["s3://b/train-000.tar", "s3://b/val-000.tar"]),
        ("http://h/my%20set/a%20b-000.tar", ["http://h/my%20set/a%20b-000.tar"]),
        ("https://me:pw@h:8443/d/", ["https://me:pw@h:8443/d/*"]),
        ("https://h/", ["https://h/*"]),
        ("pipe:cat /d/train-{0..1}00.tar | gzip -dc", [f"pipe:cat /d/train-{n}00.tar | gzip -dc" for n in (0, 1)]),
        ("pipe:ssh h 'cat /d/{}'", ["pipe:ssh h 'cat /d/*'"]),
    ],
)
def test_urls_of_a_pattern(pattern: str, expected: list[str]) -> None:
    assert [url.replace("%2A", "*") for url in _all(pattern)] == expected


def _all(pattern: str) -> list[str]:
    return [
        one.folder.url(name) if name else one.folder.before + "*" + one.folder.after
        for one in parse(pattern)
        for name in one.names or [""]
    ]


def test_folders_in_braces_keep_their_order() -> None:
    found = parse("http://h/{b,a}/train-{000..001}.tar")
    assert [(one.folder.before, one.names) for one in found] == [
        ("http://h/b/", ["train-000.tar", "train-001.tar"]),
        ("http://h/a/", ["train-000.tar", "train-001.tar"]),
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        "https://h/d",  # a folder ends in /
        "https://h/d/train.zip",
        "https:///train-000.tar",
        "https://h/train-000.tar#part",
        "https://user:se/cret@h/train-000.tar",  # the password would be taken for a path
        "https://user:se?cret@h/train-000.tar",
        "https://h/d/train-000.tar\n",
        "pipe:cat /d/x",
        "pipe:cat train-000.tar train-001.tar",
        "file:///d/train-000.tar",
    ],
)
def test_what_names_no_shards_is_refused_and_no_password_shown(pattern: str) -> None:
    with pytest.raises(InputError) as error:
        parse(pattern)
    assert "cret" not in error.value.message


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("https://me:secret@h/d/train-{0..1}.tar?sig=secret", "https://h/d/train-{0..1}.tar"),
        ("https://secret@h/d/", "https://h/d/"),
        ("pipe:curl -u me:secret http://h/train-{000..009}.tar", "pipe:…"),
        ("/local/train-*.tar?", "/local/train-*.tar?"),
    ],
)
def test_credentials_are_cut(pattern: str, shown: str) -> None:
    assert without_credentials(pattern) == shown


def test_names_that_a_dataset_json_gives_do_not_become_shell_words() -> None:
    command = RemoteFolder("pipe:cat /d/")
    assert command.url("train-000.tar") == "pipe:cat /d/train-000.tar"
    for name in ("a;id-000.tar", "$(id)-000.tar", "a b-000.tar", "-n-000.tar", "`id`.parquet"):
        with pytest.raises(InputError, match="not safe"):
            command.url(name)


def test_names_in_addresses_are_quoted() -> None:
    assert RemoteFolder("http://h/d/").url("a?b c-000.tar") == "http://h/d/a%3Fb%20c-000.tar"


def test_a_command_line_is_shown_without_credentials() -> None:
    command = [
        "train",
        "--shards",
        "https://me:secret@h/d/train-*.tar?key=secret",
        "--val-shards=pipe:secret",
        "--run-dir",
    ]
    assert command_without_credentials([*command, "s3://b/secret", "--seed=1"]) == [
        "train", "--shards", "https://h/d/train-*.tar", "--val-shards=pipe:…", "--run-dir", "…", "--seed=1",
    ]  # fmt: skip
