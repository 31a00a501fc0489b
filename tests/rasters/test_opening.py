"""A file cannot decide what is opened: no content leads to other files, other formats or the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image

from made_data import picture
from satsynth.datasets.formats import ImageFormat
from satsynth.rasters.opening import VECTORS, vector_library
from satsynth.rasters.pictures import decode_image, open_picture
from satsynth.rasters.reading import PLAIN, raster_info, read_image, read_raw_mask, read_valid
from satsynth.rasters.tiffs import intensities
from satsynth.rasters.vectors import vector_info
from satsynth.work.errors import DataError

SIDE = 64
SECRET = 201


@pytest.fixture
def requests() -> Iterator[tuple[str, list[str]]]:
    # Address of a server on this machine, and the paths that it was asked for.
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def tiff(path: Path, value: int = 10, **tags: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"height": SIDE, "width": SIDE, "count": 3, "dtype": "uint8", "photometric": "RGB"}
    with rasterio.open(path, "w", driver="GTiff", **shape) as file:
        file.write(np.full((3, SIDE, SIDE), value, np.uint8))
        for domain, values in tags.items():
            file.update_tags(ns=domain, **values)
    return path


def vrt(source: str, side: int = SIDE, bands: int = 3, raw: bool = False, more: str = "") -> str:
    rows = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}" subClass="VRTRawRasterBand"><SourceFilename>{source}'
        f"</SourceFilename><ImageOffset>0</ImageOffset></VRTRasterBand>"
        if raw
        else f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename>{source}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for band in range(1, bands + 1)
    )
    return f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}">{more}{rows}</VRTDataset>'


def wms(address: str) -> str:
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{address}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service><DataWindow>'
        "<UpperLeftX>0</UpperLeftX><UpperLeftY>1</UpperLeftY><LowerRightX>1</LowerRightX><LowerRightY>0</LowerRightY>"
        "<TileLevel>2</TileLevel></DataWindow><BandsCount>3</BandsCount></GDAL_WMS>"
    )


CONTENTS: dict[str, Callable[[str, str], str]] = {
    "VRT": lambda secret, _: vrt(secret),
    "VRT over the network": lambda _, address: vrt(f"/vsicurl/{address}/a.tif"),
    "raw band": lambda _, __: vrt(sys.executable, raw=True),
    "WMS": lambda _, address: wms(address),
    "STAC": lambda _, address: json.dumps({"type": "Feature", "stac_version": "1.0.0", "assets": {"a": address}}),
    "EPS": lambda _, __: "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n",
}


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".png", ".jpg", ".jp2", ".vrt", ".eps"])
@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_that_leads_elsewhere_is_no_raster(
    tmp_path: Path, requests: tuple[str, list[str]], content: str, suffix: str
) -> None:
    address, asked = requests
    secret = tiff(tmp_path / "outside" / "secret.tif", SECRET)
    path = tmp_path / "raw" / f"image{suffix}"
    path.parent.mkdir()
    path.write_text(CONTENTS[content](str(secret), address))
    readers: list[Callable[[], object]] = [
        lambda: raster_info(path),
        lambda: read_image(path),
        lambda: read_raw_mask(path, "color"),
        lambda: read_valid(path),
        lambda: open_picture(path),
    ]
    for read in readers:
        with pytest.raises(DataError, match="cannot be read"):
            read()
    assert asked == []


def test_rasters_of_other_formats_are_not_opened_as_tiff(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    (tmp_path / "image.hdr").write_text(
        f"ENVI\nsamples = {SIDE}\nlines = {SIDE}\nbands = 1\ndata type = 1\nheader offset = 0\n"
    )
    path.write_bytes(bytes(SIDE * SIDE))
    with pytest.raises(DataError, match="cannot be read"):
        raster_info(path)


def beside(mask: bool) -> Callable[[Path, str, str], None]:
    def write(path: Path, secret: str, _: str) -> None:
        tiff(path)
        flags = "".join(f'<MDI key="INTERNAL_MASK_FLAGS_{band}">2</MDI>' for band in (1, 2, 3))
        content = vrt(secret, SIDE if mask else SIDE // 2, 1 if mask else 3, more=f"<Metadata>{flags}</Metadata>")
        path.with_name(f"{path.name}.{'msk' if mask else 'ovr'}").write_text(content)

    return write


def network_beside(path: Path, _: str, address: str) -> None:
    tiff(path)
    path.with_name(f"{path.name}.msk").write_text(wms(address))
    path.with_name(f"{path.name}.ovr").write_text(wms(address))


def linked_mask(path: Path, secret: str, _: str) -> None:
    tiff(path)
    path.with_name(f"{path.name}.msk").symlink_to(secret)


def named_in_the_tags(path: Path, secret: str, _: str) -> None:
    tiff(path, OVERVIEWS={"OVERVIEW_FILE": secret})


def named_beside(path: Path, secret: str, address: str) -> None:
    tiff(path)
    entry = f'<Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{secret}</MDI></Metadata>'
    path.with_name(f"{path.name}.aux.xml").write_text(f"<PAMDataset>{entry}</PAMDataset>")


def at_an_address(scheme: str, inside: bool) -> Callable[[Path, str, str], None]:
    def write(path: Path, _: str, address: str) -> None:
        (named_in_the_tags if inside else named_beside)(path, f"/{scheme}/{address}/a.tif", "")

    return write


COMPANIONS = [
    beside(mask=True),
    beside(mask=False),
    network_beside,
    linked_mask,
    named_in_the_tags,
    named_beside,
    *(at_an_address(scheme, inside) for scheme in ("vsicurl", "vsicurl_streaming") for inside in (False, True)),
]


@pytest.mark.parametrize("spoil", COMPANIONS)
def test_files_beside_a_raster_and_names_in_it_lead_nowhere(
    tmp_path: Path, requests: tuple[str, list[str]], spoil: Callable[[Path, str, str], None]
) -> None:
    address, asked = requests
    secret = tiff(tmp_path / "outside" / "secret.tif", SECRET)
    path = tmp_path / "raw" / "image.tif"
    spoil(path, str(secret), address)
    try:
        assert set(read_image(path).ravel().tolist()) == {10}
        valid = read_valid(path)
        assert valid is None or valid.all()
        assert intensities(path, PLAIN) == (10, 10)
    except DataError as error:
        assert "uses a file of another folder" in error.problem and str(secret) in error.problem
    assert asked == []


def test_what_belongs_to_a_raster_is_still_read(tmp_path: Path) -> None:
    path = tiff(tmp_path / "image.tif")
    (tmp_path / "image.tfw").write_text("0.5\n0\n0\n-0.5\n100.25\n199.75\n")
    mask = tiff(tmp_path / "mask.tif", 0, **{"": {f"INTERNAL_MASK_FLAGS_{band}": "2" for band in (1, 2, 3)}})
    mask.rename(tmp_path / "image.tif.msk")
    assert raster_info(path).transform == (0.5, 0.0, 100.0, 0.0, -0.5, 200.0)
    valid = read_valid(path)
    assert valid is not None and not valid.any()


def test_deep_png_is_read_as_png_only(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "image.png"), picture(np.random.default_rng(0), SIDE, SIDE).astype(np.uint16) * 200)
    form = ImageFormat.model_validate({"scaling": {"low": 0, "high": 51000}})
    assert read_image(tmp_path / "image.png", form=form).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".geojson", ".gpkg"])
def test_fifos_devices_and_folders_are_not_opened(tmp_path: Path, suffix: str) -> None:
    fifo, device, folder = (tmp_path / f"{name}{suffix}" for name in ("fifo", "device", "folder"))
    os.mkfifo(fifo)
    device.symlink_to("/dev/zero")
    folder.mkdir()
    for path in (fifo, device, folder):
        with pytest.raises(DataError, match="not a plain file"):
            vector_info(path, None) if suffix in VECTORS else raster_info(path)
        with pytest.raises(DataError, match="not a plain file"):
            vector_info(path, None) if suffix in VECTORS else read_image(path)


def geojson(value: str) -> str:
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {"kind": value}, "geometry": shape}
    return json.dumps({"type": "FeatureCollection", "features": [feature]})


VIRTUAL: dict[str, Callable[[str, str], str]] = {
    "OGR VRT": lambda secret, _: (
        f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{secret}</SrcDataSource></OGRVRTLayer>'
        "</OGRVRTDataSource>"
    ),
    "OGR VRT over the network": lambda _, address: (
        f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>/vsicurl/{address}/a.geojson</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    ),
    "pipeline": lambda secret, _: json.dumps(
        {"type": "gdal_streamed_alg", "command_line": f"gdal vector pipeline ! read {secret} ! write streamed_dataset"}
    ),
    "WFS": lambda _, address: f"<OGRWFSDataSource><URL>{address}/wfs</URL></OGRWFSDataSource>",
    "address": lambda _, address: f"{address}/a.geojson",
    "disguised after a magic number": lambda secret, _: (
        f'Version 300\n<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{secret}</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    ),
    "view of a table": lambda secret, _: f'!table\n!version 100\nOpen Table "{secret}"\ncreate view v as\n',
}


@pytest.mark.parametrize("suffix", [*VECTORS, ".vrt", ".xml", ".gml"])
@pytest.mark.parametrize("content", VIRTUAL)
def test_a_file_that_leads_elsewhere_holds_no_polygons(
    tmp_path: Path, requests: tuple[str, list[str]], content: str, suffix: str
) -> None:
    address, asked = requests
    secret = tmp_path / "outside" / "secret.geojson"
    secret.parent.mkdir()
    secret.write_text(geojson("secret"))
    path = tmp_path / "raw" / f"labels{suffix}"
    path.parent.mkdir()
    path.write_text(VIRTUAL[content](str(secret), address))
    with pytest.raises(DataError):
        vector_info(path, None)
    assert asked == []


def test_attributes_beside_a_shapefile_that_are_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    source = tmp_path / "outside" / "a.geojson"
    source.parent.mkdir()
    source.write_text(geojson("secret"))
    from pyogrio.raw import read, write

    meta, _, shapes, values = read(source)
    write(source.with_suffix(".shp"), shapes, values, meta["fields"], geometry_type="Polygon", crs="EPSG:4326")
    for file in source.parent.glob("a.[!g]*"):
        (tmp_path / "raw" / file.name).write_bytes(file.read_bytes())
    assert vector_info(tmp_path / "raw" / "a.shp", None).fields == ("kind",)
    (tmp_path / "raw" / "a.dbf").unlink()
    (tmp_path / "raw" / "a.dbf").symlink_to(source.with_suffix(".dbf"))
    os.utime(tmp_path / "raw" / "a.shp", ns=(1, 1))
    with pytest.raises(DataError, match="uses a file of another folder"):
        vector_info(tmp_path / "raw" / "a.shp", None)


def test_only_the_drivers_of_the_table_are_left(tmp_path: Path) -> None:
    assert set(vector_library().list_drivers()) <= {*VECTORS.values(), "MEM", "Memory"}
    code = "import satsynth.rasters.opening, rasterio\nwith rasterio.Env() as env: print(*env.drivers())"
    drivers = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "GTiff" in drivers and not {"VRT", "WMS", "GTI", "HTTP", "DERIVED"} & set(drivers)


def test_a_file_of_another_known_format_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "labels.gpkg").write_text(geojson("a"))
    with pytest.raises(DataError, match="is not GPKG but GeoJSON"):
        vector_info(tmp_path / "labels.gpkg", None)


def test_pictures_of_the_common_formats_are_read_whatever_their_suffix(tmp_path: Path) -> None:
    image = Image.fromarray(picture(np.random.default_rng(0), SIDE, SIDE))
    for form in ("PNG", "JPEG", "JPEG2000", "BMP", "WEBP", "GIF", "PPM", "TGA"):
        image.save(tmp_path / "image.png", form)
        assert read_image(tmp_path / "image.png").shape == (SIDE, SIDE, 3)
    image.save(tmp_path / "image.tif", "TIFF")
    assert decode_image(tmp_path / "image.tif").shape == (SIDE, SIDE, 3)
