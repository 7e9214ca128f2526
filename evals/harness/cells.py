"""Cells of the table: each is a sampler with a budget."""

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
        sampler: Name that `get_sampler` knows; ``"keyscore:S+D"`` is KeyScore with these terms of
            eq. 1 only, as in Table 2 of the paper.
        num_frames: Budget; None, without a threshold, leaves the number to the sampler.
        threshold: Least score of a chosen frame, in place of a budget.
    """

    sampler: str
    num_frames: int | None = None
    threshold: float | None = None

    @property
    def name(self) -> str:
        """The name of the sampler, without the terms."""
        return self.sampler.partition(":")[0]

    @property
    def needs_text(self) -> bool:
        """Whether the sampler needs a caption or a question."""
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
        """The cell as the key of a record: ``"keyscore:S+D@8"``, ``"keyscore@t0.5"``."""
        if self.threshold is not None:
            return f"{self.sampler}@t{self.threshold:g}"
        return f"{self.sampler}@{_OWN if self.num_frames is None else self.num_frames}"

    def config(self, config: SamplerConfig) -> SamplerConfig:
        """The given settings with the weights of the terms that this cell names.

        Example:
            >>> Cell("keyscore:S+D", num_frames=8).config(SamplerConfig()).score.beta
            0.0
        """
        _, colon, terms = self.sampler.partition(":")
        if not colon:
            return config
        return replace(config, score=_only(terms, config.score))


def _only(terms: str, score: ScoreConfig) -> ScoreConfig:
    """The weights of the named terms, scaled to sum to 1; equal if all of them were 0."""
    named = terms.split("+")
    if len(set(named)) != len(named) or not set(named) <= set(_TERMS):
        raise InputError(f"unknown terms {terms!r}; join S, T and D with +, each once, such as S+D")
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
        num_frames: Budgets; None leaves the number to the sampler.
        thresholds: Least scores of a chosen frame.

    Raises:
        InputError: A name cannot be read, or two cells are the same.

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
        cell.config(SamplerConfig())  # raises before any work
        if ":" in cell.sampler and cell.name != "keyscore":
            raise InputError(f"{cell.sampler}: only keyscore has terms; use {cell.name}")
    keys = [cell.key for cell in cells]  # also of thresholds that differ by less than a key shows
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(f"{twice[0]} was asked for twice; leave one of them out")
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
            f"{sampler}@{budget}: expected @8 (frames), @own (the sampler's own number) or "
            "@t0.5 (a threshold)"
        ) from error
