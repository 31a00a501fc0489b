"""The project's own commands: `kedro satsynth <command>`, each in a module of its own that imports little."""

from __future__ import annotations

from typing import Any

import click

from satsynth.commands.describe import describe
from satsynth.commands.storage import prune, storage
from satsynth.work.errors import SatSynthError


class ReadableGroup(click.Group):
    """Commands whose errors are messages, not tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            ClickException: What a user can do something about.
        """
        try:
            return super().invoke(ctx)
        except SatSynthError as error:
            raise click.ClickException(str(error)) from None


@click.group(name="satsynth", cls=ReadableGroup)
def project_commands() -> None:
    """Commands beside the pipelines."""


project_commands.add_command(describe)
project_commands.add_command(storage)
project_commands.add_command(prune)
