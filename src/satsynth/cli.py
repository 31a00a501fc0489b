"""The project's commands: `kedro run` with errors that a person can read."""

from __future__ import annotations

import copy
import sys
import warnings
from contextlib import suppress
from types import TracebackType
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import CONTEXT_SETTINGS
from omegaconf import OmegaConf

from satsynth import tracking
from satsynth.commands import project_commands
from satsynth.commands.failures import AGAIN, one_message
from satsynth.commands.selection import check_selection
from satsynth.work.placement import PartDone

_INTERRUPTED = 130


class Stopped(click.ClickException):
    """An interruption by the user, which is no error."""

    exit_code = _INTERRUPTED

    def show(self, file: Any = None) -> None:
        """Say what happened, below the mark that a terminal leaves for Ctrl-C."""
        click.echo(f"\n{self.message}", err=True)


@click.group(context_settings=CONTEXT_SETTINGS, name="satsynth")
def cli() -> None:
    """The commands of satsynth."""


class RunCommand(click.Command):
    """`kedro run` that ends every failure with one message."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the options.

        Raises:
            ClickException: They cannot be read.
        """
        with one_message():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run pipelines.

        Raises:
            Stopped: The user stopped them.
            ClickException: They failed.
        """
        with warnings.catch_warnings():
            # `--pipeline` is our documented form.
            warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")
            try:
                with one_message():
                    check_selection(ctx.params)
                    try:
                        return super().invoke(ctx)
                    except PartDone as done:
                        click.echo(done)
                        return None
            except KeyboardInterrupt:
                with suppress(KeyboardInterrupt):
                    tracking.abort()
                raise Stopped(f"Stopped. {AGAIN}") from None


def _parts(value: str) -> list[str]:
    """Split a list of parameters at the commas outside of brackets."""
    parts, depth = [""], 0
    for character in value:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _params(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Read parameters as Kedro does, but with lists: it ends a parameter at every comma."""
    if isinstance(value, dict):
        return value
    entries = []
    for part in _parts(value):
        name, sign, given = part.partition("=")
        if not sign or not name.strip():
            context.fail(f"Invalid format of `--params`: item `{part}` must be a key and a value separated by `=`.")
        entries.append(f"{name.strip()}={given}")
    return OmegaConf.to_container(OmegaConf.from_dotlist(entries))


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show what a command of Kedro or of a plugin lets through, such as `kedro viz`, as one message too."""
    if not isinstance(error, Exception):
        sys.__excepthook__(kind, error, trace)
        return
    try:
        with one_message():
            raise error
    except click.ClickException as message:
        message.show()


run = RunCommand(
    name=kedro_run.name,
    callback=kedro_run.callback,
    params=[copy.copy(option) for option in kedro_run.params],
    help=kedro_run.help,
)
next(option for option in run.params if option.name == "params").callback = _params
cli.add_command(run)
cli.add_command(project_commands)
# Kedro imports this module for its commands only.
sys.excepthook = _excepthook
