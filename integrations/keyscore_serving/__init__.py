"""What servers of Video-LLMs share: one request for chosen frames, read from a URL or from JSON.

A client writes the request as keys of a chat request, or as the URL of its video:

    keyscore:sampler=keyscore&num_frames=8&question=Who%20scores%3F;https://host/match.mp4

The client chooses the sampler, the number of frames, the texts and the pairing. The encoder, the
device, the decoder and the upper bounds are the server's. No host is imported here.
"""

from keyscore_serving.choosing import FrameChooser
from keyscore_serving.middleware import FrameRequestMiddleware
from keyscore_serving.request import FrameRequest, RequestLimits, split_url
from keyscore_serving.rewriting import rewrite, rewrite_json
from keyscore_serving.settings import ServerSettings
from keyscore_serving.sources import VideoSources

__all__ = [
    "FrameChooser",
    "FrameRequest",
    "FrameRequestMiddleware",
    "RequestLimits",
    "ServerSettings",
    "VideoSources",
    "rewrite",
    "rewrite_json",
    "split_url",
]
