"""Fetch archives of a data set and unpack them below its raw folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from satsynth.datasets.download import Archive
from satsynth.datasets.places import inside
from satsynth.fetching.archives import unpack
from satsynth.fetching.settings import DownloadSettings
from satsynth.fetching.transfer import fetch
from satsynth.work.files import read_json, write_json
from satsynth.work.folder import Step, WorkFolder, work_folder

log = logging.getLogger(__name__)
RESULT_VERSION = 1
LISTING = "files.json"


def fetch_archive(
    archive: Archive, dataset: str, raw: Path, work: Path, settings: DownloadSettings, anew: str = ""
) -> dict[str, Any]:
    """Fetch and unpack one archive, unless all of its files already exist with the right size.

    Args:
        archive: The archive.
        dataset: Name of the data set.
        raw: The raw folder.
        work: Folder of all work.
        settings: Retries and limits.
        anew: Name of a run that fetches the archive even if another one has fetched it.

    Returns:
        Record of the archive: file, url, md5, number of files and bytes.

    Raises:
        ResourceError: The archive cannot be fetched, or the disk has too little space.
        DataError: The archive cannot be unpacked safely.
    """
    target = inside(raw, archive.into)
    used = {"name": f"{dataset} {archive.file}", **archive.model_dump(mode="json")}
    with work_folder(work, Step("download", RESULT_VERSION, {}, used), anew) as folder:
        if not (folder.finished and _all_exist(folder, target)):
            # In a folder of its own: an archive may have the name of another part of the work folder.
            local = folder.path / "archive" / archive.file
            log.info("Fetching %s (%.1f GB)", archive.url, archive.size / 1e9)
            fetch(archive, local, settings)
            log.info("Unpacking %s into %s", archive.file, target)
            write_json(folder.result / LISTING, unpack(local, target, archive.strip, settings))
            folder.finish({"kind": "download"}, [LISTING])
            if not settings.keep_archives:
                folder.forget_helpers()
        files = read_json(folder.result / LISTING)
    source = {"file": archive.file, "url": archive.url, "md5": archive.md5}
    return {**source, "files": len(files), "bytes": sum(files.values())}


def _all_exist(folder: WorkFolder, target: Path) -> bool:
    files: dict[str, int] = read_json(folder.result / LISTING)
    return all((target / name).is_file() and (target / name).stat().st_size == size for name, size in files.items())
