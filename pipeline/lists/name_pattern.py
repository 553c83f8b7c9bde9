"""Patterns of paths, such as `{split}/{signer}_{rep}_{label}`."""

import re
from functools import cached_property

from shards.errors import InputError

USED = ("split", "signer", "label", "id")
_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:d)?\}")


class NamePattern:
    """A pattern of the path of a clip below its root, without the suffix.

    `{name}` stands for one or more characters of a folder's or file's name, `{name:d}` for digits. A name that occurs
    again stands for the same text. `split`, `signer`, `label` and `id` are used, other names are passed over.

    Raises:
        InputError: no `{label}`, or braces that are none of these.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        names = [match[1] for match in _FIELD.finditer(text)]
        if "label" not in names:
            raise InputError(f"--pattern {text}: has no {{label}}, which says the class")
        if re.search(r"[{}]", _FIELD.sub("", text)):
            raise InputError(f"--pattern {text}: a field is {{name}}, or {{name:d}} for digits")

    def _expression(self, lazy: bool) -> re.Pattern[str]:
        parts, end, seen = [], 0, set()
        for match in _FIELD.finditer(self.text):
            name, digits = match[1], match[2]
            parts.append(re.escape(self.text[end : match.start()]))
            one = "[0-9]+" if digits else "[^/]+"
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{one}{'?' if lazy else ''})")
            seen.add(name)
            end = match.end()
        return re.compile("".join([*parts, re.escape(self.text[end:])]), re.DOTALL)

    @cached_property
    def _expressions(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return self._expression(lazy=True), self._expression(lazy=False)

    def match(self, path: str) -> dict[str, str] | None:
        """What the fields stand for in a path without its suffix; None where it does not match.

        Raises:
            InputError: the path can be read in two ways that differ in a field that is used.
        """
        first, second = (expression.fullmatch(path) for expression in self._expressions)
        if not first or not second:
            return None
        for name, text in first.groupdict().items():
            if name in USED and second[name] != text:
                raise InputError(
                    f"--pattern {self.text}: in {path!r} {name} may be {text!r} or {second[name]!r}; write {{name:d}} "
                    "for fields that are digits only"
                )
        return first.groupdict()
