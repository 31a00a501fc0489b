"""Fréchet inception distance, its spatial variant and inception score, by torch-fidelity and its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from satsynth.analysis.measures.inputs import HALVES, REFERENCE, MeasureInputs
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row
from satsynth.analysis.settings import ComparisonSettings
from satsynth.work.errors import ResourceError

if TYPE_CHECKING:
    import torch

DOWNLOAD = "download"
POOLED = "2048"
LOGITS = "logits_unbiased"
# The first channels of the first branch of this block, 17 x 17 positions each: `mixed_6/conv` of the TensorFlow graph.
SPATIAL_BLOCK, SPATIAL_CHANNELS = "Mixed_6d", 7
RESIZE = "299 x 299 as TensorFlow 1 does"
# Below this the covariance of the 2048 features is singular, and the distance is strongly biased upwards.
FEW_IMAGES = 2048


def weights_name(weights: str) -> str:
    """Return what identifies the weights: the digest of a local file, or a name for those of torch-fidelity.

    Raises:
        ResourceError: There is no such file.
    """
    file = weights_file(weights)
    if file is None:
        return "torch-fidelity's own"
    with file.open("rb") as stream:
        return f"SHA-256 {hashlib.file_digest(stream, 'sha256').hexdigest()[:16]}"


def weights_file(weights: str) -> Path | None:
    """Return the local file of the weights, or None for those that torch-fidelity downloads.

    Raises:
        ResourceError: There is no such file.
    """
    if weights == DOWNLOAD:
        return None
    file = Path(weights).expanduser()
    if not file.is_file():
        raise ResourceError(
            f"The file of Inception weights {weights} does not exist ({file.resolve()}).",
            f"Set `comparison.inception` to null, `{DOWNLOAD}`, or a file; a path is relative to the project.",
        )
    return file


def require_inception(weights: str) -> None:
    """Refuse, before any work is done, weights or a library that are not there.

    Raises:
        ResourceError: They are not.
    """
    weights_file(weights)
    if find_spec("torch_fidelity") is None:
        raise _no_library("there is no such module")


def _no_library(why: object) -> ResourceError:
    return ResourceError(
        f"`comparison.inception` needs torch-fidelity, which cannot be imported: {why}.",
        'Install it with: pip install "satsynth[fid]", or set `comparison.inception: null`.',
    )


def inception_rows(inputs: MeasureInputs) -> Iterator[Row]:
    """Yield FID and sFID of all sets and of halves of train, and the inception score of all sets.

    sFID is the same distance in features that keep their places in the image, so that it sees where things are. Neither
    has an interval: they are biased upwards by an amount that depends on the number of images, and resampling adds to
    it. ``inception_score`` is the mean over 10 parts of a set, ``inception_score_deviation`` their standard deviation,
    which is no interval: neighbouring tiles of one scene are alike.

    Raises:
        ResourceError: torch-fidelity is missing, or its weights cannot be downloaded or read.

    Source: Heusel et al., arXiv 1706.08500; Nash et al., arXiv 2103.03841; Salimans et al., arXiv 1606.03498.
    """
    import torch

    from satsynth.training.device import choose_device

    device = choose_device(inputs.compute)
    extractor = _extractor(str(inputs.comparison.inception)).to(device)
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

    def distance(a: torch.Tensor, b: torch.Tensor) -> float:
        if min(len(a), len(b)) < 2:
            return float("nan")
        return float(fid_statistics_to_metric(*map(fid_features_to_statistics, (a, b)), False)[KEY_METRIC_FID])

    spaces: dict[str, dict[str, torch.Tensor]] = {"fid": {}, "sfid": {}}
    for name, images in inputs.images.items():
        spaces["fid"][name], logits, spaces["sfid"][name] = inception_features(extractor, images, device)
        score = isc_features_to_metric(logits)
        yield Row(name, "inception_score", float(score[KEY_METRIC_ISC_MEAN]))
        yield Row(name, "inception_score_deviation", float(score[KEY_METRIC_ISC_STD]))
    first = torch.from_numpy(inputs.halves)
    for measure, features in spaces.items():
        for name in inputs.compared:
            yield Row(name, measure, distance(features[REFERENCE], features[name]))
        yield Row(HALVES, measure, distance(features[REFERENCE][first], features[REFERENCE][~first]))


def _settings(comparison: ComparisonSettings) -> dict[str, str] | None:
    return None if comparison.inception is None else {"weights": weights_name(comparison.inception)}


def _extractor(weights: str) -> torch.nn.Module:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
    except ImportError as error:
        raise _no_library(error) from error
    local = weights_file(weights)
    file = None if local is None else str(local)
    if file is not None:
        _check(file)
    try:
        from satsynth.training.seeds import shared_random_state

        with shared_random_state(0):
            return FeatureExtractorInceptionV3("inception", [POOLED, LOGITS], feature_extractor_weights_path=file)
    except OSError as error:
        raise ResourceError(
            f"The Inception weights cannot be downloaded: {error}",
            f"Download {URL_INCEPTION_V3} on a machine with internet access and set `comparison.inception` to the "
            "file, or set it to null.",
        ) from error
    except RuntimeError as error:
        raise ResourceError(
            f"{file or URL_INCEPTION_V3} does not hold the weights of torch-fidelity's Inception: {str(error)[:300]}",
            f"Set `comparison.inception` to the file {URL_INCEPTION_V3}.",
        ) from error


def _check(file: str) -> None:
    """Refuse a file that holds more than tensors: torch-fidelity itself would execute code in it."""
    import torch

    try:
        torch.load(file, "cpu", weights_only=True, mmap=True)
    except Exception as error:  # pickle, zip and torch have errors of their own
        raise ResourceError(
            f"The Inception weights {file} cannot be read: {str(error)[:300]}",
            "Set `comparison.inception` to torch-fidelity's file of weights, or to null.",
        ) from error


def inception_features(
    extractor: torch.nn.Module, images: np.ndarray, device: torch.device, batch_size: int = 16
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return features of images ``(N, H, W, 3)`` uint8.

    Returns:
        Pooled features ``(N, 2048)``, unbiased logits ``(N, 1008)`` and spatial features ``(N, 7 * 17 * 17)``.
    """
    import torch

    parts, spatial = [], []
    branch: torch.nn.Module = extractor.get_submodule(f"{SPATIAL_BLOCK}.branch1x1")
    hook = branch.register_forward_hook(
        lambda module, given, output: spatial.append(output[:, :SPATIAL_CHANNELS].flatten(1).cpu())
    )
    try:
        with torch.inference_mode():
            for first in range(0, len(images), batch_size):
                batch = torch.from_numpy(np.ascontiguousarray(images[first : first + batch_size])).permute(0, 3, 1, 2)
                parts.append([output.cpu() for output in extractor(batch.to(device))])
    finally:
        hook.remove()
    pooled, logits = (torch.cat(part) for part in zip(*parts, strict=True))
    return pooled, logits, torch.cat(spatial)


MEASURE = Measure(
    name="inception",
    version=2,
    needs=frozenset({"images"}),
    rows=inception_rows,
    headings={
        "fid": Heading("FID"),
        "sfid": Heading("sFID"),
        "inception_score": Heading("inception score"),
        "inception_score_deviation": Heading("inception score,\ndeviation over 10 parts"),
    },
    settings=_settings,
)
