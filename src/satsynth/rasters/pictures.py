"""PNG, JPEG and what else Pillow reads: decoded whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from satsynth.rasters.cache import check_size, unreadable
from satsynth.work.errors import DataError

# Large aerial scenes are the rule here, not an attack; absurd sizes are refused by check_size.
Image.MAX_IMAGE_PIXELS = None
_ORIENTATION = 0x0112
_BAND = 1 << 24
# MPO is what some cameras make of JPEG.
_JPEG = ("JPEG", "MPO")


def picture_size(path: Path) -> tuple[int, int]:
    """Return height and width as decoded, without decoding.

    Raises:
        DataError: The file is missing, empty, no picture, or absurdly large.
    """
    with open_picture(path) as image:
        turned = _orientation(image) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def orientation(path: Path) -> int:
    """Return the EXIF orientation of a file, 1 to 8; 1, upright, if it says nothing or Pillow cannot read it."""
    try:
        with Image.open(path) as image:
            return _orientation(image)
    except Exception:
        # Many TIFFs are none that Pillow knows, and what is damaged is named by whoever decodes it.
        return 1


def has_transparency(path: Path) -> bool:
    """Return whether a picture may have transparent pixels, without decoding it."""
    with open_picture(path) as image:
        return _is_clear(image)


def picture_palette(path: Path) -> dict[int, tuple[int, ...]]:
    """Return the colour of each index of a palette picture, without decoding it; nothing for others.

    Raises:
        DataError: The file is missing, empty, no picture, or absurdly large.
    """
    with open_picture(path) as image:
        if image.mode != "P" or image.palette is None:
            return {}
        data = bytes(image.palette.palette)
        return {index: tuple(data[3 * index : 3 * index + 3]) for index in range(len(data) // 3)}


def decode_image(path: Path) -> np.ndarray:
    """Decode a picture of 8 bit, upright.

    Returns:
        ``(height, width, 3)`` uint8 RGB, or ``(height, width, 4)`` RGBA if the file has transparency.

    Raises:
        DataError: The file cannot be read, is truncated, or is not 8 bit.
    """
    with open_picture(path) as image:
        if image.mode.startswith(("I", "F")):
            raise DataError(f"{path} holds {image.mode} values; 8 bit are expected.", "Store it as PNG or TIFF.")
        clear = _is_clear(image)
        pixels = _upright(image, path)
        mode = "RGBA" if clear else "RGB"
        return _array(pixels if pixels.mode == mode else pixels.convert(mode))


def decode_mask(path: Path, encoding: str) -> np.ndarray:
    """Decode a mask as it is stored, upright.

    Args:
        path: The file.
        encoding: ``index`` or ``color``; a palette file gives indices or colours accordingly.

    Returns:
        ``(height, width)`` ids, or ``(height, width, channels)``.

    Raises:
        DataError: The file cannot be read, is truncated, or was compressed with loss.
    """
    with open_picture(path) as image:
        how = _loss(image, path)
        if how:
            raise lossy(path, how)
        pixels = _upright(image, path)
        if encoding == "index" and pixels.mode == "LA":
            pixels = pixels.getchannel("L")
        if encoding == "color" and image.mode.startswith(("I", "F")):
            raise DataError(f"{path} holds {image.mode} values; colours are 8 bit.", "Store it as 8-bit RGB.")
        return _array(pixels.convert("RGB") if encoding == "color" and pixels.mode != "RGB" else pixels)


def lossy(path: Path, how: str) -> DataError:
    """Return the error for a mask whose values compression has changed."""
    return DataError(
        f"{path} is compressed as {how}, with loss: its values are no longer those of the labels.",
        "Export the mask again as PNG or TIFF without loss; converting this file does not bring the labels back.",
    )


def is_deep_png(path: Path) -> bool:
    """Return whether a file is a PNG of 16 bit, of which Pillow would drop the lower 8 where it has colours."""
    try:
        with path.open("rb") as file:
            head = file.read(25)
    except OSError:
        return False
    return head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 25 and head[24] == 16


def open_picture(path: Path) -> Image.Image:
    """Open a picture without decoding it.

    Raises:
        DataError: The file is missing, empty, no picture, or absurdly large.
    """
    try:
        image = Image.open(path)
    except UnidentifiedImageError as error:
        raise unreadable(path, "it is no image that Pillow knows") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable(path, error) from error
    check_size(path, image.height, image.width, image.height * image.width)
    return image


def _array(image: Image.Image) -> np.ndarray:
    """Copy a picture by bands of rows: whole, Pillow would for a moment hold it three times over."""
    rows = max(1, _BAND // image.width)
    if image.height <= rows:
        return np.asarray(image)
    first = np.asarray(image.crop((0, 0, image.width, 1)))
    array = np.empty((image.height, *first.shape[1:]), first.dtype)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        array[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return array


def _is_clear(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _loss(image: Image.Image, path: Path) -> str:
    """Return the name of the compression by which a picture has lost values; empty if it has not."""
    if image.format in _JPEG:
        return "JPEG"
    return "WebP" if image.format == "WEBP" and not _is_lossless_webp(path) else ""


def _is_lossless_webp(path: Path) -> bool:
    """Return whether the first chunk of pixels of a WebP file, a RIFF container, is of the lossless kind."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8L", b"VP8 "):
                return head[:4] == b"VP8L"
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, 1)
    return False


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a picture that is open but not decoded."""
    # Where EXIF comes behind the pixels of a PNG, only those who decode them see it, and few programs look.
    says = image.format in (*_JPEG, "TIFF") or "exif" in image.info
    return int(image.getexif().get(_ORIENTATION, 1)) if says else 1


def _upright(image: Image.Image, path: Path) -> Image.Image:
    turned = _orientation(image) > 1
    pixels = _load(image, path)
    return ImageOps.exif_transpose(pixels) if turned else pixels


def _load(image: Image.Image, path: Path) -> Image.Image:
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable(path, error) from error
    return image
