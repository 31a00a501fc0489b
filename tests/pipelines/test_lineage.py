from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from browsing import HOST, free_port, served

from satsynth.pipeline_registry import register_pipelines

PREVIEWS = {
    "scenes": "TablePreview",
    "bad_files": "TablePreview",
    "tiles": "ImagePreview",
    "generator": "JSONPreview",
    "judge": "JSONPreview",
    "synthetic_pairs": "ImagePreview",
    "class_distribution": "TablePreview",
    "class_adjacency": "TablePreview",
    "class_distribution_plot": "PlotlyPreview",
    "fidelity": "JSONPreview",
    "spectrum_plot": "PlotlyPreview",
    "color_plot": "PlotlyPreview",
    "alignment": "JSONPreview",
    "memorisation": "JSONPreview",
    "nearest_neighbours": "TablePreview",
    "closest_pairs": "ImagePreview",
    "pair_gallery": "ImagePreview",
    "segmentation_runs": "TablePreview",
    "scene_confusion": "TablePreview",
    "segmentation_summary": "TablePreview",
    "class_gains": "TablePreview",
    "network_comparison": "TablePreview",
    "augmentation_comparison": "TablePreview",
    "ratio_curve": "PlotlyPreview",
    "class_gain_plot": "PlotlyPreview",
}


def test_kedro_viz_previews_every_entry_of_a_finished_run(viz_site: Path) -> None:
    api = viz_site / "api"
    names = {node["id"]: node["name"] for node in json.loads((api / "main").read_text())["nodes"]}
    nodes = {names[file.name]: json.loads(file.read_text()) for file in (api / "nodes").iterdir() if file.name in names}
    shown = {name: node["preview_type"] for name, node in nodes.items() if node.get("preview")}
    assert shown == PREVIEWS


# Where Kedro-Viz shows a preview of each kind.
SHOWN = {
    "TablePreview": ".pipeline-metadata .preview-table",
    "ImagePreview": ".pipeline-metadata img.pipeline-metadata__plot-image",
    "JSONPreview": ".pipeline-metadata .react-json-view",
    "PlotlyPreview": ".pipeline-metadata .js-plotly-plot .main-svg",
}


def test_a_browser_shows_the_stages_folded_up_and_every_preview(viz_site: Path, window: Any, tmp_path: Path) -> None:
    nodes = {node["name"]: node["id"] for node in json.loads((viz_site / "api/main").read_text())["nodes"]}
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", HOST, "--directory", str(viz_site)]
    with served(command, port, tmp_path / "server.log") as address:
        page = window.new_page()
        page.goto(address)
        page.wait_for_selector(".pipeline-node")
        drawn = {re.sub(r"\s", "", text) for text in page.locator(".pipeline-node").all_text_contents()}
        stages = {"ingestion", "tiling", "diffusion", "sampling", "comparison", "segmentation", "report"}
        assert stages <= drawn and stages < set(register_pipelines())
        assert not {"cut_tiles", "draw_pairs", "measure_fidelity"} & drawn, "stages are folded up"
        layers = page.locator(".pipeline-layer-name").all_text_contents()
        assert [name.strip() for name in layers] == ["intermediate", "primary", "models", "model_output", "reporting"]
        for name, kind in PREVIEWS.items():
            page.goto(f"{address}/?pid=__default__&sid={nodes[name]}")
            place = page.locator(SHOWN[kind]).first
            place.wait_for(timeout=30_000)
            if kind == "ImagePreview":
                page.wait_for_function("place => place.naturalWidth > 300", arg=place.element_handle())
            assert page.locator(".pipeline-metadata__title").first.inner_text().strip() == name
        page.close()
