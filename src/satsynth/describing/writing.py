"""Check a proposed description before it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

from satsynth.datasets.description import DatasetDescription
from satsynth.scenes.finding import search_scenes
from satsynth.scenes.problems import BadFile
from satsynth.work.errors import DataError, listing


def raw_of(folder: Path, project: Path) -> str:
    """Return the raw folder as written in the description: relative to the project if it lies inside it."""
    folder, project = folder.resolve(), project.resolve()
    return folder.relative_to(project).as_posix() if folder.is_relative_to(project) else folder.as_posix()


def refused(description: DatasetDescription, folder: Path) -> list[BadFile]:
    """Return the files that ingestion will refuse, as far as names and headers show.

    Raises:
        DataError: Ingestion would find no scene, or could not make the splits.
    """
    # By path: files are not read twice, and copies are left to ingestion.
    return search_scenes(description, folder, lambda path: path.as_posix())[1]


def checked(name: str, text: str) -> DatasetDescription:
    """Parse the text of a description.

    Raises:
        DataError: It is not valid, so the content of the folder cannot be described.
    """
    try:
        # As a run reads it.
        read: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
        return DatasetDescription.model_validate(read["datasets"][name])
    except (YAMLError, OmegaConfBaseException) as error:
        raise DataError(
            f"The proposed description cannot be written as YAML: {error}",
            "Rename files and classes with unusual characters, or write the description by hand.",
        ) from None
    except ValidationError as error:
        problems = [f"`{'.'.join(map(str, one['loc']))}`: {one['msg']}" for one in error.errors()]
        raise DataError(
            f"The proposed description is not valid:\n{listing(problems)}",
            "Correct the folder, or write the description by hand like conf/base/parameters_dataset_dubai.yml.",
        ) from None
