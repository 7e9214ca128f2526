"""FOCUS: a bandit that scores a few frames, then more of the segments that promise (ICLR 2026)."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.baselines.settings import PublishedSampler, require_range, stretched
from keyscore_plugin.samplers.choice import Choice
from keyscore_plugin.samplers.encoding import encode_rows
from keyscore_plugin.samplers.pad_selection import pad_by_score
from keyscore_plugin.samplers.query import mean_cosine
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.text import Picked, cosine_choice
from keyscore_plugin.types import GridInfo


@dataclass(frozen=True, slots=True)
class FocusSettings:
    """Settings of `focus`; the defaults are those of the released code.

    Attributes:
        arm_seconds: Length of a segment of the video, an arm of the bandit.
        min_arms: Fewest arms.
        n_drawn: Number of random frames that are scored in every arm, besides its centre.
        zoom_share: Share of the arms that are scored densely, at least ``min_zoomed`` arms.
        min_zoomed: Fewest arms that are scored densely, and fewest that frames are drawn from.
        max_drawn_from: Most arms that frames are drawn from.
        zoom_seconds: Stride of the dense scores.
        top_share: Share of the budget that goes to the best scores of the whole video.
        temperature: Temperature of the draws inside an arm.
        min_gap_seconds: Least time between chosen frames, if a quarter of their mean spacing is not
            less.
        crowded_seconds: Mean spacing up to which chosen frames need no gap.
        seed: Seed of the draws.
    """

    arm_seconds: float = 16.0
    min_arms: int = 8
    n_drawn: int = 2
    zoom_share: float = 0.25
    min_zoomed: int = 4
    max_drawn_from: int = 32
    zoom_seconds: float = 1.0
    top_share: float = 0.2
    temperature: float = 0.06
    min_gap_seconds: float = 1.0
    crowded_seconds: float = 0.2
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("arm_seconds", "temperature"):
            require_range(self, name, low=1e-6)
        for name in ("zoom_share", "top_share"):
            require_range(self, name, low=0, high=1)
        for name in ("min_arms", "min_zoomed", "max_drawn_from"):
            require_range(self, name, low=1)
        for name in ("n_drawn", "zoom_seconds", "min_gap_seconds", "crowded_seconds"):
            require_range(self, name, low=0)


@dataclass(frozen=True, slots=True, eq=False)
class Focused:
    """The result of `focus`.

    Attributes:
        rows: ``(min(k, n),)`` rising rows that were chosen.
        scored: ``(m,)`` rising rows that were scored.
        scores: ``(n,)`` float64 scores; a row that was not scored has the score of the nearest one
            in its arm.
        n_added: Number of chosen rows that the method itself did not find.
    """

    rows: Tensor
    scored: Tensor
    scores: Tensor
    n_added: int


@dataclass(slots=True, eq=False)
class _Search:
    """The frames scored so far."""

    score_rows: Callable[[Tensor], Tensor]
    known: dict[int, float] = field(default_factory=dict)

    def score(self, rows: list[int]) -> None:
        """Score the rows that are not scored yet."""
        new = [row for row in rows if row not in self.known]
        if new:
            scores = self.score_rows(torch.tensor(new)).double()
            self.known.update(zip(new, scores.tolist(), strict=True))

    def all(self) -> tuple[Tensor, Tensor]:
        """``(m,)`` rising rows that were scored, and their scores."""
        rows = torch.tensor(sorted(self.known))
        return rows, torch.tensor([self.known[row] for row in rows.tolist()], dtype=torch.float64)


def focus(
    score_rows: Callable[[Tensor], Tensor],
    pts_seconds: Tensor,
    *,
    num_frames: int,
    duration_seconds: float,
    settings: FocusSettings,
) -> Focused:
    """FOCUS (Zhu et al., ICLR 2026), from its released algorithm.

    Every arm is scored in three places and ranked by an upper confidence bound; the best arms are
    scored at a stride of a second. A fifth of the budget goes to the best scores, the rest in equal
    parts to the best arms, drawn by their interpolated scores. Ours: the remainder goes to the
    better arms, and frames that an arm cannot give come from the next one. As released, the dense
    scores do not change the ranking of the arms: it rests on three scores each.

    Scores are stretched to [0, 1] over what was scored so far (ours: the released scores are
    matching probabilities, which fill that range). The method may return fewer than k; then the
    best of the interpolated scores are added.

    Args:
        score_rows: Scores rows of the grid on demand: the method is made to score few.
        pts_seconds: ``(n,)`` rising times of the grid.
        num_frames: The budget k.
        duration_seconds: Duration of the video.
        settings: The settings of the method.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    n_arms = max(settings.min_arms, round(duration_seconds / settings.arm_seconds))
    arms = torch.arange(len(pts_seconds)).tensor_split(min(n_arms, len(pts_seconds)))
    search = _Search(score_rows)
    search.score([row for arm in arms for row in _coarse(arm, settings, generator)])
    bounds = upper_bounds(arms, *search.all())
    ranking = bounds.argsort(descending=True, stable=True).tolist()
    n_best = max(settings.min_zoomed, int(settings.zoom_share * len(arms)))
    for best in ranking[:n_best]:
        search.score(_strided(arms[best], pts_seconds, settings.zoom_seconds))
    scored, values = search.all()
    scores = _interpolated(arms, scored, stretched(values))
    rows = scored[values.argsort(descending=True, stable=True)]
    rows = rows[: int(settings.top_share * num_frames)]
    best_arms = [arms[best] for best in ranking[: min(n_best, settings.max_drawn_from)]]
    gap_seconds = _least_gap(duration_seconds / num_frames, settings)
    drawer = Drawer(scores, pts_seconds, gap_seconds, settings.temperature, generator)
    for place, arm in enumerate(best_arms):
        quota = math.ceil((num_frames - len(rows)) / (len(best_arms) - place))
        rows = drawer.draw(arm, rows, quota)
    full = pad_by_score(rows, scores, num_frames)
    raw = _interpolated(arms, scored, values)
    return Focused(full, scored, raw, len(full) - len(rows))


def upper_bounds(arms: tuple[Tensor, ...], rows: Tensor, scores: Tensor) -> Tensor:
    """Upper confidence bound of each arm.

    UCB = mean + sqrt(2 ln N max(var, 1e-6) / n) + 3 ln N / n; n scores in the arm, N in all.

    Args:
        arms: The rows of each arm.
        rows: ``(m,)`` rising rows that were scored.
        scores: ``(m,)`` scores of these rows; stretched to [0, 1] here.

    Returns:
        ``(n_arms,)`` float64.
    """
    values = stretched(scores)
    log_total = torch.tensor(float(len(values)), dtype=torch.float64).log()
    bounds = []
    for arm in arms:
        mine = values[(rows >= arm[0]) & (rows <= arm[-1])]
        spread = mine.var(correction=0).clamp(min=1e-6)
        n = len(mine)
        bounds.append(mine.mean() + (2 * log_total * spread / n).sqrt() + 3 * log_total / n)
    return torch.stack(bounds)


def _coarse(arm: Tensor, settings: FocusSettings, generator: torch.Generator) -> list[int]:
    """The centre of an arm and some random frames of it."""
    centre = arm[len(arm) // 2]
    others = arm[arm != centre]
    drawn = others[torch.randperm(len(others), generator=generator)[: settings.n_drawn]]
    return [int(centre), *drawn.tolist()]


def _strided(arm: Tensor, pts_seconds: Tensor, stride_seconds: float) -> list[int]:
    """Frames of an arm that lie a stride apart or more."""
    rows: list[int] = []
    for row in arm.tolist():
        if not rows or float(pts_seconds[row] - pts_seconds[rows[-1]]) >= stride_seconds - 1e-6:
            rows.append(row)
    return rows


def _interpolated(arms: tuple[Tensor, ...], scored: Tensor, values: Tensor) -> Tensor:
    """``(n,)`` score of the nearest scored frame in the same arm; of two the earlier."""
    parts = []
    for arm in arms:
        inside = (scored >= arm[0]) & (scored <= arm[-1])
        nearest = (arm[:, None] - scored[inside]).abs().argmin(1)
        parts.append(values[inside][nearest])
    return torch.cat(parts)


def _least_gap(spacing_seconds: float, settings: FocusSettings) -> float:
    if spacing_seconds <= settings.crowded_seconds:
        return 0.0
    return min(settings.min_gap_seconds, spacing_seconds / 4)


@dataclass(frozen=True, slots=True, eq=False)
class Drawer:
    """Draws frames of an arm by their scores, far enough apart.

    Attributes:
        scores: ``(n,)`` scores of the whole grid, in [0, 1].
        pts_seconds: ``(n,)`` times of the grid.
        gap_seconds: Least time between two chosen frames.
        temperature: Temperature of the softmax.
        generator: Generator of the draws.
    """

    scores: Tensor
    pts_seconds: Tensor
    gap_seconds: float
    temperature: float
    generator: torch.Generator

    def draw(self, arm: Tensor, rows: Tensor, quota: int) -> Tensor:
        """Add up to ``quota`` frames of an arm to ``rows``, and return them all."""
        weights = torch.softmax(self.scores[arm] / self.temperature, dim=0)
        for _ in range(quota):
            gaps = (self.pts_seconds[arm][:, None] - self.pts_seconds[rows]).abs()
            nearest = gaps.amin(1) if len(rows) else torch.full_like(weights, torch.inf)
            mass = weights * ((nearest > 0) & (nearest >= self.gap_seconds))
            if not bool(mass.sum() > 0):
                break
            rows = torch.cat([rows, arm[torch.multinomial(mass, 1, generator=self.generator)]])
        return rows


class FocusSampler(PublishedSampler[FocusSettings]):
    """FOCUS; it embeds only the frames that it scores. Its scores are interpolated cosines.

    The time of the rule counts as encoding, because it calls the encoder on the way.
    """

    name = "focus"
    needs_text = True
    defaults = FocusSettings()

    def _choose(self, run: Run) -> Choice:
        run.require_text()
        encoder = run.encoder
        grid = run.look(run.grid_to_encode(self.config), device=encoder.device)
        query = run.query(grid)

        def score_rows(rows: Tensor) -> Tensor:
            order = rows.argsort()  # an encoder takes frames in time order
            frames = encode_rows(grid, rows[order], encoder)
            return mean_cosine(frames, query.embeddings).cpu()[order.argsort()]

        with stage("encode"):
            focused = focus(
                score_rows,
                grid.pts_seconds,
                num_frames=run.request.at_least,
                duration_seconds=run.source.duration_seconds,
                settings=self.settings,
            )
        note = (
            f"{focused.n_added} of {len(focused.rows)} frames were added by their score: "
            "the best arms of FOCUS have no more, or none far enough apart"
        )
        return cosine_choice(
            run,
            query,
            Picked(focused.rows, (note,) if focused.n_added else ()),
            scores=focused.scores,
            frames=grid,
            embedded=focused.scored,
            looked_at=GridInfo(self.config.grid.kind, len(grid)),
        )
