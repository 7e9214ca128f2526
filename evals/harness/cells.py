"""What is compared: a sampler with a budget is one cell of the table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from keyscore_plugin import SamplerConfig, ScoreConfig, get_sampler
from keyscore_plugin.errors import InputError

_OWN = "own"
_TERMS = {"S": "alpha", "T": "beta", "D": "gamma"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A sampler with a budget.

    Attributes:
        sampler: A name that `get_sampler` knows; ``"keyscore:S+D"`` is KeyScore by these terms of
            eq. 1 only, as in Table 2 of the paper.
        num_frames: The budget. None, without a threshold, is the number the sampler finds itself.
        threshold: Instead of a budget, the least score of a chosen frame.
    """

    sampler: str
    num_frames: int | None = None
    threshold: float | None = None

    @property
    def name(self) -> str:
        """The sampler without its terms."""
        return self.sampler.partition(":")[0]

    @property
    def needs_text(self) -> bool:
        """Whether it chooses nothing without a caption or a question."""
        return get_sampler(self.name).needs_text

    @property
    def labels(self) -> dict[str, str | int | float | None]:
        """The cell as the first columns of a table."""
        return {
            "sampler": self.sampler,
            "num_frames": self.num_frames,
            "threshold": self.threshold,
        }

    @property
    def key(self) -> str:
        """The cell as a key of a record: ``"keyscore:S+D@8"``, ``"keyscore@t0.5"``."""
        if self.threshold is not None:
            return f"{self.sampler}@t{self.threshold:g}"
        return f"{self.sampler}@{_OWN if self.num_frames is None else self.num_frames}"

    def config(self, config: SamplerConfig) -> SamplerConfig:
        """The settings of this cell: those given, with the terms that the cell names.

        Example:
            >>> Cell("keyscore:S+D", num_frames=8).config(SamplerConfig()).score.beta
            0.0
        """
        _, colon, terms = self.sampler.partition(":")
        if not colon:
            return config
        return replace(config, score=_only(terms, config.score))


def _only(terms: str, score: ScoreConfig) -> ScoreConfig:
    """The weights of the named terms, scaled to sum to 1; equal where all of them were 0."""
    named = terms.split("+")
    if len(set(named)) != len(named) or not set(named) <= set(_TERMS):
        raise InputError(f"unknown terms {terms!r}; name S, T and D, joined by +, such as S+D")
    weights = {_TERMS[term]: getattr(score, _TERMS[term]) for term in named}
    if sum(weights.values()) == 0:
        weights = dict.fromkeys(weights, 1.0)
    total = sum(weights.values())
    none = dict.fromkeys(_TERMS.values(), 0.0)
    return replace(score, **none | {name: weight / total for name, weight in weights.items()})


def make_cells(
    samplers: Sequence[str], num_frames: Sequence[int | None], thresholds: Sequence[float]
) -> tuple[Cell, ...]:
    """Every sampler with every budget and every threshold.

    Args:
        samplers: Names; one that ends in ``@8``, ``@own`` or ``@t0.5`` has this budget only.
        num_frames: Budgets; None is the number a sampler finds itself.
        thresholds: Least scores.

    Raises:
        InputError: A name cannot be read, or a cell is asked for twice.

    Example:
        >>> [cell.key for cell in make_cells(["uniform@8", "keyscore"], [4], [0.5])]
        ['uniform@8', 'keyscore@4', 'keyscore@t0.5']
    """
    cells: list[Cell] = []
    for asked in samplers:
        sampler, at, budget = asked.partition("@")
        if at:
            cells.append(_with_budget(sampler, budget))
        else:
            cells += [Cell(sampler, num_frames=budget) for budget in num_frames]
            cells += [Cell(sampler, threshold=threshold) for threshold in thresholds]
    for cell in cells:
        cell.config(SamplerConfig())  # terms that cannot be read show before any work
        if ":" in cell.sampler and cell.name != "keyscore":
            raise InputError(f"{cell.sampler}: only keyscore has terms; ask for {cell.name}")
    keys = [cell.key for cell in cells]  # thresholds that differ by less than a key tells too
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(f"{twice[0]} was asked for twice")
    return tuple(cells)


def _with_budget(sampler: str, budget: str) -> Cell:
    if budget == _OWN:
        return Cell(sampler)
    try:
        if budget.startswith("t"):
            return Cell(sampler, threshold=float(budget[1:]))
        return Cell(sampler, num_frames=int(budget))
    except ValueError as error:
        raise InputError(
            f"{sampler}@{budget}: a budget is @8 frames, @own (what the sampler finds) or a "
            "threshold, @t0.5"
        ) from error
