"""Tables of trainings whose scores are known."""

import numpy as np
import pandas as pd

SCENES = ("s1", "s2")


def iou(matrices):
    hits, targets = np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(targets > 0, hits / (targets + matrices.sum(-2) - hits), np.nan)


def tables_of(scores, network="fpn", **arm):
    """Return runs and confusion matrices from the mIoU by (ratio, seed); both scenes and classes have that IoU.

    A third class, c, is in no scene.
    """
    runs, confusion = [], []
    for (ratio, seed), score in scores.items():
        known = {
            "network": network,
            "augmentation": "flips",
            "protocol": "step_matched",
            "real_share": None,
            "ratio": ratio,
            "seed": seed,
            **arm,
        }
        others = {"mf1": score / 2, "accuracy": score, "boundary_f1": None}
        runs.append({**known, "miou": score, **others, "iou_a": score, "iou_b": score, "iou_c": None})
        # Of 1000 pixels of each class x are right, and IoU = x / (2000 - x).
        right = 2000 * score / (1 + score)
        matrix = [right, 1000 - right, 0, 1000 - right, right, 0, 0, 0, 0]
        confusion += [{**known, "scene_id": scene, "confusion": matrix} for scene in SCENES]
    return pd.DataFrame(runs), pd.DataFrame(confusion)


HELPED = {(0, 0): 0.40, (0, 1): 0.42, (0, 2): 0.44, (1, 0): 0.50, (1, 1): 0.53, (1, 2): 0.53}
