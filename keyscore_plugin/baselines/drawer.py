"""Draws of frames by their scores, far enough apart: what FOCUS does inside an arm."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Drawer:
    """Draws frames of an arm by their scores, far enough apart.

    Attributes:
        scores: ``(n,)`` of the whole grid, in [0, 1].
        pts_seconds: ``(n,)``.
        gap_seconds: Least time between two chosen frames.
        temperature: Of the softmax.
        generator: Of the draws.
    """

    scores: Tensor
    pts_seconds: Tensor
    gap_seconds: float
    temperature: float
    generator: torch.Generator

    def draw(self, arm: Tensor, rows: Tensor, quota: int) -> Tensor:
        """Add up to ``quota`` frames of an arm to ``rows``; returns them all."""
        weights = torch.softmax(self.scores[arm] / self.temperature, dim=0)
        for _ in range(quota):
            gaps = (self.pts_seconds[arm][:, None] - self.pts_seconds[rows]).abs()
            nearest = gaps.amin(1) if len(rows) else torch.full_like(weights, torch.inf)
            mass = weights * ((nearest > 0) & (nearest >= self.gap_seconds))
            if not bool(mass.sum() > 0):
                break
            rows = torch.cat([rows, arm[torch.multinomial(mass, 1, generator=self.generator)]])
        return rows
