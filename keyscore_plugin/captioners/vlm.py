"""Any Video-LLM of transformers, asked for a caption or for clips: usually the one that answers."""

import hashlib
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
from keyscore_plugin.captioners.pictures import describe_pictures
from keyscore_plugin.captioners.processing import (
    GenerativeModel,
    call_processor,
    first_sentence,
    frames_per_token,
    generate_texts,
)
from keyscore_plugin.errors import InputError, ModelError, shown
from keyscore_plugin.types import Caption, Frames
from keyscore_plugin.video.metadata import clock_metadata

PROMPT = "Describe this video in one sentence."  # ours; the paper names a captioner, not its prompt
_MAX_CACHED = 4096  # ours: a caption takes a few hundred bytes


class VlmCaptioner:
    """Describes frames in one sentence, or names the clips that a question needs.

    Captions and answers are kept in memory, by the content of the frames, so the same frames cost
    one generation however often the model is asked about them. Nothing is written to disk. The
    paper (sec. 3.2) names a captioner; the prompt and the limits are ours.

    Args:
        model: Model of transformers with `generate`.
        processor: Processor of the model, as loaded.
        prompt: Text that asks the model for the sentence.
        max_new_tokens: Most tokens of the answer; its first sentence is kept.
        max_frames: Most frames that the model sees, thinned evenly. If the model folds several
            frames into one visual token, each frame is repeated so that no two share a token.

    Attributes:
        name: Name or path of the model, or its class if it has none.
        n_tokens: Number of tokens that the model has read and written so far, visual ones included.

    Raises:
        InputError: The prompt is blank, or a limit is less than 1.
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
            raise InputError(
                "the prompt of the captioner is empty; give a text that asks for one sentence"
            )
        if max_new_tokens < 1 or max_frames < 1:
            raise InputError(
                f"max_new_tokens and max_frames must be >= 1, got {max_new_tokens} and {max_frames}"
            )
        self.name = model.name_or_path or type(model).__name__
        self.prompt = prompt
        self.max_new_tokens = max_new_tokens
        self.max_frames = max_frames
        self.n_tokens = 0
        self._model = model
        self._processor = processor
        self._cache: dict[str, Caption] = {}
        self._answers: dict[tuple[object, ...], str] = {}

    def __repr__(self) -> str:
        return f"VlmCaptioner({self.name!r}, prompt={self.prompt!r})"

    def caption(self, frames: Frames) -> Caption:
        """Describe frames in one sentence.

        Args:
            frames: STACFP's candidates, in time order, with times from the video's first frame.

        Returns:
            The first sentence of the model's answer.

        Raises:
            ModelError: The model wrote nothing.
        """
        return self.caption_batch([frames])[0]

    def caption_batch(self, videos: Sequence[Frames]) -> list[Caption]:
        """Describe several videos, in one generation if the model's inputs allow it.

        Args:
            videos: Frames of each video, as `caption` takes them.

        Returns:
            One caption for each video, in the order given.

        Raises:
            ModelError: The model wrote nothing.
        """
        shown = [frames.to("cpu") for frames in videos]  # processors work on the CPU
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

    def caption_each(self, frames: Frames) -> list[str]:
        """Describe each frame on its own, as a picture, by `describe_pictures`."""
        return describe_pictures(self._model, self._processor, frames)

    def judge(self, question: ClipQuestion, *, max_new_tokens: int) -> str:
        """Ask the model for clips, by `clip_prompt`; it answers by greedy decoding.

        Args:
            question: Question about one video.
            max_new_tokens: Most tokens of the answer.
        """
        frames = question.frames.to("cpu")
        facts = (question.query, question.duration_seconds, max_new_tokens)
        key = (content_key(frames), *facts)
        if key not in self._answers:
            inputs = clip_prompt(self._processor, [question])
            (self._answers[key],) = self._texts(inputs, max_new_tokens=max_new_tokens)
            _forget_oldest(self._answers)
        return self._answers[key]

    def write(self, prompt: str, *, max_new_tokens: int) -> str:
        """What the model answers to a prompt without a video, by greedy decoding.

        Args:
            prompt: Text of the user's message.
            max_new_tokens: Most tokens of the answer.
        """
        message = {"role": "user", "content": [{"type": "text", "text": prompt}]}
        text = self._processor.apply_chat_template([message], add_generation_prompt=True)
        inputs = self._processor(text=[text], return_tensors="pt")
        (answer,) = self._texts(inputs, max_new_tokens=max_new_tokens)
        return answer

    def _batches(self, videos: Mapping[str, Frames]) -> list[list[str]]:
        """Group videos into batches: all in one, or by shape if the processor stacks them."""
        if "video_grid_thw" in self._processor.video_processor.model_input_names:
            return [list(videos)] if videos else []
        groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for key, frames in videos.items():
            groups[tuple(frames.pixels.shape)].append(key)
        return list(groups.values())

    def _generate(self, videos: Sequence[Frames]) -> list[str]:
        """Return the model's answer about each video."""
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
        return self._texts(inputs, max_new_tokens=self.max_new_tokens)

    def _texts(self, inputs: Any, *, max_new_tokens: int) -> list[str]:
        texts, n_tokens = generate_texts(
            self._model, self._processor, inputs, max_new_tokens=max_new_tokens
        )
        self.n_tokens += n_tokens
        return texts

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

    The model runs in the number format of its weights on a GPU, in float32 on a CPU.

    Args:
        model: Folder or hub model id.
        device: Device on which the model runs.
        local_files_only: Whether the model is loaded without asking the hub.
        adapter: Folder or hub id of a PEFT adapter for the model.

    Raises:
        ModelError: The model cannot be loaded, or reads no videos, or the adapter is one of another
            model.
        MissingDependencyError: torchvision, which video processors need, is not installed, or PEFT
            for an adapter.
    """
    network, processor = load_image_text_model(model, device, local_files_only=local_files_only)
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


def load_image_text_model(
    model: str, device: torch.device, *, local_files_only: bool
) -> tuple[Any, Any]:
    """Load a model that reads pictures and writes text, and its processor.

    Args:
        model: Folder or hub model id.
        device: Device on which the model runs, in float32 on a CPU, else as its weights.
        local_files_only: Whether the model is loaded without asking the hub.

    Raises:
        ModelError: The model cannot be loaded.
        MissingDependencyError: torchvision is not installed.
    """
    require("torchvision", extra="transformers")
    import transformers

    models: Any = transformers.AutoModelForImageTextToText
    processors: Any = transformers.AutoProcessor
    dtype = torch.float32 if device.type == "cpu" else "auto"
    try:
        loaded = models.from_pretrained(model, dtype=dtype, local_files_only=local_files_only)
        network = loaded.eval().to(device)  # fails if the device's memory is too small
        processor = processors.from_pretrained(model, local_files_only=local_files_only)
    except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise ModelError(
            f"cannot load the captioner {shown(model)}: {first_line(error)}; give a Video-LLM of "
            "transformers with its processor, or use captioner='labels'"
        ) from error
    return network, processor


def content_key(frames: Frames) -> str:
    """Hash the pixels and times of frames."""
    digest = hashlib.sha256(repr(tuple(frames.pixels.shape)).encode())
    digest.update(frames.pixels.contiguous().numpy().tobytes())
    digest.update(frames.pts_seconds.numpy().tobytes())
    return digest.hexdigest()
