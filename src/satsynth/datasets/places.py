"""Names and paths of a description: checked here only, so that none leads out of the folder that it belongs to."""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from satsynth.work.errors import DataError

PACKAGE = "package:"


def _relative(value: str) -> str:
    if value.startswith(("/", "~")) or "\\" in value or ".." in value.split("/"):
        raise ValueError(f"'{value}' leads out of the raw folder; use a relative path without '..'")
    return value


def _raw(value: str) -> str:
    if value.startswith(PACKAGE) and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", value.removeprefix(PACKAGE)):
        raise ValueError(f"'{value}' names no Python package; write it as `{PACKAGE}name` or `{PACKAGE}name.inner`")
    return value


# Names of data sets become parts of file names.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][\w-]*$", max_length=64)]
PathBelow = Annotated[str, AfterValidator(_relative)]
RawPlace = Annotated[str, AfterValidator(_raw)]


def without_control_characters(value: Any) -> Any:
    """Return nested values after checking that their texts have no control characters, which change a terminal.

    Raises:
        ValueError: A text has one. Tabs and ends of lines are allowed.
    """
    if isinstance(value, dict):
        for item in value.items():
            without_control_characters(item)
    elif isinstance(value, list | tuple):
        for item in value:
            without_control_characters(item)
    elif isinstance(value, str) and has_control_characters(value, "\t\n"):
        raise ValueError(f"{value!r} has control characters; remove them")
    return value


def has_control_characters(text: str, allowed: str = "") -> bool:
    """Return whether a text holds control characters other than the allowed ones."""
    return any(unicodedata.category(letter) == "Cc" and letter not in allowed for letter in text)


def is_inside(folder: Path, path: Path) -> bool:
    """Return whether a path lies below a folder once all links are followed."""
    return path.resolve().is_relative_to(folder.resolve())


def inside(folder: Path, name: str) -> Path:
    """Return a path below a folder after checking that no link leads out of the folder.

    Args:
        folder: The folder; may be a link itself.
        name: Path below it.

    Raises:
        DataError: The path leads elsewhere.
    """
    path = folder / name
    if not is_inside(folder, path):
        raise DataError(
            f"{path} lies outside the raw folder, at {path.resolve()}.",
            "Replace links by copies of their targets, or name that folder as raw data: --params=raw=<folder>.",
        )
    return path


def package_folder(place: str) -> Path | None:
    """Return the folder of an installed package without importing it, since its code would run.

    Args:
        place: ``package:name`` or ``package:name.inner``.
    """
    parts = place.removeprefix(PACKAGE).split(".")
    folders = (Path(entry, *parts) for entry in sys.path if entry)
    return next((folder for folder in folders if folder.is_dir()), None)
