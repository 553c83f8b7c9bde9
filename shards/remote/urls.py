"""PATTERNs that begin with a URL: which folder elsewhere, which of its shards, and how that may be shown.

What names a folder elsewhere is kept in two halves, between which a file's name stands. Nothing that could be a
credential (`user:password@`, what follows `?`, the text of a `pipe:` command) enters a message, a file or a log.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from shards.errors import InputError
from shards.format.pattern import expand_braces

_URL = re.compile(r"pipe:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# In a command: one word, or the end of a path.
_IN_COMMAND = re.compile(r"(?<![^\s/'\"=:])[\w-]+-\d{3,}\.tar(?![\w.-])", re.ASCII)
# The names come from a dataset.json that somebody else wrote, and a shell reads the command.
_SAFE_IN_COMMAND = re.compile(r"\w[\w.-]*", re.ASCII)


@dataclass(frozen=True)
class RemoteFolder:
    """A folder of shards elsewhere: the URL of a file in it is `before` + its name + `after`."""

    before: str
    after: str = ""

    @property
    def is_command(self) -> bool:
        """Whether the URLs are shell commands."""
        return self.before.startswith("pipe:")

    @property
    def location(self) -> str:
        """The folder without credentials; of a command no more than that it is one."""
        if self.is_command:
            return "pipe:…"
        scheme, rest = self.before.split("://", 1)
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"

    def url(self, name: str) -> str:
        """The URL of a file, for `gopen`.

        Raises:
            InputError: the name must not become a part of a shell command.
        """
        if self.is_command:
            if not _SAFE_IN_COMMAND.fullmatch(name):
                raise InputError(
                    f"{self.shown(name)}: this name is not safe in a shell command; fetch it by another URL"
                )
        elif self.before.startswith("http"):
            name = quote(name)
        return self.before + name + self.after

    def shown(self, name: str) -> str:
        """A file's URL for messages, without credentials."""
        return f"{self.location} {name}" if self.is_command else self.location + name


@dataclass(frozen=True)
class RemoteShards:
    """Shards of one folder elsewhere, in the order of the pattern."""

    folder: RemoteFolder
    names: list[str] | None  # file names; with `*` for any characters; None for every shard


def is_url(pattern: str) -> bool:
    """Whether a PATTERN names shards elsewhere."""
    return _URL.match(pattern) is not None


def without_credentials(pattern: str) -> str:
    """A PATTERN as it may stand in files and messages: a URL without `user:password@` and query, of a command only
    `pipe:…`. A local PATTERN stays as it is.
    """
    if not is_url(pattern):
        return pattern
    if pattern.lower().startswith("pipe:"):
        return "pipe:…"
    folder, name = _split(pattern)
    return folder.location + name


def command_without_credentials(arguments: Iterable[str]) -> list[str]:
    """The words of a command line as they may stand in a file."""
    shown = []
    for argument in arguments:
        option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
        try:
            shown.append(f"{option}{equals}{without_credentials(value)}")
        except InputError:  # like a URL of shards, and none
            shown.append(f"{option}{equals}…")
    return shown


def parse(pattern: str) -> list[RemoteShards]:
    """The shards that a URL PATTERN names: `…/train-{000..099}.tar`, `…/train-<000..099>.tar`, `…/train-*.tar`, `…/`.

    In a command, the name of the shard is a word or ends one (`pipe:ssh HOST cat DIR/train-{000..099}.tar`); `{}`
    stands for every shard (`pipe:ssh HOST cat DIR/{}`).

    Raises:
        InputError: it names neither shards nor a folder.
    """
    found: list[RemoteShards] = []
    for one in expand_braces(pattern):
        folder, name = _split(one)
        if found and found[-1].folder == folder and found[-1].names is not None and name:
            found[-1].names.append(name)
        else:
            found.append(RemoteShards(folder, [name] if name else None))
    return found


def _split(url: str) -> tuple[RemoteFolder, str]:
    """The folder of a URL, and the shard's name in it; "" for all."""
    if not url.isprintable():
        raise InputError("a URL has characters that do not print; type it again")
    return _split_command(url) if url.lower().startswith("pipe:") else _split_address(url)


def _split_command(url: str) -> tuple[RemoteFolder, str]:
    command = f"pipe:{url[5:]}"
    if command.count("{}") == 1:
        before, _, after = command.partition("{}")
        return RemoteFolder(before, after), ""
    names = list(_IN_COMMAND.finditer(command))
    if len(names) != 1:
        raise InputError(
            f"pipe:…: {len(names)} names of shards in it; it needs one, as train-{{000..099}}.tar, or {{}} for all"
        )
    start, end = names[0].span()
    return RemoteFolder(command[:start], command[end:]), command[start:end]


def _split_address(url: str) -> tuple[RemoteFolder, str]:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a password with / or ? in it is taken for a port
    except ValueError:
        raise InputError("a URL whose host or port cannot be read (not shown: it may hold a password)") from None
    folder, _, name = parts.path.rpartition("/")
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if not parts.netloc or parts.fragment or (name and not name.endswith(".tar")):
        raise InputError(
            f"{shown}: a URL of shards ends in a name such as train-{{000..099}}.tar, or in / for a folder"
        )
    after = f"?{parts.query}" if parts.query else ""
    return RemoteFolder(f"{parts.scheme}://{parts.netloc}{folder}/", after), unquote(name) if parts.scheme.startswith(
        "http"
    ) else name
