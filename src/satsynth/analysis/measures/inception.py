"""Fréchet inception distance and inception score, by torch-fidelity and its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from satsynth.work.errors import ResourceError

DOWNLOAD = "download"
POOLED = "2048"
LOGITS = "logits_unbiased"
# Below this the covariance of the 2048 features is singular, and the distance is biased upwards a good deal.
FEW_IMAGES = 2048


def weights_name(weights: str) -> str:
    """Return what identifies the weights: the digest of a local file, or that they are torch-fidelity's own.

    Raises:
        ResourceError: There is no such file.
    """
    if weights == DOWNLOAD:
        return "torch-fidelity's own"
    file = Path(weights).expanduser()
    if not file.is_file():
        raise ResourceError(
            f"The Inception weights {weights} do not exist ({file.resolve()}).",
            f"Correct `comparison.inception`: null, `{DOWNLOAD}`, or a file; a path is relative to the project.",
        )
    with file.open("rb") as stream:
        return f"SHA-256 {hashlib.file_digest(stream, 'sha256').hexdigest()[:16]}"


def inception_facts(
    images: Mapping[str, np.ndarray], halves: np.ndarray, weights: str, device: torch.device, batch_size: int = 16
) -> dict[str, Any]:
    """Measure all sets of images against the real training images with Inception v3.

    Args:
        images: ``(N, H, W, 3)`` uint8 by name of the set; ``train`` is the reference.
        halves: ``(N,)`` bool: two scene-disjoint halves of the reference, whose distance is the yardstick.
        weights: ``download``, or a file of torch-fidelity's Inception weights.
        device: Where.
        batch_size: Images at once.

    Returns:
        ``fid`` by set, ``inception_score`` (mean and standard deviation over 10 parts) by set, ``resize`` and a
        ``note`` on small sets.

    Raises:
        ResourceError: torch-fidelity is missing, or its weights cannot be downloaded or read.

    Source: Heusel et al., arXiv 1706.08500; Salimans et al., arXiv 1606.03498.
    """
    extractor = _extractor(weights).to(device)
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

    found = {name: _features(extractor, part, device, batch_size) for name, part in images.items()}
    pooled = {name: both[0] for name, both in found.items()}
    chosen = torch.from_numpy(halves)

    def distance(a: torch.Tensor, b: torch.Tensor) -> float:
        if min(len(a), len(b)) < 2:
            return float("nan")
        return float(fid_statistics_to_metric(*map(fid_features_to_statistics, (a, b)), False)[KEY_METRIC_FID])

    scores = {name: isc_features_to_metric(both[1]) for name, both in found.items()}
    smallest = min(len(part) for part in images.values())
    return {
        "weights": weights_name(weights),
        "resize": "299 x 299 as TensorFlow 1 does",
        "fid": {
            **{name: distance(pooled["train"], part) for name, part in pooled.items() if name != "train"},
            "train_halves": distance(pooled["train"][chosen], pooled["train"][~chosen]),
        },
        "inception_score": {
            name: {"mean": score[KEY_METRIC_ISC_MEAN], "std": score[KEY_METRIC_ISC_STD]}
            for name, score in scores.items()
        },
        "note": f"the smallest set has {smallest} images: below {FEW_IMAGES} FID is biased upwards; compare with the "
        "other rows alone"
        if smallest < FEW_IMAGES
        else "",
    }


def _extractor(weights: str) -> torch.nn.Module:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
    except ImportError as error:
        raise ResourceError(
            f"`comparison.inception` needs torch-fidelity, which cannot be imported: {error}.",
            'Install it with: pip install "satsynth[fid]", or set `comparison.inception: null`.',
        ) from error
    file = None
    if weights != DOWNLOAD:
        weights_name(weights)
        file = str(Path(weights).expanduser())
        _check(file)
    try:
        return FeatureExtractorInceptionV3("inception", [POOLED, LOGITS], feature_extractor_weights_path=file)
    except OSError as error:
        raise ResourceError(
            f"The Inception weights cannot be downloaded: {error}",
            f"Get {URL_INCEPTION_V3} on a machine that is connected, and name the file in `comparison.inception`; or "
            "set it to null.",
        ) from error
    except RuntimeError as error:
        raise ResourceError(
            f"{file or URL_INCEPTION_V3} does not hold the weights of torch-fidelity's Inception: {str(error)[:300]}",
            f"Give the file {URL_INCEPTION_V3}.",
        ) from error


def _check(file: str) -> None:
    """Refuse a file that holds more than tensors: torch-fidelity itself would run what is in it."""
    try:
        torch.load(file, "cpu", weights_only=True, mmap=True)
    except Exception as error:  # pickle, zip and torch have errors of their own
        raise ResourceError(
            f"The Inception weights {file} cannot be read: {str(error)[:300]}",
            "Give torch-fidelity's file of weights, or set `comparison.inception: null`.",
        ) from error


@torch.inference_mode()
def _features(
    extractor: torch.nn.Module, images: np.ndarray, device: torch.device, batch_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pooled features ``(N, 2048)`` and unbiased logits ``(N, 1008)`` of images ``(N, H, W, 3)`` uint8."""
    parts = []
    for first in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.ascontiguousarray(images[first : first + batch_size])).permute(0, 3, 1, 2)
        parts.append([output.cpu() for output in extractor(batch.to(device))])
    pooled, logits = (torch.cat(part) for part in zip(*parts, strict=True))
    return pooled, logits
