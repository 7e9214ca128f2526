"""The cost of an enabled processor in a call without a sampler."""

from functools import partial
from pathlib import Path
from typing import Any

import torch

from evals.speed.measure import in_turns
from evals.speed.table import Cell, Line, Table
from keyscore_plugin.hosts import require

_CLIP = (16, 3, 112, 112)  # frames, channels, height, width
_CALLS = 20  # a turn: one call is too short to time


def table(folder: Path | None, *, repeats: int) -> Table:
    """The same processor twice, one of them enabled, on a decoded video.

    Args:
        folder: Folder of a saved processor of transformers; None gives a table with only a note.
        repeats: Number of turns.
    """
    title = "An enabled processor in a call without `sampler`, compared with the stock processor"
    if folder is None:
        note = "left out: no processor was given by --processor (see evals/speed/README.md)"
        return Table("processor", title, [], [note], key=("processor",))
    require("torchvision", extra="transformers")
    import transformers

    from keyscore_transformers import enable

    auto: Any = transformers.AutoProcessor
    stock, enabled = (auto.from_pretrained(str(folder)) for _ in range(2))
    enable(enabled)
    video = torch.randint(0, 256, _CLIP, generator=torch.Generator().manual_seed(0)).byte()
    jobs = {"stock": partial(_call, stock, video), "enabled": partial(_call, enabled, video)}
    done = in_turns(jobs, repeats=repeats, warm_up=True)
    lines: list[Line] = [_line(name, done[name][0].cpu, done["stock"][0].cpu) for name in jobs]
    notes = [f"{type(stock).__name__}, {_CLIP[0]} frames"]
    return Table("processor", title, lines, notes, key=("processor",))


def _line(name: str, cpu: float, stock: float) -> dict[str, Cell]:
    return {"processor": name, "ms CPU a call": 1e3 * cpu / _CALLS, "of stock": cpu / stock}


def _call(processor: Any, video: torch.Tensor) -> int:
    messages = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What?"}]}]
    n_tokens = 0
    for _ in range(_CALLS):
        text = processor.apply_chat_template(messages, add_generation_prompt=True)
        inputs = processor(text=[text], videos=[video], do_sample_frames=False, return_tensors="pt")
        n_tokens += inputs["input_ids"].shape[1]
    return n_tokens
