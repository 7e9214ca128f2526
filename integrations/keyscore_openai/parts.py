"""Chosen frames as content parts of a message to an OpenAI-compatible server."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from PIL import Image
from torch import Tensor

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import Chosen, Fold
from keyscore_plugin.types import Selection

Form = Literal["images", "video", "url"]
ImageFormat = Literal["jpeg", "png"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSettings:
    """How frames are written into a message.

    The sizes are those of Qwen3-VL. For Qwen2-VL and Qwen2.5-VL set ``patch_side=28``.

    Attributes:
        patch_side: Pixels of one visual token's side. Frames get sides of whole patches, so that
            the server does not resize them again.
        min_pixels: Least number of pixels of a frame; a smaller frame is enlarged, as the server's
            image processor would do.
        max_pixels: Largest number of pixels of a frame.
        frames_per_patch: Frames that the model folds into one visual token, for the form
            ``"video"``.
        label: Text before each frame; ``seconds`` is its time from the video's first frame.
        image_format: ``"jpeg"``, or ``"png"``, which is lossless.
        quality: JPEG quality, 1 to 100. Colours are not subsampled.

    Raises:
        InputError: A value cannot be used.
    """

    patch_side: int = 32
    min_pixels: int = 256 * 256  # of Qwen3-VL's preprocessor_config.json, for images
    max_pixels: int = 768 * 32 * 32  # ours: 768 visual tokens of Qwen3-VL a frame
    frames_per_patch: int = 2
    label: str = "<{seconds:.1f} seconds>"  # the form of Qwen3-VL's own video prompt
    image_format: ImageFormat = "jpeg"
    quality: int = 95  # ours: flat colours of the tests come back within 1 of 255 levels

    def __post_init__(self) -> None:
        for name in ("patch_side", "min_pixels", "frames_per_patch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {shown(getattr(self, name))}")
        if self.max_pixels < max(self.min_pixels, self.patch_side**2):
            raise InputError(
                f"max_pixels={self.max_pixels} is below min_pixels={self.min_pixels} or one patch "
                f"of {self.patch_side} x {self.patch_side} pixels; raise it"
            )
        if self.image_format not in get_args(ImageFormat):
            raise InputError(f"image_format must be jpeg or png, got {shown(self.image_format)}")
        if not 1 <= self.quality <= 100:
            raise InputError(f"quality must be from 1 to 100, got {shown(self.quality)}")
        try:
            self.label.format(seconds=0.0)
        except (LookupError, ValueError) as error:
            raise InputError(
                f"label={shown(self.label)} is no format string with {{seconds}} ({error}); give "
                "one such as '<{seconds:.1f} seconds>'"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameParts:
    """Parts of a message that show chosen frames.

    Attributes:
        content: Content parts, to be put before the text of the message.
        extra_body: Keys to add to the request, as ``extra_body`` of the openai client; empty
            for the form ``"images"``.
        visual_tokens: Visual tokens that a model with these patches makes of the frames; None if
            the server chooses them. Labels and the separators around a frame come on top.
        selection: The keyframes and how they were chosen; None if the server chooses them.
    """

    content: list[dict[str, Any]]
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    visual_tokens: int | None = None
    selection: Selection | None = None


def fold_of(form: Form, settings: PartSettings) -> Fold:
    """How the frames of a form share visual tokens: images never do.

    Raises:
        InputError: The form is unknown.
    """
    if form not in get_args(Form):
        raise InputError(f"unknown form {shown(form)}; the forms are: {', '.join(get_args(Form))}")
    return Fold(settings.frames_per_patch if form == "video" else 1)


def parts_of(chosen: Chosen, form: Form, settings: PartSettings) -> FrameParts:
    """The frames that were chosen as parts, with their times.

    Args:
        chosen: Frames, chosen with `fold_of` the form.
        form: ``"images"`` or ``"video"``.
        settings: Settings by which they are written.
    """
    if chosen.frames is None:
        raise ValueError("the frames were left unread; choose with read=True")
    height, width = patch_size(chosen.height, chosen.width, settings)
    pictures = [_encoded(pixels, (height, width), settings) for pixels in chosen.frames.pixels]
    per_patch = fold_of(form, settings).frames_per_patch
    tokens = len(pictures) // per_patch * (height * width // settings.patch_side**2)
    if form == "images":
        content = _labelled(pictures, chosen, settings)
        return FrameParts(content=content, visual_tokens=tokens, selection=chosen.selection)
    url = f"data:video/{settings.image_format};base64,{','.join(pictures)}"
    # Without num_frames=-1 vLLM keeps the first 32 pictures.
    kwargs = {**chosen.metadata, "num_frames": -1, "do_sample_frames": False}
    return FrameParts(
        content=[{"type": "video_url", "video_url": {"url": url}}],
        extra_body={"media_io_kwargs": {"video": kwargs}},
        visual_tokens=tokens,
        selection=chosen.selection,
    )


def patch_size(height: int, width: int, settings: PartSettings) -> tuple[int, int]:
    """Height and width in whole patches, close to the frame's shape and within the bounds.

    This is the rule of the image processors of Qwen2-VL to Qwen3-VL, which leave such a size as it
    is.

    Args:
        height: Pixels of the frame.
        width: Pixels of the frame.
        settings: Side of a patch and bounds.

    Example:
        >>> patch_size(1080, 1920, PartSettings())
        (640, 1152)
    """
    side = settings.patch_side
    rounded = [max(side, round(pixels / side) * side) for pixels in (height, width)]
    n_pixels = rounded[0] * rounded[1]
    if n_pixels > settings.max_pixels:
        shrink = (height * width / settings.max_pixels) ** 0.5
        rounded = [max(side, int(pixels / shrink / side) * side) for pixels in (height, width)]
    elif n_pixels < settings.min_pixels:
        grow = (settings.min_pixels / (height * width)) ** 0.5
        rounded = [-int(-pixels * grow // side) * side for pixels in (height, width)]
    return rounded[0], rounded[1]


def _labelled(pictures: list[str], chosen: Chosen, settings: PartSettings) -> list[dict[str, Any]]:
    """Each picture after its time, and after what is said there."""
    content: list[dict[str, Any]] = []
    lines = chosen.lines or [()] * len(pictures)
    for picture, time, said in zip(pictures, chosen.seconds.tolist(), lines, strict=True):
        url = f"data:image/{settings.image_format};base64,{picture}"
        label = [settings.label.format(seconds=time), *map(str, said)]
        content.append({"type": "text", "text": "\n".join(label)})
        content.append({"type": "image_url", "image_url": {"url": url}})
    return content


def _encoded(pixels: Tensor, size: tuple[int, int], settings: PartSettings) -> str:
    """One frame ``(h, w, 3)`` uint8 as a picture of this height and width, in base64."""
    picture = Image.fromarray(pixels.numpy())
    height, width = size
    if (picture.height, picture.width) != size:
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    if settings.image_format == "png":
        picture.save(file, "PNG")
    else:
        picture.save(file, "JPEG", quality=settings.quality, subsampling=0)
    return base64.b64encode(file.getvalue()).decode()
