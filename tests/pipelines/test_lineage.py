from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from browsing import served_site
from views import preview_in_viz, viz_nodes

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
    "fidelity": "TablePreview",
    "image_curves": "TablePreview",
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
    "untrusted_pixels": "TablePreview",
    "network_comparison": "TablePreview",
    "augmentation_comparison": "TablePreview",
    "ratio_curve": "PlotlyPreview",
    "class_gain_plot": "PlotlyPreview",
}


def test_kedro_viz_previews_every_entry_of_a_finished_run(viz_site: Path) -> None:
    api = viz_site / "api"
    names = {node: name for name, node in viz_nodes(viz_site).items()}
    nodes = {names[file.name]: json.loads(file.read_text()) for file in (api / "nodes").iterdir() if file.name in names}
    shown = {name: node["preview_type"] for name, node in nodes.items() if node.get("preview")}
    assert shown == PREVIEWS


def test_kedro_viz_knows_of_every_node_what_the_last_run_did(viz_site: Path) -> None:
    run = json.loads((viz_site / "api/run-status").read_text())
    nodes = json.loads((viz_site / "api/main").read_text())["nodes"]
    assert set(run["nodes"]) == {node["id"] for node in nodes if node["type"] == "task"}
    assert {node["status"] for node in run["nodes"].values()} == {"success"} == {run["pipeline"]["status"]}
    assert 0 < sum(node["duration"] for node in run["nodes"].values()) <= run["pipeline"]["duration"]


def test_a_browser_shows_folded_stages_and_previews_of_every_kind(viz_site: Path, window: Any, tmp_path: Path) -> None:
    nodes = viz_nodes(viz_site)
    with served_site(viz_site, tmp_path / "server.log") as address:
        page = window.new_page()
        page.goto(address)
        page.wait_for_selector(".pipeline-node")
        drawn = {re.sub(r"\s", "", text) for text in page.locator(".pipeline-node").all_text_contents()}
        by_name = {"export", "download", "painting", "labelling", "rivals", "labels"}
        stages = set(register_pipelines()) - {"augment", "__default__"} - by_name
        assert len(stages) == 8 and stages <= drawn
        assert not {"cut_tiles", "draw_pairs", "measure_fidelity"} & drawn, "stages are folded up"
        layers = page.locator(".pipeline-layer-name").all_text_contents()
        assert [name.strip() for name in layers] == ["intermediate", "primary", "models", "model_output", "reporting"]
        # That all have one is said by the data of the page, above; here, that each kind is drawn. A page takes seconds.
        kinds: dict[str, list[str]] = {}
        for name, kind in PREVIEWS.items():
            kinds.setdefault(kind, []).append(name)
        for kind, name in [(kind, name) for kind, names in kinds.items() for name in (names[0], names[-1])]:
            preview_in_viz(page, address, nodes[name], kind)
            assert page.locator(".pipeline-metadata__title").first.inner_text().strip() == name
        page.close()


def test_the_workflow_tab_shows_the_last_run(viz_site: Path, window: Any, tmp_path: Path) -> None:
    with served_site(viz_site, tmp_path / "server.log") as address:
        page = window.new_page()
        page.goto(address)
        page.wait_for_selector(".pipeline-node")
        page.locator(".run-status-nav-wrapper").click()
        page.get_by_text("Run execution completed successfully").wait_for(timeout=30_000)
        tasks = json.loads((viz_site / "api/run-status").read_text())["nodes"]
        done = page.locator(".pipeline-workflow .pipeline-node--task.pipeline-node--status-success")
        done.nth(len(tasks) - 1).wait_for(timeout=30_000)
        assert done.count() == len(tasks)
        assert all("Duration" in text for text in done.all_text_contents())
        page.close()
