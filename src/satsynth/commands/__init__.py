"""Commands of their own, as `kedro satsynth <command>`."""

from __future__ import annotations

from typing import Any

import click

from satsynth.commands.storage import prune, storage
from satsynth.work.errors import SatSynthError


class _Readable(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors that are meant to be read are shown as one message."""
        try:
            return super().invoke(ctx)
        except SatSynthError as error:
            raise click.ClickException(str(error)) from None


@click.group(name="satsynth", cls=_Readable)
def project_commands() -> None:
    """Look after this project."""


project_commands.add_command(storage)
project_commands.add_command(prune)
