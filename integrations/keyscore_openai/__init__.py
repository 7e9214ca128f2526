"""KeyScore for any OpenAI-compatible server: the frames that matter, as parts of a message.

Example:
    from keyscore_openai import frames
    from openai import OpenAI

    question = "Who scores the second goal?"
    parts = frames("match.mp4", question=question, num_frames=8)
    content = [*parts.content, {"type": "text", "text": question}]
    answer = OpenAI(base_url="http://localhost:8000/v1", api_key="none").chat.completions.create(
        model="Qwen/Qwen3-VL-8B-Instruct",
        messages=[{"role": "user", "content": content}],
        extra_body=parts.extra_body,
    )
"""

from keyscore_openai.frames import frames
from keyscore_openai.parts import FrameParts, PartSettings
from keyscore_plugin.hosts import DownloadLimits

__all__ = ["DownloadLimits", "FrameParts", "PartSettings", "frames"]
