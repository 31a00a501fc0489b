from __future__ import annotations

import json
import subprocess
import sys

from projects import Project, clean_environment

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


def test_kedro_viz_previews_every_entry_of_a_finished_run(smoke: tuple[Project, str]) -> None:
    project, _ = smoke
    # `kedro viz build` knows no environment, so the finished run becomes the base one.
    for folder in sorted((project.path / "data").glob("0*/smoke")):
        (folder.parent / "base").symlink_to("smoke")
    command = [sys.executable, "-m", "kedro", "viz", "build", "--include-previews"]
    done = subprocess.run(
        command, cwd=project.path, env=clean_environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    api = project.path / "build" / "api"
    names = {node["id"]: node["name"] for node in json.loads((api / "main").read_text())["nodes"]}
    nodes = {names[file.name]: json.loads(file.read_text()) for file in (api / "nodes").iterdir() if file.name in names}
    shown = {name: node["preview_type"] for name, node in nodes.items() if node.get("preview")}
    assert shown == PREVIEWS
