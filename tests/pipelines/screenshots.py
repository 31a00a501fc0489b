"""Make the pictures of Kedro-Viz and the MLflow UI in the documents anew, from the last run of the default data set.

make augment
python tests/pipelines/screenshots.py        # writes docs/images/{lineage,runs,training}.jpg

The browser tests open the same views on a small run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from browsing import browser_window, served_mlflow, served_site
from projects import ROOT, clean_environment
from views import compare_in_mlflow, open_metrics, tracked_trainings

# To the right of it MLflow offers an assistant.
WITHOUT_ASSISTANT = 1185


def save(page: Any, name: str, x: int = 0, y: int = 0, width: int = WITHOUT_ASSISTANT, height: int = 1000) -> None:
    page.wait_for_timeout(2000)
    shown = page.screenshot(clip={"x": x, "y": y, "width": width, "height": height})
    picture = cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR)
    path = ROOT / "docs/images" / f"{name}.jpg"
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(path)


def lineage(context: Any, folder: Path) -> None:
    command = [sys.executable, "-m", "kedro", "viz", "build", "--include-previews"]
    subprocess.run(command, cwd=ROOT, env=clean_environment(), check=True)
    site = ROOT / "build"
    with served_site(site, folder / "viz.log") as address:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector(".pipeline-node")
        page.locator(".feature-hints__close").click()
        page.wait_for_timeout(500)
        page.locator(".feature-hints__reopen-message").wait_for(state="hidden", timeout=30_000)
        # Only the graph, from left to right, as large as it gets.
        for label in ("Turn minimap off", "Hide menu", "Change flowchart orientation", "Reset zoom"):
            page.get_by_label(label, exact=True).click()
            page.wait_for_timeout(1500)
        page.mouse.move(0, 0)
        save(page, "lineage", 136, 70, 1464, 750)


def runs(context: Any, folder: Path) -> None:
    database = ROOT / "mlflow.db"
    trainings = tracked_trainings(database)
    last = [training for training in trainings if training.parent == trainings[-1].parent]
    with served_mlflow(database, folder / "mlflow.log", cwd=folder, env=clean_environment()) as address:
        page = context.new_page()
        compare_in_mlflow(page, address, last)
        save(page, "runs")
        open_metrics(page, address, database, "diffusion")
        save(page, "training")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # Its letters are small, and can be read where the picture is enlarged.
        with browser_window(scale=2) as context:
            lineage(context, Path(folder))
        with browser_window() as context:
            runs(context, Path(folder))


if __name__ == "__main__":
    main()
