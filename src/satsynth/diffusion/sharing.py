"""A finished generator made small, for others to start from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file

from satsynth.diffusion.saved import AVERAGED
from satsynth.generation.saved import START, SavedGenerator
from satsynth.pairs.store import HELD_OUT_IMAGES
from satsynth.scenes.image_parts import IMAGE_PARTS
from satsynth.training.weights import save_weights
from satsynth.work.errors import DataError
from satsynth.work.files import MANIFEST, canonical_json, digest_of, file_digest, place_folder, write_json

_SEEN = ("scenes", IMAGE_PARTS, HELD_OUT_IMAGES)
_KEPT = ("kind", "family", "model", "classes", *_SEEN, "tile_size", "images", "averaged_at_step")


def write_starting_point(saved: SavedGenerator, target: Path, about: Mapping[str, str]) -> None:
    """Write the averaged weights of a generator in half precision, with what is known of it.

    A training starts from them as from the generator itself, but for the rounding to half precision.

    Args:
        saved: A generator of the family `diffusion`.
        target: A folder that is not there yet.
        about: Where it comes from, for people: such as ``data``, ``licence`` and ``command``.

    Raises:
        DataError: The folder is there, or the generator is of another family.
    """
    if saved.family != "diffusion":
        raise DataError(
            f"The generator {saved.path} is of the family '{saved.family}'.", "Name one of the family 'diffusion'."
        )
    if target.exists():
        raise DataError(f"{target} already exists.", "Name another folder, or remove it.")
    averaged = {name: value.half() for name, value in load_file(saved.file(AVERAGED)).items()}
    content = {key: saved.manifest[key] for key in _KEPT if key in saved.manifest}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        folder = Path(made) / target.name
        folder.mkdir()
        save_weights(folder / AVERAGED, averaged)
        content |= {"about": dict(about), "made_from": saved.digest}
        # What it started from, not its tiles: whoever starts from it has others.
        content["parents"] = {name: digest for name, digest in saved.parents.items() if name == START}
        content["files"] = {AVERAGED: file_digest(folder / AVERAGED)}
        # As it will be read: the digest must not depend on what JSON makes equal.
        content = json.loads(canonical_json(content))
        write_json(folder / MANIFEST, {**content, "digest": digest_of(content)})
        place_folder(folder, target, linked=False)
