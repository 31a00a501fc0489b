"""Unpack untrusted archives: no file leaves the target folder, and number and size of files are limited."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from satsynth.datasets.places import has_control_characters
from satsynth.fetching.settings import DownloadSettings
from satsynth.work.errors import DataError, ResourceError
from satsynth.work.files import disk_errors
from satsynth.work.progress import Progress

MB = 1_000_000


def unpack(archive: Path, target: Path, strip: str, settings: DownloadSettings) -> dict[str, int]:
    """Unpack a ZIP file, except for files that already exist with the right size.

    All entries are checked before the first byte is written.

    Args:
        archive: The ZIP file.
        target: Folder to unpack into.
        strip: Leading folder of the archive that is left out; empty for none.
        settings: Limits on the number of files and bytes.

    Returns:
        Size of each unpacked file by its path below the target.

    Raises:
        DataError: The file is not a complete ZIP file, or holds links, encrypted files, paths outside the target,
            duplicate names, or more than the limits allow.
        ResourceError: The disk has too little space.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = _checked(file, archive, strip, settings)
            # Other archives of the data set may be unpacked into the same folder at the same time.
            temporary = target.resolve() / f".{archive.name}.unpacking"
            if temporary.name.lower() in {name.lower() for name in entries}:
                raise _refusal(archive, f"it holds {temporary.name}, a name that unpacking itself uses")
            _require_space(entries, target)
            return _written(file, entries, target, temporary)
    # zipfile raises these for damaged tables, damaged data, a truncated file and an unsupported compression.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(
            f"{archive.name} cannot be unpacked: {error}.", "Remove it and fetch it again, or unpack it yourself."
        ) from error


def _checked(
    file: zipfile.ZipFile, archive: Path, strip: str, settings: DownloadSettings
) -> dict[str, zipfile.ZipInfo]:
    infos = [info for info in file.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")]
    if len(infos) > settings.max_files:
        raise _refusal(archive, f"it holds {len(infos):,} files, but `download.max_files` is {settings.max_files:,}")
    total, size = sum(info.file_size for info in infos), archive.stat().st_size
    if total > settings.max_ratio * size:
        raise _refusal(
            archive,
            f"it would grow from {size:,} to {total:,} bytes, but `download.max_ratio` is {settings.max_ratio:g}",
        )
    entries: dict[str, zipfile.ZipInfo] = {}
    seen = set()
    for info in infos:
        path = _safe(info, archive)
        if strip and not path.is_relative_to(strip):
            continue
        name = str(path.relative_to(strip) if strip else path)
        # On a file system that ignores case, one of two such files would be lost.
        if name.lower() in seen:
            raise _refusal(archive, f"it holds several files with the same name, such as {name!r}")
        seen.add(name.lower())
        entries[name] = info
    for name in entries:
        if any(str(folder).lower() in seen for folder in PurePosixPath(name).parents):
            raise _refusal(archive, f"a part of the path of its entry {name!r} is a file")
    if not entries:
        raise _refusal(archive, f"it holds no file below '{strip}'" if strip else "it holds no file")
    return entries


def _safe(info: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """Return an entry's path after checking that it is a plain file inside the target folder."""
    name = info.filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(info.external_attr >> 16)
    inside = path.parts and not path.is_absolute() and ".." not in path.parts
    if not inside or "\\" in name or ":" in path.parts[0]:
        raise _refusal(archive, f"its entry {name!r} leads out of the target folder")
    if kind not in (0, stat.S_IFREG):
        raise _refusal(archive, f"its entry {name!r} is a link or a device, not a plain file")
    if has_control_characters(name):
        raise _refusal(archive, f"its entry {name!r} has control characters in its name")
    if info.flag_bits & 1:
        raise _refusal(archive, f"its entry {name!r} is encrypted")
    return path


def _require_space(entries: dict[str, zipfile.ZipInfo], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    wanted = sum(info.file_size for name, info in entries.items() if not _exists(target / name, info))
    free = shutil.disk_usage(target).free
    if free < wanted:
        raise ResourceError(
            f"Unpacking needs {wanted / 1e9:.1f} GB, but the disk of {target} has {free / 1e9:.1f} GB left.",
            "Free some space, then run the same command again.",
        )


def _exists(path: Path, info: zipfile.ZipInfo) -> bool:
    return path.is_file() and path.stat().st_size == info.file_size


def _written(
    file: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], target: Path, temporary: Path
) -> dict[str, int]:
    root = target.resolve()
    total = sum(info.file_size for info in entries.values())
    done = 0
    with Progress(total // MB, "Unpacking", "MB") as progress, disk_errors(target):
        for name, info in entries.items():
            path = root / name
            # A link that already exists in the target must not lead the file elsewhere.
            if not path.parent.resolve().is_relative_to(root) or path.is_symlink():
                raise DataError(f"{path} leads out of {root} through a link.", "Remove the link.")
            if not _exists(path, info):
                path.parent.mkdir(parents=True, exist_ok=True)
                _extract(file, info, path, temporary)
            progress.update((done + info.file_size) // MB - done // MB)
            done += info.file_size
    return {name: info.file_size for name, info in entries.items()}


def _extract(file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, temporary: Path) -> None:
    # It may be there from an interruption, or as a link, which must not be followed.
    temporary.unlink(missing_ok=True)
    try:
        with file.open(info) as source, temporary.open("xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _refusal(archive: Path, why: str) -> DataError:
    return DataError(
        f"{archive.name} is not unpacked: {why}.", "If you trust it, unpack it into the raw folder yourself."
    )
