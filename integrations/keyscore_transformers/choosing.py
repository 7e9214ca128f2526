"""From requests to frames: each video is looked at once, and its chosen frames are read once."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial

from keyscore_plugin.hosts import (
    QUERY_RULES,
    Chosen,
    DownloadLimits,
    Fold,
    HostProfile,
    HostRequest,
    SamplerPool,
    choose,
    identity_of,
)
from keyscore_transformers.batching import BatchingCaptioner
from keyscore_transformers.videos import Video

HOST = HostProfile(
    rule=QUERY_RULES["transformers"],
    allowed_by="enable(processor, limits=DownloadLimits(max_bytes=..., max_seconds=...))",
    give_text="give caption='a sentence about the video'; or let a question choose "
    "(question='...', or user text in the messages)",
    make_text="have a caption made: enable(processor, model=model), or captioner=...",
    give_times="give video_metadata=[{'fps': ..., 'total_num_frames': ...}], or the path of the "
    "video",
)


def choose_all(
    videos: Sequence[Video],
    requests: Sequence[HostRequest],
    *,
    samplers: SamplerPool,
    limits: DownloadLimits | None,
    fold: Fold,
) -> list[Chosen]:
    """Choose the frames of each video; equal requests for the same video are answered once.

    Args:
        videos: Videos as `keyscore_transformers.videos.flat_videos` gives them.
        requests: Request for each video.
        samplers: Samplers of the processor.
        limits: Limits of the download of a URL; None refuses URLs.
        fold: Fold of the model's frames into visual tokens.

    Raises:
        VideoError: A video cannot be read.
        InputError: A request cannot be met.
    """
    jobs: dict[Hashable, Callable[[], Chosen]] = {}
    keys = []
    generates = False
    for video, asked in zip(videos, requests, strict=True):
        request = replace(asked, video=video, decoder=samplers.decoder, limits=limits)
        _, texts = samplers.resolve(request, HOST)
        key = identity_of(request, texts)
        jobs[key] = partial(choose, request, host=HOST, samplers=samplers, fold=fold)
        generates |= texts.want_generated
        keys.append(key)
    captioner = samplers.captioner
    if isinstance(captioner, BatchingCaptioner) and generates and len(jobs) > 1:
        done = captioner.run(list(jobs.values()))
    else:
        done = [job() for job in jobs.values()]
    chosen = dict(zip(jobs, done, strict=True))
    return [chosen[key] for key in keys]
