"""KeyScore for qwen-vl-utils: the frames that matter, through the message you already have.

Example:
    from keyscore_qwen_vl_utils import install
    from qwen_vl_utils import process_vision_info

    install()
    video = {"type": "video", "video": "clip.mp4", "sampler": "keyscore", "nframes": 8,
             "caption": "a dog is petted"}
    messages = [{"role": "user", "content": [video, {"type": "text", "text": "Who pets it?"}]}]
    images, videos, kwargs = process_vision_info(
        messages, return_video_kwargs=True, return_video_metadata=True
    )
"""

from keyscore_plugin.hosts import DownloadLimits
from keyscore_qwen_vl_utils.hook import Replacement, install, replaced, uninstall

__all__ = ["DownloadLimits", "Replacement", "install", "replaced", "uninstall"]
