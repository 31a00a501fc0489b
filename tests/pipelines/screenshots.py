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


def save(page: Any, name: str, width: int = 1600) -> None:
    page.wait_for_timeout(2000)
    shown = page.screenshot(clip={"x": 0, "y": 0, "width": width, "height": 1000})
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
        # The graph alone, as large as it gets.
        for label in ("Turn minimap off", "Hide menu", "Reset zoom"):
            page.get_by_label(label, exact=True).click()
        page.mouse.move(800, 20)
        save(page, "lineage")


def runs(context: Any, folder: Path) -> None:
    database = ROOT / "mlflow.db"
    trainings = tracked_trainings(database)
    last = [training for training in trainings if training.parent == trainings[-1].parent]
    with served_mlflow(database, folder / "mlflow.log", cwd=folder, env=clean_environment()) as address:
        page = context.new_page()
        compare_in_mlflow(page, address, last)
        save(page, "runs", WITHOUT_ASSISTANT)
        open_metrics(page, address, database, "diffusion")
        save(page, "training", WITHOUT_ASSISTANT)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, browser_window() as context:
        lineage(context, Path(folder))
        runs(context, Path(folder))


if __name__ == "__main__":
    main()
