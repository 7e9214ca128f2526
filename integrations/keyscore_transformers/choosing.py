"""From requests to frames: each video is looked at once, and its chosen frames are read once."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor
from transformers.video_utils import VideoMetadata

from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.hosts.download import DownloadLimits
from keyscore_plugin.hosts.pairing import Fold, keyframes_for_budget, pair_frames
from keyscore_plugin.samplers.base import Sampler, get_sampler, require_sampler
from keyscore_plugin.types import Selection
from keyscore_plugin.video.copies import is_data_url
from keyscore_plugin.video.trim import TrimmedVideo
from keyscore_transformers.batching import Meeting
from keyscore_transformers.request import TextGuide, VideoRequest
from keyscore_transformers.texts import Texts, choose_texts, refuse_other_guide
from keyscore_transformers.times import frame_metadata, patch_seconds
from keyscore_transformers.videos import Video, opened, video_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The frames that the model gets of one video.

    Attributes:
        selection: The keyframes, and everything about how they were chosen.
        pixels: ``(n, 3, h, w)`` uint8; n is a multiple of the frames in a patch.
        metadata: What the processor computes their times from.
        patch_seconds: ``(n_patches,)`` time of each temporal patch.
    """

    selection: Selection
    pixels: Tensor
    metadata: VideoMetadata
    patch_seconds: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """Chooses frames with the samplers it makes and keeps.

    Attributes:
        captioner: Makes captions for samplers asked for by name; None if there is none.
        encoder: Theirs, see `keyscore_plugin.get_sampler`.
        config: Theirs.
        decoder: See `keyscore_plugin.open_video`.
        device: Theirs.
        limits: What a URL may cost; None refuses URLs.
        samplers: Those made so far, by name and guide.
    """

    captioner: str | Captioner | None
    encoder: str | Encoder
    config: SamplerConfig
    decoder: str
    device: str
    limits: DownloadLimits | None
    samplers: dict[tuple[str, TextGuide | None], Sampler]

    def choose(
        self, videos: Sequence[Video], requests: Sequence[VideoRequest], fold: Fold
    ) -> list[Chosen]:
        """Choose the frames of each video; the same video asked for alike is done once.

        Raises:
            VideoError: A video cannot be read.
            InputError: A request cannot be met.
        """
        jobs: dict[Hashable, Callable[[], Chosen]] = {}
        keys = []
        makes_caption = False
        for video, request in zip(videos, requests, strict=True):
            sampler, texts = self._sampler_for(request)
            key = _identity(video, request, texts)
            jobs[key] = partial(self._choose_one, video, request, sampler, texts, fold)
            makes_caption |= texts.guide in ("caption", "both") and texts.caption is None
            keys.append(key)
        if isinstance(self.captioner, Meeting) and makes_caption and len(jobs) > 1:
            done = self.captioner.run(list(jobs.values()))
        else:
            done = [job() for job in jobs.values()]
        chosen = dict(zip(jobs, done, strict=True))
        return [chosen[key] for key in keys]

    def _sampler_for(self, request: VideoRequest) -> tuple[Sampler, Texts]:
        """The sampler, and the texts it will be told."""
        named = request.sampler
        if not isinstance(named, str):
            require_sampler(named)
            texts = choose_texts(
                request,
                needs_text=named.needs_text,
                has_captioner=getattr(named, "captioner", None) is not None,
            )
            refuse_other_guide(named, texts.guide)
            return named, texts
        if request.guide is None and self.config.guide != "given":
            request = replace(request, guide=self.config.guide)
        texts = choose_texts(
            request,
            needs_text=self._named(named, None).needs_text,
            has_captioner=self.captioner is not None,
        )
        return self._named(named, texts.guide), texts

    def _named(self, name: str, guide: TextGuide | None) -> Sampler:
        """The sampler of this name that scores by this guide."""
        if (name, guide) not in self.samplers:
            self.samplers[name, guide] = get_sampler(
                name,
                config=self.config if guide is None else replace(self.config, guide=guide),
                encoder=self.encoder,
                captioner=self.captioner,
                decoder=self.decoder,
                device=self.device,
            )
        return self.samplers[name, guide]

    def _choose_one(
        self, video: Video, request: VideoRequest, sampler: Sampler, texts: Texts, fold: Fold
    ) -> Chosen:
        n_keyframes = request.num_frames
        if request.token_budget is not None:
            n_keyframes = keyframes_for_budget(
                request.token_budget, fold.frames_per_patch, pair=request.pair
            )
        with opened(
            video, request.video_metadata, decoder=self.decoder, limits=self.limits
        ) as source:
            part = TrimmedVideo.between(source, request.video_start, request.video_end)
            selection = sampler(
                part,
                num_frames=n_keyframes,
                threshold=request.threshold,
                caption=texts.caption,
                question=texts.question,
            )
            indices = pair_frames(selection.indices, part.pts_seconds(), request.pair, fold)
            frames = part.read(indices)
            selection = part.of_whole(selection)
            if isinstance(video, str) and not is_data_url(video):
                selection = replace(selection, video=video)
            return Chosen(
                selection=selection,
                pixels=frames.pixels.permute(0, 3, 1, 2).contiguous(),
                metadata=frame_metadata(frames, part),
                patch_seconds=patch_seconds(frames.pts_seconds, fold.frames_per_patch),
            )


def _identity(video: Video, request: VideoRequest, texts: Texts) -> Hashable:
    """What two requests must share to have one answer."""
    return (
        video_identity(video, request.video_metadata),
        request.sampler if isinstance(request.sampler, str) else id(request.sampler),
        request.num_frames,
        request.threshold,
        request.token_budget,
        (request.video_start, request.video_end),
        request.pair,
        texts,
    )
