"""The project's own commands, `kedro satsynth <command>`. Each is in a module with few imports."""

from __future__ import annotations

from typing import Any

import click

from satsynth.commands.describe import describe
from satsynth.commands.failures import one_message
from satsynth.commands.sharing import share
from satsynth.commands.storage import prune, storage


class ReadableGroup(click.Group):
    """Group of commands that show errors as messages instead of tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            ClickException: It failed; the message says what to do.
        """
        with one_message():
            return super().invoke(ctx)


@click.group(name="satsynth", cls=ReadableGroup)
def project_commands() -> None:
    """Commands of satsynth other than its pipelines."""


project_commands.add_command(describe)
project_commands.add_command(storage)
project_commands.add_command(prune)
project_commands.add_command(share)
