"""The project's commands: `kedro run` with errors that a person can read."""

from __future__ import annotations

import copy
import errno
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import CONTEXT_SETTINGS
from kedro.validation import ParameterValidationError
from omegaconf import OmegaConf

from satsynth import tracking
from satsynth.commands import project_commands
from satsynth.work.errors import SatSynthError

_INTERRUPTED = 130
_AGAIN = "Everything finished so far is kept: run the same command again (without fresh=true) to go on."


class Stopped(click.ClickException):
    """An interruption by the user, which is no error."""

    exit_code = _INTERRUPTED

    def show(self, file: Any = None) -> None:
        """Say what happened, below the mark that a terminal leaves for Ctrl-C."""
        click.echo(f"\n{self.message}", err=True)


@click.group(context_settings=CONTEXT_SETTINGS, name="satsynth")
def cli() -> None:
    """The commands of satsynth."""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def readable(error: BaseException) -> str | None:
    """Return the message for an error that a user can do something about; None for all others."""
    for cause in _causes(error):
        if isinstance(cause, SatSynthError):
            return str(cause)
        if isinstance(cause, ParameterValidationError):
            return f"{cause}\n  What to do: Correct the parameter in conf/ or in --params."
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            where = cause.filename or "unknown file"
            return f"No space is left on the disk ({where}).\n  What to do: Free some space. {_AGAIN}"
    return None


assert kedro_run.callback is not None
_kedro_run_callback: Callable[..., Any] = kedro_run.callback


def _run(**arguments: Any) -> Any:
    with warnings.catch_warnings():
        # `--pipeline` is our documented form.
        warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")
        try:
            return _kedro_run_callback(**arguments)
        except KeyboardInterrupt:
            with suppress(KeyboardInterrupt):
                tracking.abort()
            raise Stopped(f"Stopped. {_AGAIN}") from None
        except Exception as error:
            message = readable(error)
            if message is None:
                raise
            raise click.ClickException(message) from None


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


run = copy.copy(kedro_run)
run.callback = _run
run.params = [copy.copy(option) for option in kedro_run.params]
next(option for option in run.params if option.name == "params").callback = _params
cli.add_command(run)
cli.add_command(project_commands)
