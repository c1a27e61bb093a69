"""A learned vector with a learned scale, added to an activation: what LIVE and M2IV have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hificl.attention.kernels import wide
from hificl.tuner.intervention import Call, Intervention


class LearnedShift(Intervention):
    """Adds ``shift_scale * shift_vector`` to every position, and takes the result back to the norm that was there.

    Args:
        hidden: Size of the activation.
        keep_norm: Whether the norm is restored.

    Source:
        ``shift_vector`` [hidden] starts at 0.01 normal, ``shift_scale`` at 0.1: v and alpha of the authors' code.
    """

    def __init__(self, hidden: int, *, keep_norm: bool) -> None:
        super().__init__()
        self.keep_norm = keep_norm
        self.shift_vector = nn.Parameter(torch.randn(hidden) * 0.01)
        self.shift_scale = nn.Parameter(torch.tensor(0.1))

    def forward(self, activation: Tensor, call: Call) -> Tensor:
        """Return ``activation`` [... hidden] shifted; norms are taken over the last axis, in float32."""
        before = wide(activation)
        shifted = before + self.shift_scale * self.shift_vector
        return (with_norm_of(before, shifted) if self.keep_norm else shifted).to(activation.dtype)


def with_norm_of(reference: Tensor, tensor: Tensor) -> Tensor:
    """Scale ``tensor`` so that its norm over the last axis is that of ``reference``; zeros stay zeros."""
    wanted = torch.linalg.vector_norm(reference, dim=-1, keepdim=True)
    found = torch.linalg.vector_norm(tensor, dim=-1, keepdim=True)
    return tensor * (wanted / found.clamp_min(torch.finfo(tensor.dtype).tiny))
