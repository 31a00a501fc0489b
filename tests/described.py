"""Folders described, and what their descriptions find."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from satsynth.datasets.description import DatasetDescription
from satsynth.describing.proposal import propose
from satsynth.describing.text import description_text
from satsynth.describing.writing import checked
from satsynth.scenes.checking import check_scenes
from satsynth.scenes.finding import find_scenes
from satsynth.scenes.scene import Scene, SceneReader
from satsynth.work.files import file_digest
from satsynth.work.ignore import IGNORE_INDEX


def described(folder: Path, most_masks: int = 0) -> tuple[DatasetDescription, str]:
    """Return the proposed description of a folder, and its text."""
    text = description_text("mine", folder.as_posix(), propose(folder, most_masks))
    return checked("mine", text), text


def scenes_of(description: DatasetDescription, folder: Path) -> list[Scene]:
    """Find and check the scenes of a folder."""
    scenes = find_scenes(description, folder, file_digest)
    check_scenes(scenes, SceneReader(description, folder), workers=1)
    return scenes


def ids(mask: np.ndarray) -> np.ndarray:
    """Return class indices as ids from 1, 255 where they are ignored."""
    return np.where(mask == IGNORE_INDEX, 255, mask + 1).astype(np.uint8)
