"""Node of `download`: fetch raw data from their publisher."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from satsynth.datasets.description import DatasetDescription
from satsynth.fetching.raw_data import fetch_archive
from satsynth.fetching.settings import DownloadSettings
from satsynth.work.errors import DataError
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


def fetch_raw(description: DatasetDescription, download: DownloadSettings, workspace: Workspace) -> dict[str, Any]:
    """Fetch the raw data of a data set, or show instructions for a person if no program may fetch them.

    Args:
        description: The data set.
        download: Retries and limits.
        workspace: Folders of raw data and work.

    Returns:
        The entry `download_record`: terms, instructions for a person, and the archives that were fetched.

    Raises:
        DataError: The data set cannot be fetched by a program, or an archive cannot be unpacked safely.
        ResourceError: An archive cannot be fetched, or the disk has too little space.
    """
    source, where = description.download, workspace.raw or description.raw
    if source is None or where.startswith("package:"):
        raise DataError(f"The description of the data set '{description.name}' has no `download`.", description.obtain)
    raw = (workspace.folder / Path(where).expanduser()).resolve()
    log.info("%s\nLicence: %s\nTerms: %s", description.title, description.licence, source.terms.strip())
    if source.steps:
        steps = "\n".join(f"  {number}. {step.strip()}" for number, step in enumerate(source.steps, 1))
        log.info("Steps to do yourself, so that the data are in %s:\n%s", raw, steps)
    name = description.name
    fetched = [
        fetch_archive(archive, name, raw, workspace.work, download, workspace.anew) for archive in source.archives
    ]
    if fetched:
        log.info(
            "%d files in %s. Next: kedro run --pipeline=augment --params=dataset=%s",
            sum(archive["files"] for archive in fetched),
            raw,
            description.name,
        )
    return {
        "dataset": description.name,
        "licence": description.licence,
        "terms": source.terms.strip(),
        "steps": [step.strip() for step in source.steps],
        "archives": fetched,
    }
