"""Check a proposed description before it is written."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from satsynth.datasets.description import DatasetDescription
from satsynth.work.errors import DataError, listing


def raw_of(folder: Path, project: Path) -> str:
    """Return the raw folder as written in the description: relative to the project if it lies inside it."""
    folder, project = folder.resolve(), project.resolve()
    return folder.relative_to(project).as_posix() if folder.is_relative_to(project) else folder.as_posix()


def checked(name: str, text: str) -> DatasetDescription:
    """Parse the text of a description.

    Raises:
        DataError: It is not valid, so the content of the folder cannot be described.
    """
    try:
        return DatasetDescription.model_validate(yaml.safe_load(text)["datasets"][name])
    except ValidationError as error:
        problems = [f"`{'.'.join(map(str, one['loc']))}`: {one['msg']}" for one in error.errors()]
        raise DataError(
            f"The proposed description is not valid:\n{listing(problems)}",
            "Correct the folder, or write the description by hand like conf/base/parameters_dataset_dubai.yml.",
        ) from None
