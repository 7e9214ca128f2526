"""The goals for the figures, and whether they are met."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from evals.speed.indexed import MANY, SECOND
from evals.speed.serving import AGAIN
from evals.speed.table import Cell, Line, Table
from evals.speed.whole import CALLED

Tables = Mapping[str, Table]

_CLIP = "5 min, 720p"  # the clip of two goals
_HOUR = "60 min, 720p"  # of two others


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a figure.

    Attributes:
        what: Description of the figure.
        bound: Bound of the figure.
        at_least: Whether the figure must be at least the bound, or at most.
        figures: Function that gives the measured figures; the worst one counts.
    """

    what: str
    bound: float
    at_least: bool
    figures: Callable[[Tables], Iterator[float]]

    def line(self, tables: Tables) -> dict[str, Cell]:
        """The goal and the worst figure; a dash if nothing was measured."""
        figures = list(self.figures(tables))
        words = "at least" if self.at_least else "at most"
        line: dict[str, Cell] = {"what": self.what, "wanted": f"{words} {self.bound:g}"}
        if not figures:
            return line | {"measured": "-", "met": "not measured"}
        worst = min(figures) if self.at_least else max(figures)
        met = worst >= self.bound if self.at_least else worst <= self.bound
        return line | {"measured": float(worst), "met": "yes" if met else "no"}


def goals(tables: Tables) -> Table:
    """All goals, with the measured figures."""
    return Table("goals", "What is wanted", [goal.line(tables) for goal in _GOALS])


def _lines(tables: Tables, name: str, **wanted: Cell) -> Iterator[Line]:
    for line in tables[name].lines if name in tables else ():
        if all(line[column] == value for column, value in wanted.items()):
            yield line


def _times_faster(tables: Tables) -> Iterator[float]:
    for line in _lines(tables, "clustering", N=3600, k="2..32"):
        yield float(line["times faster"])


def _silhouette_lost(tables: Tables) -> Iterator[float]:
    for line in _lines(tables, "clustering"):
        yield float(line["scikit-learn silhouette"]) - float(line["STACFP silhouette"])


def _growth(tables: Tables) -> Iterator[float]:
    small, large = (
        {line["k"]: float(line["s CPU"]) for line in _lines(tables, "grids", N=n)}
        for n in (3600, 7200)
    )
    for k in small.keys() & large.keys():
        yield large[k] / small[k]


def _of_the_floor(tables: Tables) -> Iterator[float]:
    for job in ("stacfp", "keyscore"):
        for line in _lines(tables, "select", what=CALLED[job]):
            yield float(line["of the floor"])


def _seconds(tables: Tables, job: str) -> dict[Cell, float]:
    """The seconds of a job, by clip."""
    return {line["clip"]: float(line["s"]) for line in _lines(tables, "select", what=CALLED[job])}


def _clips_of_keyscore(tables: Tables) -> Iterator[float]:
    ours, theirs = (_seconds(tables, job) for job in ("clips", "keyscore"))
    for clip in ours.keys() & theirs.keys():
        yield ours[clip] / theirs[clip]


def _keyframes_of_decord(tables: Tables) -> Iterator[float]:
    ours, theirs = (_seconds(tables, job) for job in ("keyframes", "decord_1fps"))
    if _CLIP in ours and _CLIP in theirs:
        yield ours[_CLIP] / theirs[_CLIP]


def _katna_of_stacfp(tables: Tables) -> Iterator[float]:
    ours, theirs = (_seconds(tables, job) for job in ("stacfp", "katna"))
    if _CLIP in ours and _CLIP in theirs:
        yield theirs[_CLIP] / ours[_CLIP]


def _memory(tables: Tables) -> Iterator[float]:
    for column in ("stacfp peak MB", "keyscore peak MB"):
        short, long = (
            [float(line[column]) for line in _lines(tables, "growth", minutes=minutes)]
            for minutes in (5.0, 60.0)
        )
        if short and long:
            yield long[0] / short[0]


def _gpu(tables: Tables) -> Iterator[float]:
    for line in _lines(tables, "gpu", N=7200, what="STACFP and KeyScore"):
        yield float(line["GPU ms"])


def _asked_again(tables: Tables) -> Iterator[float]:
    for line in _lines(tables, "serving", what=AGAIN):
        yield float(line["beyond ms"])


def _further_question(tables: Tables) -> Iterator[float]:
    for line in _lines(tables, "index", clip=_HOUR, what=SECOND):
        yield float(line["s"])


def _thousand_questions(tables: Tables) -> Iterator[float]:
    for line in _lines(tables, "index", clip=_HOUR, what=MANY, questions=1000):
        yield float(line["s"])


_GOALS = (
    Goal(
        "STACFP against the scikit-learn loop, N = 3,600, k = 2..32: times faster",
        10,
        True,
        _times_faster,
    ),
    Goal("its best silhouette below scikit-learn's, any N and k", 0.005, False, _silhouette_lost),
    Goal("STACFP from N = 3,600 to 7,200: times the CPU seconds", 4, False, _growth),
    Goal(
        "`stacfp` and `keyscore`: times pure decoding of their grid, any clip",
        1.25,
        False,
        _of_the_floor,
    ),
    Goal("`clips`: times the seconds of `keyscore`, any clip", 1.1, False, _clips_of_keyscore),
    Goal(
        "`stacfp` on the grid of keyframes: times decord at 1 fps, 5 min of 720p",
        0.2,
        False,
        _keyframes_of_decord,
    ),
    Goal("Katna, 5 min of 720p: times the seconds of `stacfp`", 10, True, _katna_of_stacfp),
    Goal(
        "`stacfp` and `keyscore`, peak memory at 60 minutes: times that at 5 minutes",
        1.1,
        False,
        _memory,
    ),
    Goal("a further question about an hour of 720p, indexed: s", 0.15, False, _further_question),
    Goal("1,000 questions about it: s", 30, False, _thousand_questions),
    Goal(
        "`keyscore proxy`, a video and a question that it knows: ms more than to forward",
        20,
        False,
        _asked_again,
    ),
    Goal(
        "an hour of STACFP (all k) and KeyScore on a GPU, decoded and encoded: ms", 100, False, _gpu
    ),
)
