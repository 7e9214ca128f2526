"""What text may choose the frames of a video that a caption is then to find."""

from collections.abc import Sequence
from typing import Literal, get_args

from evals.harness.bench import Setup
from evals.harness.cells import Cell
from evals.harness.main import names
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Selection

Setting = Literal["free", "caption", "pair", "leak"]

# As every table, result file and picture names them.
TITLES: dict[Setting, str] = {
    "free": "query-free",
    "caption": "generated caption",
    "pair": "every query chooses",
    "leak": "ground-truth caption: a leak, upper bound only",
}
# Given to a sampler that wants a text where no text may decide anything.
ANY_TEXT = "a video"


def parse_settings(text: str) -> tuple[Setting, ...]:
    """Settings separated by commas.

    Raises:
        InputError: There is none, or one is unknown.

    Example:
        >>> parse_settings("caption,leak")
        ('caption', 'leak')
    """
    named = names(text)
    asked = tuple(setting for setting in get_args(Setting) if setting in named)
    if not asked or len(asked) != len(named):
        raise InputError(f"--setting {text!r}: name some of {', '.join(get_args(Setting))}, once")
    return asked


def is_query_free(cell: Cell, setup: Setup) -> bool:
    """Whether no text decides what this cell chooses.

    So it is for samplers that read none, and for KeyScore by its temporal term alone (eq. 3) where
    the video is pooled without the text.
    """
    if not cell.needs_text:
        return True
    score = cell.config(setup.config).score
    by_time_alone = cell.name == "keyscore" and score.alpha == score.gamma == 0
    return by_time_alone and score.pooling == "mean"


def settings_of(cell: Cell, setup: Setup, asked: Sequence[Setting]) -> tuple[Setting, ...]:
    """The settings in which a cell is tried: a query-free one in that alone, as it is the same.

    Raises:
        InputError: The cell's sampler reads a text and none may be given to it.
    """
    if is_query_free(cell, setup):
        return ("free",)
    with_text = tuple(setting for setting in asked if setting != "free")
    if not with_text:
        raise InputError(
            f"{cell.key} reads a text, so it is nothing for --setting free; add caption, pair or "
            "leak, or take keyscore:T"
        )
    if "caption" in with_text and setup.captioner_asked is None:
        raise InputError(
            "--setting caption needs what makes captions: --captioner labels, a model id or a "
            "folder"
        )
    return with_text


def require_no_text_decided(selection: Selection, cell: Cell) -> None:
    """Check that KeyScore by time alone embedded frames that no text chose.

    A long grid is embedded in part, STACFP's candidates and then the clusters whose candidate is
    near the text: that would let the text in again.

    Raises:
        InputError: So it was.
    """
    if len(selection.curves) not in (selection.n_grid, len(selection.candidates)):
        raise InputError(
            f"{cell.key} embedded {len(selection.curves)} of {selection.n_grid} frames, chosen by "
            "a text, so it is not query-free here; give --config "
            f"""'{{"encode": {{"max_encoded": {selection.n_grid}}}}}'"""
        )
