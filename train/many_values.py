"""Options that take several values after one name, as in `--logits a.npz b.npz`, which click itself does not have."""

from collections.abc import Sequence

import click

from shards.command_line import Command


def spread(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """`--logits a b --labels c` → `--logits a --logits b --labels c`, for the options named: click's own form."""
    result: list[str] = []
    current = ""  # the option whose values are being read, after its first
    for argument in arguments:
        if argument.startswith("-"):
            current = ""
        elif result and result[-1] in options:
            current = result[-1]
        elif current:
            result.append(current)
        result.append(argument)
    return result


class ManyValuesCommand(Command):
    """A command whose options with `multiple=True` also take several values after one name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Click's hook."""
        names = [name for option in self.params if getattr(option, "multiple", False) for name in option.opts]
        return super().parse_args(ctx, spread(args, names))
