"""Heads of LLMVS on disk: weights as safetensors, and a card that says where they come from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from keyscore_plugin._runtime.files import whole, write_whole
from keyscore_plugin.algorithm.importance_head import HeadShape, ImportanceHead
from keyscore_plugin.errors import InputError, ModelError, shown

WEIGHTS, CARD = "head.safetensors", "card.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadCard:
    """The origin of a head.

    Attributes:
        shape: Sizes of the head.
        model: Name of the language model whose embeddings it reads.
        captioner: Name of the captioner whose captions that model read.
        embedding: Reading of the captions: ``"windows"`` or ``"pass"``, and the answer.
        data: Data set, split and keys of the videos that it was trained on.
        training: Seed, steps, rates and what the checkpoint was chosen on.
        command: Command line that made it.
    """

    shape: HeadShape
    model: str
    captioner: str
    embedding: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The card as plain JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "shape": self.shape.to_dict()}


def save_head(head: ImportanceHead, folder: str | PathLike[str], card: HeadCard) -> Path:
    """Write a head and its card to a folder, which is made.

    Returns:
        The folder.

    Raises:
        OSError: The files cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / WEIGHTS) as path:
        save_file({name: weight.cpu() for name, weight in head.state_dict().items()}, path)
    text = json.dumps(card.to_dict(), indent=2, ensure_ascii=False)
    write_whole(folder / CARD, text.encode())
    return folder


def load_head(
    folder: str | PathLike[str], *, device: torch.device | str = "cpu"
) -> tuple[ImportanceHead, HeadCard]:
    """Read a head and its card from a folder of `save_head`.

    Raises:
        ModelError: A file is missing or broken, or the weights do not fit the sizes of the card.
    """
    folder = Path(folder)
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
        card = HeadCard(**{**values, "shape": HeadShape(**values["shape"])})
        head = ImportanceHead(card.shape)
        head.load_state_dict(load_file(folder / WEIGHTS))
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        SafetensorError,
        InputError,
    ) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{shown(str(folder))} holds no head that can be read ({reason}); give a folder with "
            f"{WEIGHTS} and {CARD}, as python -m evals.summaries.fit writes it"
        ) from error
    return head.eval().to(device), card
