"""Muon: steps with singular values near one, so that rare directions are learned as fast as common ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import nn
from torch.optim.adamw import adamw

# Five steps of this quintic bring all singular values of a matrix of norm one near one.
A, B, C = 3.4445, -4.7750, 2.0315
STEPS = 5


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for convolutions, AdamW for all else.

    A convolution counts as the matrix ``(out, in * k * k)``. The size of a step is that of AdamW, whose rates and decay
    it shares.

    Written here because the versions of PyTorch and timm compute in bfloat16, which most CPUs do not support, PyTorch's
    takes no convolutions, and none has the cheaper form that `orthogonalised` uses.

    Args:
        parameters: What to train.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
        momentum: Decay of the momentum (Nesterov's).
        betas: Decays of AdamW.

    Source: Jordan et al., kellerjordan.github.io/posts/muon; Liu et al., arXiv 2502.16982, for the size of a step.
    """

    # `torch.amp.GradScaler` then leaves the skipping of a step to the optimizer, and no GPU waits.
    _step_supports_amp_scaling = True

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        """Sort the parameters into convolutions and all else."""
        known = list(parameters)
        groups = [
            {"params": [p for p in known if (p.ndim == 4) == convolutions], "convolutions": convolutions}
            for convolutions in (True, False)
        ]
        # By `fused` in a group, `load_state_dict` knows that counts of steps belong on the device of their parameters.
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas, "fused": True}
        super().__init__([group for group in groups if group["params"]], defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a state back, also one of a checkpoint whose groups do not say `fused`."""
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("fused", True)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step; none where `found_inf`, which a GradScaler sets, is not zero.

        Args:
            closure: Computes the loss and its gradients again before the step, if given; its value is returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        found = getattr(self, "found_inf", None)
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            (self._step_convolutions if group["convolutions"] else self._step_others)(parameters, group, found)
        return loss

    def _step_convolutions(
        self, parameters: list[nn.Parameter], group: dict[str, Any], found: torch.Tensor | None
    ) -> None:
        by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        updates = []
        for i, parameter in enumerate(parameters):
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            gradient = cast(torch.Tensor, parameter.grad)
            moved = state["momentum"].lerp(gradient, 1 - group["momentum"])
            update = _matrix(gradient.lerp(moved, group["momentum"]))
            state["momentum"].copy_(_unless(found, moved, state["momentum"]))
            updates.append(update if update.shape[0] <= update.shape[1] else update.T)
            by_shape[tuple(updates[-1].shape)].append(i)
        for shape, rows in by_shape.items():
            changes = orthogonalised(torch.stack([updates[i] for i in rows])) * (0.2 * max(shape) ** 0.5)
            for i, change in zip(rows, changes, strict=True):
                matrix = _matrix(parameters[i])
                stepped = matrix * (1 - group["lr"] * group["weight_decay"])
                stepped -= group["lr"] * (change if change.shape == matrix.shape else change.T)
                out, inner, height, width = parameters[i].shape
                unfolded = stepped.reshape(out, height, width, inner).permute(0, 3, 1, 2)
                parameters[i].copy_(_unless(found, unfolded, parameters[i]))

    def _step_others(self, parameters: list[nn.Parameter], group: dict[str, Any], found: torch.Tensor | None) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros((), device=parameter.device)
                state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            list(parameters),
            [cast(torch.Tensor, parameter.grad) for parameter in parameters],
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [state["step"] for state in states],
            fused=group["fused"],
            found_inf=None if found is None else found.reshape(()),
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )


def _matrix(weight: torch.Tensor) -> torch.Tensor:
    """Return a convolution as ``(out, k * k * in)``: the order of columns does not matter, and this copies nothing."""
    return weight.permute(0, 2, 3, 1).flatten(1)


def _unless(found: torch.Tensor | None, value: torch.Tensor, otherwise: torch.Tensor) -> torch.Tensor:
    return value if found is None else torch.where(found > 0, otherwise, value)


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """Return matrices with the same singular vectors and singular values near one (0.7 to 1.2), by Newton-Schulz.

    Each of its steps multiplies X by a polynomial of X X^T. They are taken on this small square matrix, and X is
    multiplied once at the end: for a convolution of 128 channels a third of the work.

    Args:
        matrices: ``(N, rows, columns)`` float32, rows <= columns.
    """
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    gram = x @ x.mT
    one = torch.eye(gram.shape[-1], device=x.device, dtype=x.dtype)
    total = factor = _factor(gram, one)
    for _ in range(STEPS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram, one)
        total = factor @ total
    return total @ x


def _factor(gram: torch.Tensor, one: torch.Tensor) -> torch.Tensor:
    return torch.baddbmm(B * gram + A * one, gram, gram, alpha=C)
