"""Folders of any kind: what `describe` accepts, ingestion takes or names."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from made_data import picture
from satsynth.describing.matching import match_files, not_understood
from satsynth.describing.proposal import propose
from satsynth.describing.text import description_text
from satsynth.describing.writing import checked
from satsynth.scenes.finding import search_scenes
from satsynth.work.errors import DataError

SIDE = 24
LAYOUTS = (
    ("images/{}{}", "masks/{}{}"),
    ("{}{}", "{}_mask{}"),
    ("Bilder é/{}_sat{}", "Bilder é/{}_gt{}"),
    ("{}{}", "{}{}"),
    ("train/images/{}{}", "train/labels/{}{}"),
)
NAMES = ("Åre", "été", "IMG_0", "IMG_1", "Süd+1", "a b", "x{1}", "t(2)", "ñ.1", "北京", "p%20q", "q#7")
RNG = np.random.default_rng(3)
PICTURES = [picture(RNG, SIDE, SIDE) for _ in NAMES]


class Written(NamedTuple):
    """How one file is written.

    Args:
        form: Whether accents are part of their letters.
        suffix: Its extension.
        kind: A file, a link to a file elsewhere, nothing, or one more file of the same name in another format.
    """

    form: str
    suffix: str
    kind: str


def files(suffixes: tuple[str, ...]) -> st.SearchStrategy[Written]:
    return st.builds(
        Written,
        st.sampled_from(("NFC", "NFD")),
        st.sampled_from(suffixes),
        st.sampled_from(("file",) * 12 + ("link", "missing", "double")),
    )


SCENES = st.lists(
    st.tuples(st.sampled_from(range(len(NAMES))), files((".jpg", ".JPG", ".png")), files((".png", ".PNG"))),
    min_size=5,
    max_size=8,
    unique_by=lambda scene: scene[0],
)


def mask_of(number: int) -> np.ndarray:
    mask = np.full((SIDE, SIDE), number % 3, np.uint8)
    mask[:4], mask[4:6] = (number + 1) % 3, (number + 2) % 3
    mask[6, : number + 1] = (number + 1) % 3
    return mask


def write(folder: Path, template: str, name: str, how: Written, pixels: np.ndarray) -> None:
    for suffix in (how.suffix, ".bmp") if how.kind == "double" else (how.suffix,):
        path = folder / unicodedata.normalize(how.form, template.format(name, suffix))
        path.parent.mkdir(parents=True, exist_ok=True)
        data = cv2.imencode(suffix.lower(), pixels)[1].tobytes()
        if how.kind == "link":
            target = folder.parent / "elsewhere" / f"{abs(hash((template, name)))}{suffix}"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
            path.symlink_to(target)
        elif how.kind != "missing":
            path.write_bytes(data)


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(LAYOUTS), SCENES)
def test_what_describe_accepts_ingestion_takes_or_names(
    layout: tuple[str, str], scenes: list[tuple[int, Written, Written]]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve() / "raw"
        folder.mkdir()
        for number, image, mask in scenes:
            if layout[0] == layout[1] and image.suffix.lower() == mask.suffix.lower():
                image = image._replace(suffix=".jpg")
            write(folder, layout[0], NAMES[number], image, PICTURES[number])
            write(folder, layout[1], NAMES[number], mask, mask_of(number))
        matched = match_files(folder).pairs
        try:
            proposal = propose(folder, 0)
            description = checked("mine", description_text("mine", folder.as_posix(), proposal))
            # By path, as `describe` asks.
            taken, named = search_scenes(description, folder, Path.as_posix)
        except DataError as error:
            # Whoever is refused learns why, and what to do.
            assert error.problem and error.remedy
            return
        pairs = {(scene.image, scene.mask) for scene in taken}
        spoken_of = {file.file for file in named} | {file.scene for file in named}
        said = " ".join(proposal.notes)
        for image, mask in matched:
            assert (image, mask) in pairs or {image, mask} & spoken_of or image in said, (image, mask, proposal.layout)
        assert proposal.scenes <= len(taken) + len(named)
        for scene in taken:
            # Each image has its own mask.
            (number,) = (n for n, name in enumerate(NAMES) if _is_of(scene.image, layout[0], name))
            assert np.array_equal(cv2.imread(str(folder / scene.mask), cv2.IMREAD_UNCHANGED), mask_of(number))
        for path in (path for path in folder.rglob("*") if path.is_symlink()):
            name = path.relative_to(folder).as_posix()
            assert name in spoken_of or "lead out of the folder" in said


def _is_of(path: str, template: str, name: str) -> bool:
    written = unicodedata.normalize("NFC", path)
    return any(written == template.format(name, suffix) for suffix in (".jpg", ".JPG", ".png", ".bmp"))


@pytest.mark.parametrize("image, mask", [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_accents_in_one_character_or_two_are_the_same_name(
    tmp_path: Path, layout: tuple[str, str], image: str, mask: str
) -> None:
    for number, name in enumerate(["Åre", "été", "Süd", "Ñu"]):
        write(tmp_path, layout[0], name, Written(image, ".JPG", "file"), PICTURES[number])
        write(tmp_path, layout[1], name, Written(mask, ".PNG" if number else ".png", "file"), mask_of(number))
    description = checked("mine", description_text("mine", tmp_path.as_posix(), propose(tmp_path, 0)))
    scenes, bad = search_scenes(description, tmp_path, Path.as_posix)
    assert len(scenes) == 4 and not bad


def test_one_image_of_a_scene_is_taken_where_there_are_two(tmp_path: Path) -> None:
    for number, name in enumerate(["IMG_0", "IMG_1", "IMG_2", "IMG_3"]):
        write(tmp_path, LAYOUTS[0][0], name, Written("NFC", ".png", "file"), PICTURES[number])
        write(tmp_path, LAYOUTS[0][1], name, Written("NFC", ".png", "file"), mask_of(number))
    write(tmp_path, LAYOUTS[0][0], "IMG_0", Written("NFC", ".JPG", "file"), PICTURES[0])
    write(tmp_path, LAYOUTS[0][0], "IMG_1", Written("NFC", ".jpg", "file"), PICTURES[1])
    (tmp_path / "images/IMG_1.png").unlink()
    proposal = propose(tmp_path, 0)
    description = checked("mine", description_text("mine", tmp_path.as_posix(), proposal))
    scenes, bad = search_scenes(description, tmp_path, Path.as_posix)
    assert len(scenes) == proposal.scenes == 4 and not bad
    assert "images/IMG_0.JPG and images/IMG_0.png" in " ".join(proposal.notes)


def test_links_that_lead_out_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    for number, name in enumerate(["IMG_0", "IMG_1", "IMG_2", "IMG_3"]):
        write(folder, LAYOUTS[0][0], name, Written("NFC", ".png", "link"), PICTURES[number])
        write(folder, LAYOUTS[0][1], name, Written("NFC", ".png", "file"), mask_of(number))
    with pytest.raises(DataError, match=r"4 link\(s\) that lead out of the folder, such as images/IMG_0.png"):
        propose(folder, 0)
    assert "replace them by copies" in not_understood(folder)
    # What it says works.
    for link in (folder / "images").iterdir():
        data = link.read_bytes()
        link.unlink()
        link.write_bytes(data)
    assert propose(folder, 0).scenes == 4 and not_understood(folder) == ""
