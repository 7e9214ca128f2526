"""On which videos, with which weight: all, and the two published sets of splits."""

from collections.abc import Mapping, Sequence

from evals.harness.data import part_of
from evals.summaries.splits import N_SPLITS, Splits
from keyscore_plugin.errors import InputError

Weights = Mapping[str, float]


def protocols(splits: Mapping[str, Splits], measured: Sequence[str]) -> dict[str, Weights]:
    """The weight of each video in the mean that a protocol asks for.

    A published figure is the mean over splits of the mean over each split's test videos. That is a
    mean over videos in which one counts by how often it is tested, so the same predictions serve
    all protocols.

    Args:
        splits: Test keys of each split, by who published them.
        measured: Keys of the videos that were measured.

    Returns:
        Weights that sum to 1, of the videos that have any, by the name of the protocol, which says
        so where there are other than the published five splits.

    Raises:
        InputError: Every video of a split was left out.

    Example:
        >>> protocols({"X": (("a", "b"), ("b",))}, ["a", "b", "c"])["X splits, 2 of 5 splits"]
        {'a': 0.25, 'b': 0.75}
    """
    found: dict[str, Weights] = {"all": {key: 1 / len(measured) for key in measured}}
    for name, sets in splits.items():
        weights = dict.fromkeys(measured, 0.0)
        for order, tested in enumerate(sets):
            present = [key for key in tested if key in weights]
            if not present:
                raise InputError(f"all videos of split {order} of {name} were left out")
            for key in present:
                weights[key] += 1 / len(sets) / len(present)
        title = part_of(f"{name} splits", len(sets), N_SPLITS, "splits")
        found[title] = {key: weight for key, weight in weights.items() if weight}
    return found
