"""What may be opened: plain files, by the drivers of their own format, without anything elsewhere or on a network.

A file decides by its content how GDAL reads it. A virtual raster (VRT) in a file called `image.tif` would show pixels
of any file of this machine, and a WMS description would send requests. Therefore the suffix chooses the driver.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from satsynth.rasters.cache import unreadable
from satsynth.work.errors import DataError

TIFF, JPEG2000 = (".tif", ".tiff"), (".jp2", ".j2k")
# Formats whose files hold all of their pixels. EPS, which starts another program, is none of them.
PICTURES = ("PNG", "JPEG", "JPEG2000", "BMP", "WEBP", "GIF", "PPM", "TGA")
_JPEG2000 = "JP2OpenJPEG"
VECTORS = {
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".gpkg": "GPKG",
    ".shp": "ESRI Shapefile",
    ".fgb": "FlatGeobuf",
    ".tab": "MapInfo File",
    ".mif": "MapInfo File",
}
# GDAL opens masks and overviews beside a raster by any driver, so those that read other files or the network are
# removed. Both libraries of GDAL (that of rasterio and that of pyogrio) read the environment.
os.environ["GDAL_SKIP"] = "VRT,DERIVED,GTI,MRF,TIL,Zarr,WMS,WCS,WMTS,HTTP,EEDA,EEDAI,PLMOSAIC,STACIT,STACTA"
# A raster may name its overviews as a web address.
os.environ["CPL_VSIL_CURL_ALLOWED_EXTENSIONS"] = ".none"
# A sixth of the default on a machine with 32 GiB. It holds many rows of blocks of a huge raster.
os.environ.setdefault("GDAL_CACHEMAX", "256")


def by_window(path: Path) -> bool:
    """Return whether GDAL reads a format by window: GeoTIFF, and JPEG 2000 where GDAL has its driver."""
    suffix = path.suffix.lower()
    return suffix in TIFF or (suffix in JPEG2000 and _has_jpeg2000())


@cache
def _has_jpeg2000() -> bool:
    import rasterio

    with rasterio.Env() as environment:
        return _JPEG2000 in environment.drivers()


def require_plain(path: Path) -> os.stat_result:
    """Return the state of a file after checking that it is a plain one: reading a FIFO or a device may never end.

    Raises:
        DataError: The file is missing, or a folder, FIFO, socket or device.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path} is not a plain file but a folder, FIFO or device.", "Replace it by a file.")
    return found


def require_own(path: Path, used: Iterable[str | Path]) -> None:
    """Refuse a raster or vector that uses files of another folder: by a link, or because it names them.

    Args:
        path: The file.
        used: All files that it consists of, such as masks, overviews and attributes beside it.

    Raises:
        DataError: One of them lies elsewhere.
    """
    folder = path.resolve().parent
    for file in map(Path, used):
        if file.resolve().parent != folder:
            raise DataError(
                f"{path} uses a file of another folder, {file.resolve()}.",
                "Replace it by a file that holds its data itself, and links beside it by copies of their targets.",
            )


def open_raster(path: Path) -> Any:
    """Open a GeoTIFF, JPEG 2000 or PNG with rasterio.

    Raises:
        DataError: It uses files of another folder.
        rasterio.errors.RasterioIOError: It cannot be opened as such.
    """
    import rasterio

    suffix = path.suffix.lower()
    driver = "GTiff" if suffix in TIFF else _JPEG2000 if suffix in JPEG2000 else "PNG"
    source = rasterio.open(path, driver=driver)
    try:
        require_own(path, source.files)
    except DataError:
        source.close()
        raise
    return source


@cache
def vector_library() -> Any:
    """Import pyogrio, which cannot be asked for a driver, and leave it only those of the table."""
    import pyogrio

    # rasterio needs the driver of rasters in memory where both share one GDAL.
    other = set(pyogrio.list_drivers()) - {*VECTORS.values(), "MEM", "Memory"}
    pyogrio.set_gdal_config_options({"OGR_SKIP": ",".join(sorted(other))})
    # Drivers are removed only when all are registered, for which pyogrio has no public function.
    pyogrio._ogr._register_drivers()
    left = other & set(pyogrio.list_drivers())
    if left:
        raise DataError(
            f"pyogrio {pyogrio.__version__} still reads {', '.join(sorted(left))}, which may lead to other files.",
            "Install another release of pyogrio.",
        )
    return pyogrio


def require_vector(path: Path) -> None:
    """Check what must be known of a file of polygons before it is opened.

    Raises:
        DataError: It has no known suffix, or uses files of another folder or other tables.
    """
    suffix = path.suffix.lower()
    if suffix not in VECTORS:
        raise DataError(
            f"{path} is no known kind of polygons; the known suffixes are {', '.join(VECTORS)}.",
            "Convert it: ogr2ogr new.gpkg old",
        )
    signs = [sign for sign in "!;" if sign in str(path)]
    if signs:
        # Archives and parameters, by which another file would be read.
        raise DataError(
            f"{path} has {' and '.join(map(repr, signs))} in its path, which GDAL's library takes for its own syntax.",
            "Rename the file or its folder.",
        )
    require_own(path, (file for file in path.parent.iterdir() if file.name.startswith(f"{path.stem}.")))
    if suffix == ".tab" and re.search(rb"open\s+table|isseamless", path.read_bytes()[: 1 << 16].lower()):
        raise DataError(f"{path} is a view of other MapInfo tables.", "Convert it: ogr2ogr new.gpkg old.tab")
