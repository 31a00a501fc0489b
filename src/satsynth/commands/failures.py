"""What a command says when it fails: one message, whatever was raised."""

from __future__ import annotations

import errno
import io
import os
import platform
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType, TracebackType

import click
from kedro.config import MissingConfigException
from kedro.validation import ParameterValidationError

from satsynth.hooks import activity
from satsynth.tracking.provenance import machine_tags, without_password
from satsynth.work.errors import SatSynthError, printable

AGAIN = "Everything finished so far is kept: run the same command again (without fresh=true) to go on."
_LESS_MEMORY = (
    "Free memory or raise the limit (`ulimit -v`), or ask for less at once: a smaller `batch_size`, "
    f"fewer `compute.workers` and `compute.loader_workers`. {AGAIN}"
)
# Compiled libraries report what the system refused as text.
_NUMBERED = re.compile(r"os error (\d+)|\[?Errno (\d+)\]?")
_IN_WORDS = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
    "Cannot allocate memory": errno.ENOMEM,
    "File name too long": errno.ENAMETOOLONG,
    "Too many open files": errno.EMFILE,
    "can't start new thread": errno.ENOMEM,
    "can't allocate memory": errno.ENOMEM,
    "not enough memory": errno.ENOMEM,
    "Insufficient memory": errno.ENOMEM,
    "failed to map segment": errno.ENOMEM,
    "out of memory": errno.ENOMEM,
}
_FOLDER = Path("data") / ".work" / "errors"


@contextmanager
def one_message() -> Iterator[None]:
    """Turn whatever is raised into a message of a command.

    Raises:
        ClickException: The message.
    """
    for stream in (sys.stdout, sys.stderr):
        # A locale without some letters costs these letters, not the run.
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        raise click.ClickException(readable(error) or unexpected(error)) from None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def readable(error: BaseException) -> str | None:
    """Return the message for an error that a user can do something about; None for all others."""
    for cause in causes(error):
        if isinstance(cause, SatSynthError):
            return str(cause)
        if isinstance(cause, ParameterValidationError):
            return f"{cause}\n  What to do: Correct the parameter in conf/ or in --params."
        if isinstance(cause, MissingConfigException):
            return f"{cause}\n  What to do: Put the configuration back; conf/local may be an empty folder."
    for cause in causes(error):
        message = _of_the_system(cause)
        if message:
            return message
    return None


def _of_the_system(error: BaseException) -> str | None:
    """Return the message for what the machine or its limits refused."""
    where = file_of(error)
    place = f" ({where})" if where else ""
    if isinstance(error, UnicodeError):
        return _letters(error, place)
    if isinstance(error, MemoryError):
        return f"Memory ran out while satsynth did this: {_doing()}{place}.\n  What to do: {_LESS_MEMORY}"
    number = _number(error)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"No space is left on the disk{place}.\n  What to do: Free some space. {AGAIN}"
    if number == errno.EFBIG:
        return (
            f"A file would become larger than this process may write{place}.\n"
            f"  What to do: Raise the limit (`ulimit -f unlimited`), or use a file system without it. {AGAIN}"
        )
    if number == errno.ENOMEM:
        return f"Memory ran out while satsynth did this: {_doing()}{place}.\n  What to do: {_LESS_MEMORY}"
    if number == errno.ENAMETOOLONG:
        return (
            f"A file name is too long for this file system{place}.\n  What to do: Shorten it, then repeat the command."
        )
    if number == errno.EMFILE:
        return f"Too many files are open at once{place}.\n  What to do: Raise the limit (`ulimit -n 4096`). {AGAIN}"
    return None


def _number(error: BaseException) -> int | None:
    """Return the number by which the system names an error, also where a library gives it as text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    # Only of errors by which compiled libraries pass on what the system said.
    if not isinstance(error, OSError | RuntimeError | ImportError | ValueError) and "Error" not in type(error).__name__:
        return None
    numbered = _NUMBERED.search(text)
    if numbered:
        return int(numbered[1] or numbered[2])
    return next((number for words, number in _IN_WORDS.items() if words in text), None)


def _letters(error: UnicodeError, place: str) -> str | None:
    """Return the message for a name with letters that the locale lacks, or with bytes that are no text."""
    encoding = sys.getfilesystemencoding()
    if encoding.lower() not in ("utf-8", "utf8"):
        return (
            f"This locale (encoding {encoding}) has no letters for a file or a text{place}: {error}.\n"
            "  What to do: Set a UTF-8 locale and repeat the command: export LC_ALL=C.UTF-8 PYTHONUTF8=1"
        )
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        name = printable(error.object[max(0, error.start - 60) : error.end + 60], allowed="")
        return (
            f"The name of a file is not UTF-8: {name}{place}.\n"
            "  What to do: Rename the file (`convmv` converts whole folders), then repeat the command."
        )
    return None


def unexpected(error: BaseException) -> str:
    """Keep the traceback of an error that nobody foresaw in a file, and return the message that names it."""
    text = without_password("".join(traceback.format_exception(error)))
    kept = _keep(f"{_circumstances()}\n{text}")
    first = printable(next(iter(str(error).strip().splitlines()), ""))[:300]
    where = file_of(error)
    lines = [
        f"satsynth did not expect this error: {type(error).__name__}{f': {first}' if first else ''}",
        f"  What it was doing: {_doing()}",
        *([f"  On the file: {where}"] if where else []),
        f"  Full traceback: {kept}" if kept else f"  Full traceback (no file could be written):\n{text}",
        f"  What to do: {AGAIN} If it ends the same way, report it where you got satsynth from, with the file of the "
        "traceback: it holds the command and all versions.",
    ]
    return without_password("\n".join(lines))


def file_of(error: BaseException) -> str | None:
    """Return the file that an error is about: the one that it names, or the one that our innermost function held."""
    for cause in causes(error):
        if isinstance(cause, OSError) and isinstance(cause.filename, str) and cause.filename:
            return printable(cause.filename, allowed="")
    for cause in causes(error):
        for frame in reversed(list(_frames(cause.__traceback__))):
            if not str(frame.f_globals.get("__name__", "")).startswith("satsynth."):
                continue
            held = [value for name, value in frame.f_locals.items() if isinstance(value, Path) and name != "project"]
            # What is being written has a name that only we know.
            paths = [path for path in held if path.suffix != ".tmp"]
            if paths:
                return printable(str(paths[-1]), allowed="")
    return None


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _doing() -> str:
    return activity.under_way() or f"`{_command()}`"


def _command() -> str:
    return without_password(shlex.join([Path(sys.argv[0]).name or "kedro", *sys.argv[1:]]))


def _circumstances() -> str:
    """Return what somebody who reads a traceback asks first."""
    lines = [
        f"Command: {_command()}",
        f"Doing: {_doing()}",
        f"Time: {datetime.now():%Y-%m-%d %H:%M:%S}",
        f"Folder: {Path.cwd()}",
        f"Python {platform.python_version()} on {platform.platform()}",
    ]
    with suppress(Exception):
        tags = machine_tags()
        lines += [
            f"{name}: {tags[name]}" for name in sorted(tags) if name.startswith(("version.", "memory", "cpu", "gpu"))
        ]
    return "\n".join(lines)


def _keep(text: str) -> Path | None:
    """Write a text below the project, or else where temporary files go; return the file."""
    context = click.get_current_context(silent=True)
    project = Path(getattr(context and context.obj, "project_path", None) or Path.cwd())
    name = f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{os.getpid()}.txt"
    for folder in (project / _FOLDER, Path(tempfile.gettempdir())):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / (name if folder.name == _FOLDER.name else f"satsynth-{name}")
            file.write_text(text, encoding="utf-8", errors="backslashreplace")
            return file
    return None
