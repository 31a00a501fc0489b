"""Bad files of a data set, listed in one table with a remedy for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import pandas as pd

from satsynth.work.errors import DataError, SatSynthError, printable


@dataclass(frozen=True)
class BadFile:
    """One file that cannot be used.

    Args:
        file: Its path below the raw folder.
        problem: What was found and what was expected.
        remedy: What to do about it.
        scene: The scene that is left out if bad scenes are skipped; empty if the file belongs to no scene.
    """

    file: str
    problem: str
    remedy: str
    scene: str = ""

    @classmethod
    def of(cls, error: DataError, file: str, raw: Path, scene: str = "") -> BadFile:
        """Return the bad file that an error is about; the error's message begins with the file's path."""
        problem = error.problem.removeprefix(f"{raw / file} ").removesuffix(".")
        return cls(file, problem, error.remedy, scene)

    @classmethod
    def caught(cls, error: Exception, file: str, raw: Path, scene: str = "") -> BadFile:
        """Return the bad file at which reading failed. Whatever a library raises there is about that file only.

        Raises:
            SatSynthError: The error is one, and not about data.
            MemoryError: The error is one.
        """
        if isinstance(error, DataError):
            return cls.of(error, file, raw, scene)
        if isinstance(error, SatSynthError | MemoryError):
            raise error
        return cls.foreign(error, file, scene)

    @classmethod
    def foreign(cls, error: Exception, file: str, scene: str = "") -> BadFile:
        """Return the bad file at which a library raised an error of its own, such as GEOS or PROJ."""
        said = " ".join(str(error).split())[:300] or "no message"
        return cls(
            file,
            f"cannot be used ({type(error).__name__}: {said})",
            "Repair or export this file again, check its coordinate reference system and polygons, or leave it out.",
            scene,
        )


class BadFilesError(DataError):
    """Files of a data set cannot be used; the message lists all of them."""


def refuse(files: Sequence[BadFile], dataset: str) -> None:
    """Raise if there are bad files.

    Raises:
        BadFilesError: There are bad files. The message shows them as a table.
    """
    if not files:
        return
    raise BadFilesError(
        f"The data set '{dataset}' has {len(files)} bad file(s):\n{as_text(files)}",
        f"Repair or remove these files, correct conf/base/parameters_dataset_{dataset}.yml, "
        "or leave these scenes out with --params=ingestion.on_bad_scene=skip.",
    )


def as_text(files: Sequence[BadFile], limit: int = 20) -> str:
    """Return a table of files and problems with numbered remedies below it."""
    shown = [_printable(file) for file in files[:limit]]
    remedies = list(dict.fromkeys(file.remedy for file in shown))
    width = max(len(file.file) for file in shown)
    lines = [f"  {'file':<{width}}  problem (remedy)"]
    lines += [f"  {file.file:<{width}}  {file.problem} ({remedies.index(file.remedy) + 1})" for file in shown]
    if len(files) > limit:
        lines.append(f"  ... and {len(files) - limit} more")
    lines += [f"  ({number}) {remedy}" for number, remedy in enumerate(remedies, 1)]
    return "\n".join(lines)


def _printable(file: BadFile) -> BadFile:
    return BadFile(*(printable(text, allowed="") for text in astuple(file)))


def as_frame(files: Sequence[BadFile]) -> pd.DataFrame:
    """Return all bad files as a table, one row per file."""
    return pd.DataFrame(
        [astuple(_printable(file)) for file in files], columns=[field.name for field in fields(BadFile)]
    )
