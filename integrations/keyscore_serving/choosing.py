"""Frames for the requests of a server's clients, by an encoder that is loaded once."""

from keyscore_plugin import VideoInput, load_encoder
from keyscore_plugin.hosts import (
    QUERY_RULES,
    Chosen,
    DownloadLimits,
    Fold,
    HostProfile,
    HostRequest,
    SamplerPool,
    choose,
)
from keyscore_serving.request import FrameRequest
from keyscore_serving.settings import ServerSettings

HOST = HostProfile(
    rule=QUERY_RULES["serving"],
    allowed_by="the settings of the server",
    give_text="put a text into the video's message, or add a 'question'",
)


class FrameChooser:
    """Chooses frames for the requests of clients.

    Args:
        settings: Settings of the server. The encoder is loaded at once, and so are the captioner
            and the models of ``llmvs`` if the settings name them, so that no request waits for them
            and a wrong name is an error at the start. Where they name both, the captioner is loaded
            as ``llmvs`` loads it, and may be one that reads pictures alone.

    Raises:
        ModelError: A model cannot be loaded.
        InputError: The device does not exist.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._decoder = settings.decoder
        self._samplers = SamplerPool(
            encoder=load_encoder(settings.encoder, device=settings.device),
            captioner=settings.captioner,
            config=settings.config.with_index(settings.index),
            decoder=settings.decoder,
            device=settings.device,
        )
        if settings.config.llmvs.model is not None:
            self._samplers.load("llmvs")
        elif settings.captioner is not None:
            self._samplers.load("keyscore")

    def choose(
        self,
        video: VideoInput,
        request: FrameRequest,
        *,
        fold: Fold,
        limits: DownloadLimits | None = None,
    ) -> Chosen:
        """Choose and read the frames of one video.

        Args:
            video: Video that this client may read, see `keyscore_serving.sources.VideoSources`.
            request: Request of the client.
            fold: Fold of the model's frames into visual tokens.
            limits: Limits of the download of a URL; None refuses URLs.

        Raises:
            VideoError: The video cannot be read.
            InputError: The request cannot be met, such as a missing text.
        """
        asked = HostRequest(
            video=video,
            sampler=request.sampler,
            num_frames=request.num_frames,
            question=request.question,
            caption=request.caption,
            join=request.join,
            pair=request.pair,
            decoder=self._decoder,
            limits=limits,
        )
        return choose(asked, host=HOST, samplers=self._samplers, fold=fold)
