"""The one exception for mistakes that a user can mend."""

import click


class InputError(click.ClickException):
    """A wrong command line or input file: one line on stderr, exit status 2.

    The message names the file and says what to do about it.
    """

    exit_code = 2
