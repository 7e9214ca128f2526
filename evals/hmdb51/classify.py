"""The caption of a clip, and the class that is nearest to the frames of each cell."""

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn import functional as F

from evals.harness.bench import CAPTION_FRAMES, Bench
from evals.harness.cells import Cell
from evals.harness.records import Record
from keyscore_plugin import Encoder, VideoSource
from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.samplers.grid import join_frames
from keyscore_plugin.types import Caption, Selection

_CAPTION_SHORT_SIDE = 448  # ours: larger than HMDB-51's 240, so only larger clips are reduced


def describe(bench: Bench) -> Caption:
    """Describe a clip in one sentence, from `CAPTION_FRAMES` even frames of it and nothing else.

    Raises:
        InputError: There is no captioner, or it wrote nothing.
    """
    if bench.captioner is None:
        raise InputError("there is no captioner; give --captioner, such as labels or a Video-LLM")
    even = bench.select(Cell("uniform", num_frames=CAPTION_FRAMES)).indices
    thumbnails = bench.source.thumbnails(even, short_side=_CAPTION_SHORT_SIDE)
    try:
        return bench.captioner.caption(join_frames(list(thumbnails)))
    except ModelError as error:
        raise InputError(f"{error}; or skip the clip with --leave-out") from error


def classify(
    source: VideoSource,
    selections: Mapping[str, Selection],
    encoder: Encoder,
    classes: Sequence[str],
    vectors: Tensor,
) -> dict[str, Record]:
    """The class of every selection: the one nearest to the normalised mean of its frames.

    The frames are read again at full size, as a model reads a selection; each is embedded once,
    even if several cells chose it.

    Args:
        source: Open clip.
        selections: Selections by the key of their cell.
        encoder: Encoder of the frames.
        classes: Names of the classes.
        vectors: ``(n_classes, d)`` unit embeddings of their prompts.

    Returns:
        For each cell the predicted class (the first of equal ones) and its cosine, the frames, and
        the notes of the selection, such as a caption that was cut.
    """
    chosen = sorted({index for selection in selections.values() for index in selection.indices})
    embedded = encoder.encode_frames(source.read(chosen)).vectors
    row_of = {index: row for row, index in enumerate(chosen)}
    classified = {}
    for key, selection in selections.items():
        rows = [row_of[index] for index in selection.indices]
        pooled = F.normalize(embedded[rows].mean(0), dim=0)
        cosines = (vectors @ pooled).tolist()
        best = cosines.index(max(cosines))
        classified[key] = {
            "predicted": classes[best],
            "cosine": cosines[best],
            "indices": selection.indices,
            "notes": list(selection.notes),
        }
    return classified
