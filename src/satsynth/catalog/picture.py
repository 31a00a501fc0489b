"""Pictures in PNG files."""

from __future__ import annotations

import base64
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from kedro.io.core import AbstractVersionedDataset, Version
from kedro_datasets._typing import ImagePreview

from satsynth.catalog.recorded import Recorded
from satsynth.pairs.pair import decode_image, encode_image


class PictureDataset(Recorded, AbstractVersionedDataset[np.ndarray, np.ndarray]):
    """A picture ``(H, W, 3)`` uint8 RGB as PNG, with a preview.

    Args:
        filepath: The file.
        version: Version to load and to save.
        metadata: Metadata for plugins such as Kedro-Viz.
    """

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        super().__init__(PurePosixPath(filepath), version)
        self.metadata = metadata

    def load(self) -> np.ndarray:
        """Return the picture.

        Raises:
            DamagedError: The file is not what was written.
        """
        return decode_image(self.unchanged_file().read_bytes())

    def save(self, data: np.ndarray) -> None:
        """Write the picture atomically."""
        with self.recorded_file() as temporary:
            temporary.write_bytes(encode_image(data))

    def _exists(self) -> bool:
        return Path(self._get_load_path()).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}

    def preview(self, width: int = 1400) -> ImagePreview:
        """Return the picture for Kedro-Viz, scaled down to ``width`` pixels if it is wider."""
        picture = self.load()
        if picture.shape[1] > width:
            height = round(picture.shape[0] * width / picture.shape[1])
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        return picture_preview(picture)


def picture_preview(picture: np.ndarray) -> ImagePreview:
    """Return a picture ``(H, W, 3)`` uint8 RGB in the form that Kedro-Viz expects, a base64-encoded PNG."""
    return ImagePreview(base64.b64encode(encode_image(picture)).decode())
