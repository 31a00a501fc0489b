"""PNG, JPEG and the other formats that Pillow reads, decoded as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from satsynth.rasters.cache import check_size, unreadable
from satsynth.rasters.opening import PICTURES, TIFF, require_plain
from satsynth.work.errors import DataError

# Large aerial scenes are normal here, not an attack. check_size refuses implausible sizes.
Image.MAX_IMAGE_PIXELS = None
_ORIENTATION = 0x0112
_BAND = 1 << 24
# Some cameras write JPEG as MPO.
_JPEG = ("JPEG", "MPO")
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


def picture_size(path: Path) -> tuple[int, int]:
    """Return the height and width that decoding gives, without decoding.

    Raises:
        DataError: The file is missing, empty, not a picture, or implausibly large.
    """
    with open_picture(path) as image:
        turned = _orientation(image) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def orientation(path: Path) -> int:
    """Return the EXIF orientation of a TIFF, 1 to 8. It is 1 (upright) without EXIF, or if Pillow fails."""
    try:
        with Image.open(path, formats=["TIFF"]) as image:
            return _orientation(image)
    except Exception:
        # Pillow does not support many TIFFs, and damaged files are reported when they are decoded.
        return 1


def has_transparency(path: Path) -> bool:
    """Return whether a picture may have transparent pixels, without decoding it."""
    with open_picture(path) as image:
        return _is_clear(image)


def has_alpha_band(path: Path) -> bool:
    """Return whether a picture has a band of transparency, rather than a colour that means transparency."""
    with open_picture(path) as image:
        return image.mode in _WITH_ALPHA


def picture_palette(path: Path) -> dict[int, tuple[int, ...]]:
    """Return the colour of each index of a palette picture without decoding it, or nothing for other pictures.

    Raises:
        DataError: The file is missing, empty, not a picture, or implausibly large.
    """
    with open_picture(path) as image:
        if image.mode != "P" or image.palette is None:
            return {}
        data = bytes(image.palette.palette)
        return {index: tuple(data[3 * index : 3 * index + 3]) for index in range(len(data) // 3)}


def decode_image(path: Path) -> np.ndarray:
    """Decode an 8-bit picture and turn it upright.

    Returns:
        ``(height, width, 3)`` uint8 RGB, or ``(height, width, 4)`` RGBA if the file has transparency.

    Raises:
        DataError: The file cannot be read, is truncated, or does not hold 8-bit values.
    """
    with open_picture(path) as image:
        if image.mode.startswith(("I", "F")):
            raise DataError(f"{path} holds {image.mode} values; 8-bit values are expected.", "Store it as PNG or TIFF.")
        clear = _is_clear(image)
        pixels = _upright(image, path)
        mode = "RGBA" if clear else "RGB"
        return _array(pixels if pixels.mode == mode else pixels.convert(mode))


def decode_mask(path: Path, encoding: str, soft: bool = False) -> np.ndarray:
    """Decode a mask without converting its values, and turn it upright.

    Args:
        path: The file.
        encoding: ``index`` or ``color``. A palette file gives indices or colours accordingly.
        soft: Whether lossy compression is allowed.

    Returns:
        ``(height, width)`` ids, or ``(height, width, channels)``.

    Raises:
        DataError: The file cannot be read, is truncated, or is compressed with loss.
    """
    with open_picture(path) as image:
        how = _loss(image, path)
        if how and not soft:
            raise lossy(path, how)
        pixels = _upright(image, path)
        if encoding == "index" and pixels.mode in ("LA", "PA"):
            pixels = pixels.getchannel(pixels.mode[0])
        if encoding == "color" and image.mode.startswith(("I", "F")):
            raise DataError(f"{path} holds {image.mode} values; colours must be 8 bit.", "Store it as 8-bit RGB.")
        # The array of a picture of 1 bit would hold True as 255, and its grey levels are 0 and 255.
        mode = "RGB" if encoding == "color" else "L" if pixels.mode == "1" else pixels.mode
        return _array(pixels if pixels.mode == mode else pixels.convert(mode))


def decode_clear(path: Path) -> np.ndarray:
    """Decode which pixels of a picture are completely transparent, ``(height, width)`` bool, and turn it upright.

    Raises:
        DataError: The file cannot be read or is truncated.
    """
    with open_picture(path) as image:
        if not _is_clear(image):
            return np.zeros(picture_size(path), bool)
        pixels = _upright(image, path)
        return _array(pixels.convert("RGBA").getchannel("A")) == 0


def lossy(path: Path, how: str) -> DataError:
    """Return the error for a mask whose values have been changed by lossy compression."""
    return DataError(
        f"{path} is compressed with loss ({how}), so its values are no longer those of the labels.",
        "Export the mask again as lossless PNG or TIFF; converting this file does not restore the labels. If that is "
        "impossible, set `masks: {nearest: {largest_distance: ...}}`, which takes each value for the nearest class.",
    )


def is_deep_png(path: Path) -> bool:
    """Return whether a file is a 16-bit PNG; Pillow would drop the lower 8 bits of its colours."""
    return _png_depth(path) == 16


def _png_depth(path: Path) -> int:
    """Return the bits of a value in a PNG file, or 0 for all other files."""
    if not path.is_file():
        return 0
    try:
        with path.open("rb") as file:
            head = file.read(25)
    except OSError:
        return 0
    return head[24] if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 25 else 0


def open_picture(path: Path) -> Image.Image:
    """Open a picture without decoding it.

    Raises:
        DataError: The file is missing, empty, not a picture, or implausibly large.
    """
    require_plain(path)
    try:
        image = Image.open(path, formats=("TIFF",) if path.suffix.lower() in TIFF else PICTURES)
    except UnidentifiedImageError as error:
        raise unreadable(path, "Pillow does not recognise it as an image of a known format") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable(path, error) from error
    check_size(path, image.height, image.width, image.height * image.width)
    key = image.info.get("transparency")
    if image.format == "PNG" and image.mode in ("1", "L") and isinstance(key, int):
        # Pillow stretches grey levels of 1, 2 and 4 bit to 8 bit, but not the level that means transparency.
        image.info["transparency"] = key * 255 // ((1 << _png_depth(path)) - 1)
    return image


def _array(image: Image.Image) -> np.ndarray:
    """Copy a picture in bands of rows; in one piece, Pillow would hold three copies of it for a moment."""
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
    return image.mode in _WITH_ALPHA or "transparency" in image.info


def _loss(image: Image.Image, path: Path) -> str:
    """Return the name of the lossy compression of a picture, or an empty string if it has none."""
    if image.format in _JPEG:
        return "JPEG"
    return "WebP" if image.format == "WEBP" and not _is_lossless_webp(path) else ""


def _is_lossless_webp(path: Path) -> bool:
    """Return whether the first chunk of pixels in a WebP file (a RIFF container) is lossless."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8L", b"VP8 "):
                return head[:4] == b"VP8L"
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, 1)
    return False


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an open picture that has not been decoded."""
    # EXIF behind the pixels of a PNG is ignored: it is found only by decoding, and few programs look for it.
    has_exif = image.format in (*_JPEG, "TIFF") or "exif" in image.info
    return int(image.getexif().get(_ORIENTATION, 1)) if has_exif else 1


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
