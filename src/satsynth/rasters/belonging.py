"""What belongs to a file: the neighbours that GDAL reads with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from satsynth.rasters.handles import reading
from satsynth.rasters.opening import VECTORS, by_window
from satsynth.rasters.pictures import is_deep_png

# By suffix of the named file, since pyogrio cannot ask a driver. Spatial indices decide which polygons are read.
_PARTS = {
    ".shp": (".dbf", ".shx", ".cpg", ".prj", ".qix", ".sbn"),
    ".tab": (".dat", ".map", ".id", ".ind"),
    ".mif": (".mid",),
}
# Changes that SQLite has not yet written into the file, after the end of its whole name.
_JOURNALS = {".gpkg": ("-wal", "-journal")}


def vector_files(path: Path) -> list[Path]:
    """Return a file of polygons and the files beside it that hold a part of them, in whatever case they are written."""
    suffix = path.suffix.lower()
    parts, journals = _PARTS.get(suffix, ()), _JOURNALS.get(suffix, ())
    found = [path.with_name(path.name + journal) for journal in journals]
    if parts:
        beside = (file for file in path.parent.iterdir() if file.stem == path.stem)
        found += sorted(file for file in beside if file.suffix.lower() in parts)
    return [path, *(file for file in found if file.is_file())]


def belonging(path: Path) -> tuple[list[Path], list[Any]]:
    """Return the files that a raster or a file of polygons consists of, and what neighbours say about its pixels.

    Overviews and statistics, which other programs leave beside a raster, change nothing that is read.

    Args:
        path: The named file.

    Returns:
        The files whose content counts, the named one first, and further JSON-able values.

    Raises:
        DataError: The file cannot be read.
    """
    if path.suffix.lower() in VECTORS:
        return vector_files(path), []
    if not by_window(path) and not is_deep_png(path):
        return [path], []
    with reading(path) as source:
        beside = sorted(Path(file) for file in source.files if Path(file).name != path.name)
        if not beside:
            return [path], []
        said = [
            source.crs.to_wkt() if source.crs else None,
            list(source.transform)[:6],
            [None if value is None else repr(value) for value in source.nodatavals],
            [color.name for color in source.colorinterp],
        ]
    return [path, *(file for file in beside if file.suffix.lower() == ".msk")], said
