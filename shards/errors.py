"""Expected errors: one line on stderr that names the file, the fault and the way out, and no traceback."""

import click


class OneLineError(click.ClickException):
    """What is no mistake of this program: a full disk, say; exit status 1."""

    exit_code = 1

    def format_message(self) -> str:
        """The line, safe for a terminal."""
        return escaped(self.message)


class InputError(OneLineError):
    """A wrong command line or input file, which the user can mend; exit status 2."""

    exit_code = 2


def escaped(text: str) -> str:
    r"""The text with every character that does not print as an escape such as `\x1b`, as `repr` writes it.

    Names, ids and settings come from other people's files, and a terminal obeys control characters.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
