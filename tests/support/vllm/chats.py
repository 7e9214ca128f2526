"""Chat requests about videos, for `tests.support.vllm.servers`."""

from pathlib import Path
from typing import Any

from tests.support.vllm.servers import MODEL


def video(address: str | Path, **keys: Any) -> dict[str, Any]:
    """The part of a message that holds a video.

    Args:
        address: A file, or any URL.
        keys: More keys of the part.
    """
    url = f"file://{address}" if isinstance(address, Path) else address
    return {"type": "video_url", "video_url": {"url": url}, **keys}


def chat(*parts: dict[str, Any], text: str = "red", **keys: Any) -> dict[str, Any]:
    """A chat of one message.

    Args:
        parts: Videos.
        text: Question of the user, after the videos; empty for none.
        keys: More keys of the request.
    """
    content = [*parts, *([{"type": "text", "text": text}] if text else [])]
    return {"model": MODEL, "messages": [{"role": "user", "content": content}], **keys}
