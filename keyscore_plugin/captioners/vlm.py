"""Any Video-LLM of transformers, asked for a caption or for clips: usually the one that answers."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError

from keyscore_plugin._runtime.hub import first_line
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.captioners.adapter import name_of, with_adapter
from keyscore_plugin.captioners.judge import ClipQuestion, clip_prompt
from keyscore_plugin.captioners.processing import (
    GenerativeModel,
    call_processor,
    frames_per_token,
    generate_texts,
)
from keyscore_plugin.errors import InputError, ModelError, shown
from keyscore_plugin.types import Caption, Frames
from keyscore_plugin.video.metadata import clock_metadata

PROMPT = "Describe this video in one sentence."  # ours; the paper names a captioner, not its prompt
_MAX_CACHED = 4096  # ours: a few hundred bytes each


class VlmCaptioner:
    """A Video-LLM that describes frames in one sentence, or says which clips a question needs.

    Its captions and answers are kept in memory, by the content of the frames: the same video costs
    one generation, however often it is asked about. Nothing is written to disk.

    Args:
        model: A model of transformers with `generate`.
        processor: Its processor, as loaded.
        prompt: What the model is asked.
        max_new_tokens: Most tokens of the answer; the first sentence of it is kept.
        max_frames: Most frames shown, thinned evenly. Each costs as many visual tokens as a frame
            of this size costs the model; where the model folds several frames into one token a
            frame is repeated to fill the fold, so that no two are blended.
    """

    def __init__(
        self,
        model: GenerativeModel,
        processor: Any,
        *,
        prompt: str = PROMPT,
        max_new_tokens: int = 48,
        max_frames: int = 32,
    ) -> None:
        if not prompt.strip():
            raise InputError("the prompt of the captioner is empty; ask for one sentence")
        if max_new_tokens < 1 or max_frames < 1:
            raise InputError(
                f"max_new_tokens and max_frames must be >= 1, got {max_new_tokens} and {max_frames}"
            )
        self.name = model.name_or_path or type(model).__name__
        self.prompt = prompt
        self.max_new_tokens = max_new_tokens
        self.max_frames = max_frames
        self._model = model
        self._processor = processor
        self._cache: dict[str, Caption] = {}
        self._answers: dict[tuple[object, ...], str] = {}

    def __repr__(self) -> str:
        return f"VlmCaptioner({self.name!r}, prompt={self.prompt!r})"

    def caption(self, frames: Frames) -> Caption:
        """One sentence about these frames (STACFP's candidates, in time order)."""
        return self.caption_batch([frames])[0]

    def caption_batch(self, videos: Sequence[Frames]) -> list[Caption]:
        """One sentence about each video, generated together where the model's inputs allow it.

        Raises:
            ModelError: The model wrote nothing.
        """
        shown = [frames.to("cpu") for frames in videos]  # where the processors of models work
        keys = [content_key(frames) for frames in shown]
        by_key = dict(zip(keys, shown, strict=True))
        new = {key: frames for key, frames in by_key.items() if key not in self._cache}
        for group in self._batches(new):
            texts = self._generate([new[key] for key in group])
            for key, text in zip(group, texts, strict=True):
                self._cache[key] = self._as_caption(text)
        captions = [self._cache[key] for key in keys]
        _forget_oldest(self._cache)
        return captions

    def judge(self, question: ClipQuestion, *, max_new_tokens: int) -> str:
        """What the model answers when it is asked for clips: `clip_prompt`, greedy decoding.

        Args:
            question: Question about one video.
            max_new_tokens: Most tokens of the answer.
        """
        frames = question.frames.to("cpu")
        facts = (question.query, question.duration_seconds, max_new_tokens)
        key = (content_key(frames), *facts)
        if key not in self._answers:
            inputs = clip_prompt(self._processor, [question])
            (self._answers[key],) = generate_texts(
                self._model, self._processor, inputs, max_new_tokens=max_new_tokens
            )
            _forget_oldest(self._answers)
        return self._answers[key]

    def _batches(self, videos: Mapping[str, Frames]) -> list[list[str]]:
        """Videos that fit into one batch: all, or those of one shape where tensors are stacked."""
        if "video_grid_thw" in self._processor.video_processor.model_input_names:
            return [list(videos)] if videos else []
        groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for key, frames in videos.items():
            groups[tuple(frames.pixels.shape)].append(key)
        return list(groups.values())

    def _generate(self, videos: Sequence[Frames]) -> list[str]:
        """What the model answers about each video."""
        message = {
            "role": "user",
            "content": [{"type": "video"}, {"type": "text", "text": self.prompt}],
        }
        prompt = self._processor.apply_chat_template([message], add_generation_prompt=True)
        shown = [self._shown(frames) for frames in videos]
        inputs = call_processor(
            self._processor,
            [prompt] * len(shown),
            [[frames.pixels.permute(0, 3, 1, 2).contiguous()] for frames in shown],
            [clock_metadata(frames.pts_seconds, float(frames.pts_seconds[-1])) for frames in shown],
        )
        return generate_texts(
            self._model, self._processor, inputs, max_new_tokens=self.max_new_tokens
        )

    def _shown(self, frames: Frames) -> Frames:
        n_shown = min(len(frames), self.max_frames)
        rows = ((torch.arange(n_shown) + 0.5) * len(frames) / n_shown).long()
        return frames[rows.repeat_interleave(frames_per_token(self._processor))]

    def _as_caption(self, text: str) -> Caption:
        sentence = first_sentence(text)
        if not sentence:
            raise ModelError(
                f"{self.name} wrote no caption (it answered {shown(text)}); give a caption, or "
                "make the VlmCaptioner with another prompt or more max_new_tokens"
            )
        return Caption(sentence, origin="generated", model=self.name)


def _forget_oldest(cache: dict[Any, Any]) -> None:
    for key in list(cache)[: max(0, len(cache) - _MAX_CACHED)]:
        del cache[key]


def load_vlm(
    model: str, device: torch.device, *, local_files_only: bool, adapter: str | None = None
) -> VlmCaptioner:
    """Load a model and its processor with the Auto classes of transformers.

    In the precision of its weights on a GPU, in float32 on a CPU.

    Args:
        model: A folder or a hub model id.
        device: Where it runs.
        local_files_only: Do not ask the hub for anything of the model.
        adapter: Folder or hub id of a PEFT adapter for the model.

    Raises:
        ModelError: It cannot be loaded, or reads no videos, or the adapter is of another model.
        MissingDependencyError: torchvision, which video processors need, is not installed, or PEFT
            for an adapter.
    """
    require("torchvision", extra="transformers")
    import transformers

    models: Any = transformers.AutoModelForImageTextToText
    processors: Any = transformers.AutoProcessor
    dtype = torch.float32 if device.type == "cpu" else "auto"
    try:
        loaded = models.from_pretrained(model, dtype=dtype, local_files_only=local_files_only)
        network = loaded.eval().to(device)  # whose memory may not hold it
        processor = processors.from_pretrained(model, local_files_only=local_files_only)
    except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise ModelError(
            f"cannot load the captioner {shown(model)}: {first_line(error)}; give a Video-LLM of "
            "transformers with its processor, or use captioner='labels'"
        ) from error
    if getattr(processor, "video_processor", None) is None:
        raise ModelError(
            f"{shown(model)} is a {type(network).__name__} whose processor reads no videos; give a "
            "Video-LLM of transformers, or use captioner='labels'"
        )
    if adapter is None:
        return VlmCaptioner(network, processor)
    network = with_adapter(network, adapter, model=model, device=device)
    captioner = VlmCaptioner(network, processor)
    captioner.name = name_of(model, adapter)
    return captioner


def content_key(frames: Frames) -> str:
    """A hash of the pixels and times of these frames."""
    digest = hashlib.sha256(repr(tuple(frames.pixels.shape)).encode())
    digest.update(frames.pixels.contiguous().numpy().tobytes())
    digest.update(frames.pts_seconds.numpy().tobytes())
    return digest.hexdigest()


def first_sentence(text: str) -> str:
    """The first sentence of the first line that has one.

    Example:
        >>> first_sentence("  A dog runs. It barks.")
        'A dog runs.'
    """
    lines = text.strip().splitlines()
    return re.split(r"(?<=[.!?])\s", lines[0].strip(), maxsplit=1)[0] if lines else ""
