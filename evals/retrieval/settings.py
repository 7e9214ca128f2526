"""The text that chooses the frames of a video which a caption then has to find."""

from collections.abc import Sequence
from typing import Literal, get_args

from evals.harness.bench import Setup
from evals.harness.cells import Cell
from evals.harness.main import names
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Selection

Setting = Literal["free", "caption", "pair", "leak"]

# Their names in tables, result files and pictures.
TITLES: dict[Setting, str] = {
    "free": "query-free",
    "caption": "generated caption",
    "pair": "every query chooses",
    "leak": "ground-truth caption: a leak, upper bound only",
}
# Given to a sampler that needs a text although none may decide anything.
ANY_TEXT = "a video"


def parse_settings(text: str) -> tuple[Setting, ...]:
    """Split settings at commas.

    Raises:
        InputError: There is no setting, or one is unknown or occurs twice.

    Example:
        >>> parse_settings("caption,leak")
        ('caption', 'leak')
    """
    named = names(text)
    asked = tuple(setting for setting in get_args(Setting) if setting in named)
    if not asked or len(asked) != len(named):
        raise InputError(
            f"--setting {text!r}: name some of {', '.join(get_args(Setting))}, each once"
        )
    return asked


def is_query_free(cell: Cell, setup: Setup) -> bool:
    """Whether no text decides what this cell chooses.

    This holds for samplers that read no text, and for KeyScore with its temporal term alone
    (eq. 3) if the video is pooled without the text.
    """
    if not cell.needs_text:
        return True
    score = cell.config(setup.config).score
    by_time_alone = cell.name == "keyscore" and score.alpha == score.gamma == 0
    return by_time_alone and score.pooling == "mean"


def settings_of(cell: Cell, setup: Setup, asked: Sequence[Setting]) -> tuple[Setting, ...]:
    """The settings in which a cell is run: only ``"free"`` if no text decides what it chooses.

    Raises:
        InputError: The cell's sampler reads a text and no setting gives it one.
    """
    if is_query_free(cell, setup):
        return ("free",)
    with_text = tuple(setting for setting in asked if setting != "free")
    if not with_text:
        raise InputError(
            f"{cell.key} reads a text, which --setting free does not give; add "
            "caption, pair or leak, or use keyscore:T"
        )
    if "caption" in with_text and setup.captioner_asked is None:
        raise InputError(
            "--setting caption needs a captioner; give --captioner labels, a model id or a folder"
        )
    return with_text


def require_no_text_decided(selection: Selection, cell: Cell) -> None:
    """Check that no text decided which frames KeyScore embedded for its temporal term.

    Of a long grid only STACFP's candidates and some clusters are embedded, and the clusters are
    those whose candidate is near the text.

    Raises:
        InputError: The grid was embedded in part.
    """
    if len(selection.curves) not in (selection.n_grid, len(selection.candidates)):
        raise InputError(
            f"{cell.key} embedded {len(selection.curves)} of {selection.n_grid} frames, chosen by "
            "a text, so it is not query-free; give --config "
            f"""'{{"encode": {{"max_encoded": {selection.n_grid}}}}}'"""
        )
