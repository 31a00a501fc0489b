"""Names in any script, with any signs: each image is matched with its own mask."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from described import described, scenes_of
from made_data import picture, save
from satsynth.describing.matching import match_files
from satsynth.rasters.vectors import vector_info
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError

RNG = np.random.default_rng(11)
SIDE = 24
NAMES = {
    "Chinese": ["北京", "上海", "广州", "深圳", "成都", "杭州", "武汉", "西安", "南京", "重庆"],
    "Cyrillic": ["Москва", "Тверь", "Омск", "Пермь", "Уфа", "Казань", "Самара", "Томск", "Курск", "Псков"],
    "Arabic": ["دبي", "القاهرة", "بغداد", "عمان", "تونس", "بيروت", "دمشق", "الرياض", "مسقط", "الدوحة"],
    "accents": ["Åre", "Ære", "Øre", "Éze", "Ėze", "Süd", "Sud", "Sùd", "ñ", "n"],
    "other digits": ["\u0661", "\u0662", "\u0663", "\u0664", "\u0665", "5²", "5³", "½", "①", "②"],
    "signs": ["t+1", "t-1", "t 1", "t(1)", "t[1]", "t{1}", "t$1", "t&1", "t#1", "t~1"],
    "negative numbers": [
        "x1_y1",
        "x-1_y1",
        "x1_y-1",
        "x-1_y-1",
        "x+1_y1",
        "x0_y0",
        "x0_y-0",
        "x2_y2",
        "x-2_y2",
        "x2_y-2",
    ],
    "Hindi": ["दिल्ली", "मुंबई", "पुणे", "पटना", "जयपुर", "इंदौर", "भोपाल", "सूरत", "आगरा", "कोटा"],
}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("layout", ["{}.png {}_mask.png", "images/{}.png masks/{}.png", "{}_img.png {}_lbl.png"])
@pytest.mark.parametrize("kind", NAMES)
def test_ten_scenes_of_any_script_are_ten_scenes(tmp_path: Path, kind: str, layout: str, form: str) -> None:
    image, mask = layout.split()
    truth = {}
    for place, name in enumerate(NAMES[kind]):
        written = unicodedata.normalize(form, name)
        truth[written] = np.full((SIDE, SIDE), place % 3, np.uint8)
        truth[written][:5] = (place + 1) % 3
        save(tmp_path / image.format(written), picture(RNG, SIDE, SIDE))
        save(tmp_path / mask.format(written), truth[written])
    pairs = match_files(tmp_path).pairs
    assert sorted(pairs) == sorted((image.format(name), mask.format(name)) for name in truth)
    description, _ = described(tmp_path)
    scenes = scenes_of(description, tmp_path)
    assert len(scenes) == 10
    reader = SceneReader(description, tmp_path)
    for scene in scenes:
        name = next(name for name in truth if scene.image == image.format(name))
        np.testing.assert_array_equal(reader.read(scene, 0, 0, SIDE, SIDE)[1], truth[name])


@pytest.mark.parametrize("sign", ["!", ";"])
def test_signs_that_lead_to_other_files_are_refused_and_a_new_name_is_taken(tmp_path: Path, sign: str) -> None:
    ring = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    for name, count in ((f"a.geojson{sign}b.geojson", 2), ("a.geojson", 1)):
        (tmp_path / name).write_text(json.dumps({"type": "FeatureCollection", "features": [feature] * count}))
    odd = tmp_path / f"a.geojson{sign}b.geojson"
    with pytest.raises(DataError, match="takes for its own syntax") as caught:
        vector_info(odd, None)
    assert caught.value.remedy == "Rename the file or its folder."
    vector_info(odd.rename(tmp_path / "b.geojson"), None)


@pytest.mark.parametrize(
    "sign", ["#", "?", "%20", "|x", "{a}", "@", ",", ":", "&", "*", "[1]", "'", "=", "+", "$x", "空"]
)
def test_other_signs_in_paths_of_polygons_are_only_signs(tmp_path: Path, sign: str) -> None:
    ring = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    feature = {"type": "Feature", "properties": {"kind": "x"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    file = tmp_path / f"a{sign}b.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert vector_info(file, None).fields == ("kind",)
