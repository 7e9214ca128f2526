"""From chats about videos to the inputs of a model, the same for training and for inference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import BACKEND, append_completions, clock_metadata, left_padding

Chat = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ShownVideo:
    """The frames of one video that a model sees.

    Attributes:
        pixels: ``(n, h, w, 3)`` uint8 RGB, in time order.
        seconds: ``(n,)`` float64 times of the frames, from the video's first frame.
        duration_seconds: Duration of the video.

    Raises:
        InputError: There are no frames, or the fields differ in length.
    """

    pixels: Tensor
    seconds: Tensor
    duration_seconds: float

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or len(self.pixels) != len(self.seconds) or not len(self.pixels):
            raise InputError(
                "ShownVideo needs (n, h, w, 3) pixels and (n,) seconds of at least one frame, got "
                f"{tuple(self.pixels.shape)} and {tuple(self.seconds.shape)}"
            )


class Prompts(Protocol):
    """A function that builds the inputs of a model, such as `VideoPrompts` or `ClipPrompts`.

    A trainer that builds its inputs in another way than inference does trains another policy.
    """

    def __call__(self, chats: Sequence[Chat], *, completions: Sequence[str] | None = None) -> Any:
        """Build one batch.

        Args:
            chats: Messages before the answer, a chat for each row of the batch.
            completions: Answers to train on; None adds nothing, for generation.

        Returns:
            Inputs of the model, as the processor returns them. Prompts are padded on the left. With
            completions also ``labels``, ``(batch, length)`` int64: the ids of the completions, and
            -100 for all other tokens.
        """


class VideoPrompts:
    """Inputs of a model for chats with any number of videos.

    Every frame is repeated to fill the model's temporal patch, as ``pair="duplicate"`` of
    `keyscore_transformers` does, so that no two frames are blended. No frame is sampled again, and
    the processor gets the true time of each.

    Args:
        processor: Processor of the model. If `keyscore_transformers.enable` prepared it, models
            that read times from position ids get the exact ones, as in its `generate`.
        read: Function that reads the video of a content block, such as a path; None for chats
            whose blocks hold a `ShownVideo` each.
    """

    def __init__(self, processor: Any, read: Callable[[Any], ShownVideo] | None = None) -> None:
        self._processor = processor
        self._read = read

    def __call__(self, chats: Sequence[Chat], *, completions: Sequence[str] | None = None) -> Any:
        """Build one batch.

        Args:
            chats: Messages before the answer, a chat for each row of the batch.
            completions: Answers to train on; None adds nothing, for generation.

        Returns:
            Inputs of the model, padded on the left; with completions also their ``labels``.

        Raises:
            InputError: A chat has no video, or a video has to be read and no ``read`` was given.
        """
        fold = getattr(self._processor.video_processor, "temporal_patch_size", None) or 1
        videos = [self._videos(chat) for chat in chats]
        batch = self._processor(
            text=[self._text(chat) for chat in chats],
            videos=[
                video.pixels.repeat_interleave(fold, 0).permute(0, 3, 1, 2).contiguous()
                for row in videos
                for video in row
            ],
            video_metadata=[
                {
                    **clock_metadata(video.seconds.repeat_interleave(fold), video.duration_seconds),
                    "video_backend": BACKEND,
                }
                for row in videos
                for video in row
            ],
            do_sample_frames=False,
            return_tensors="pt",
            **left_padding(self._processor),
        )
        batch.pop("video_metadata", None)  # some versions leave it in; models refuse it
        if completions is not None:
            append_completions(batch, self._processor.tokenizer, completions)
        return batch

    def _text(self, chat: Chat) -> str:
        messages = [{**message, "content": without_gaps(message["content"])} for message in chat]
        text: str = self._processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return text

    def _videos(self, chat: Chat) -> list[ShownVideo]:
        addresses = video_addresses(chat)
        if not addresses:
            raise InputError(
                "a chat has no video; give its content a block {'type': 'video', 'video': PATH}"
            )
        return [self._shown(address) for address in addresses]

    def _shown(self, address: Any) -> ShownVideo:
        if isinstance(address, ShownVideo):
            return address
        if self._read is None:
            raise InputError(
                f"a chat names the video {address!r}, and VideoPrompts has no function that reads "
                "it; give read=, such as keyscore_trl.UniformReader(num_frames=8)"
            )
        return self._read(address)


def video_addresses(chat: Chat) -> list[Any]:
    """What the video blocks of a chat hold, in order."""
    return [
        block.get("video")
        for message in chat
        if not isinstance(message["content"], str)
        for block in message["content"]
        if block.get("type") == "video"
    ]


def without_gaps(content: Any) -> Any:
    """Content without empty keys: `datasets` gives every block the keys of all others, as None.

    The templates of Qwen take a text block with the key "video" for a video.
    """
    if isinstance(content, str):
        return content
    kept = [{key: value for key, value in block.items() if value is not None} for block in content]
    return [{"type": "video"} if block.get("type") == "video" else block for block in kept]
