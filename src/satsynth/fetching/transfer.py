"""Fetch one file over HTTP in as many attempts as necessary.

pooch and torchvision start again after an interruption, and the caches of Hugging Face resume only from their own hub.
requests with a Range header is sufficient.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from satsynth.datasets.download import Archive
from satsynth.fetching.settings import DownloadSettings
from satsynth.work.errors import ResourceError
from satsynth.work.files import disk_errors
from satsynth.work.progress import Progress

log = logging.getLogger(__name__)
# At most one chunk is lost by an interruption.
CHUNK = 1 << 14
MB = 1_000_000


class _InterruptedError(Exception):
    """An attempt ended early for a reason that may not affect the next one."""


def fetch(
    archive: Archive, target: Path, settings: DownloadSettings, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Fetch a file, resuming an earlier attempt or run. The file is complete and verified when this returns.

    Args:
        archive: Address, size and MD5 of the file.
        target: Path to write it to. `<target>.part` holds the part fetched so far.
        settings: Retries.
        sleep: Function that waits for some seconds.

    Raises:
        ResourceError: The file cannot be fetched or has the wrong content, or the disk has too little space.
    """
    if target.exists():
        return
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    _require_space(archive.size - _size(part), part)
    for last_try in (False, True):
        _complete(archive, part, settings, sleep)
        found = _md5(part)
        if found == archive.md5:
            part.replace(target)
            return
        part.unlink()
        if last_try:
            raise ResourceError(
                f"{archive.url} has the wrong content, also on a second attempt: its MD5 is {found}, but "
                f"{archive.md5} is expected.",
                "The file at the source may have changed, or something on the way alters it. Fetch it by hand, check "
                "it and unpack it into the raw folder, or correct `download.archives` in the description.",
            )
        log.warning("%s is damaged (MD5 %s) and is fetched once more.", archive.url, found)


def _complete(archive: Archive, part: Path, settings: DownloadSettings, sleep: Callable[[float], None]) -> None:
    """Append to a partial file until it has its full size."""
    idle = 0
    title = f"Fetching {archive.file}"
    with Progress(archive.size // MB, title, "MB", done=min(_size(part), archive.size) // MB) as progress:
        while (before := _size(part)) < archive.size:
            try:
                with disk_errors(part):
                    _attempt(archive, part, settings, progress)
            except _InterruptedError as error:
                idle = 0 if _size(part) > before else idle + 1
                if idle >= settings.attempts:
                    raise ResourceError(
                        f"{archive.url} cannot be fetched: {error}. {_size(part):,} of {archive.size:,} bytes arrived.",
                        "Check the network, then run the same command again: it resumes where it stopped. Without a "
                        "network, fetch the file elsewhere and unpack it into the raw folder yourself.",
                    ) from None
                sleep(min(2.0**idle, settings.longest_wait))


def _attempt(archive: Archive, part: Path, settings: DownloadSettings, progress: Progress) -> None:
    import requests

    start = _size(part)
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"} if start else {"Accept-Encoding": "identity"}
    try:
        with requests.get(archive.url, headers=headers, stream=True, timeout=settings.timeout) as response:
            if _refused(response, archive):
                raise _InterruptedError(f"the server answered {response.status_code} {response.reason}")
            _require_size(response, archive)
            if start and not _continues(response, start):
                progress.update(-(start // MB))
                start = 0
            with part.open("r+b" if start else "wb") as file:
                file.seek(start)
                for chunk in response.iter_content(CHUNK):
                    if start + len(chunk) > archive.size:
                        raise _too_long(archive, part)
                    file.write(chunk)
                    progress.update((start + len(chunk)) // MB - start // MB)
                    start += len(chunk)
    except requests.RequestException as error:
        raise _InterruptedError(_reason(error)) from error
    if start < archive.size:
        raise _InterruptedError(f"the connection ended after {start:,} bytes")


def _refused(response: Any, archive: Archive) -> bool:
    """Return whether the response is a temporary error.

    Raises:
        ResourceError: It is a permanent error.
    """
    status = response.status_code
    if status in (200, 206):
        return False
    if status in (408, 416, 425, 429) or status >= 500:
        return True
    raise ResourceError(
        f"{archive.url} cannot be fetched: the server answered {status} {response.reason}.",
        "The address may have changed. Check the data set's home page and correct `download.archives`.",
    )


def _require_size(response: Any, archive: Archive) -> None:
    """Refuse a file of unexpected size as soon as the server announces its size.

    Raises:
        ResourceError: The size is not the expected one.
    """
    partial = response.headers.get("Content-Range", "").rsplit("/", 1)[-1]
    given = partial if response.status_code == 206 else response.headers.get("Content-Length", "")
    if given.isdigit() and int(given) != archive.size:
        raise ResourceError(
            f"{archive.url} has {int(given):,} bytes, but {archive.size:,} are expected.",
            "The file at the source has changed, or a login page of the network was sent instead. Check the address; "
            "if the data set has a new version, correct `download.archives` in the description.",
        )


def _too_long(archive: Archive, part: Path) -> ResourceError:
    """Remove what came, and return the error for a server that sends more than the expected size."""
    part.unlink()
    return ResourceError(
        f"{archive.url} is longer than the {archive.size:,} bytes that are expected.",
        "The file at the source has changed, or something on the way alters it. Check the address; if the data set "
        "has a new version, correct `download.archives` in the description.",
    )


def _continues(response: Any, start: int) -> bool:
    """Return whether the response begins where the partial file ends."""
    given = response.headers.get("Content-Range", "")
    return response.status_code == 206 and given.startswith(f"bytes {start}-")


def _reason(error: Exception) -> str:
    text = str(error)
    if any(sign in text for sign in ("NameResolution", "getaddrinfo", "Name or service not known")):
        return "its host name cannot be resolved, so this machine seems to be offline"
    if "IncompleteRead" in text or "aborted" in text:
        return "the connection is interrupted repeatedly"
    if "timed out" in text:
        return "no data arrived within the time limit"
    return text.rsplit("Caused by ", 1)[-1].strip("()")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _require_space(wanted: int, path: Path) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < wanted:
        raise ResourceError(
            f"The download needs {wanted / 1e9:.1f} GB, but the disk of {path.parent} has {free / 1e9:.1f} GB left.",
            "Free some space, then run the same command again: it resumes where it stopped.",
        )
