"""Names of files and scenes in the form in which they are compared."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator


def composed(value: str) -> str:
    """Return text as file names are compared: with an accent as part of its letter, unlike on macOS."""
    return unicodedata.normalize("NFC", value)


def plain(name: str) -> str:
    """Return a composed name with its extension in lower case, since cameras and Windows write .JPG and .TIF."""
    name = composed(name)
    stem, dot, suffix = name.rpartition(".")
    return stem + dot + suffix.lower() if dot and "/" not in suffix else name


Text = Annotated[str, AfterValidator(composed)]
