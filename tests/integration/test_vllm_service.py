"""The parts of the plugin of vLLM that need no vLLM."""

import subprocess
import sys
from pathlib import Path

import pytest

from keyscore_plugin import InputError, ModelError
from keyscore_plugin.hosts import Fold
from keyscore_plugin.registries import ENCODERS
from keyscore_serving import FrameRequest, ServerSettings
from keyscore_serving.middleware import Message, Receive, Send
from keyscore_serving.service import FrameService
from keyscore_vllm.items import item_of
from keyscore_vllm.middleware import Middleware
from tests.support.tiny.videos import numbered_video


def test_frames_are_what_vllm_takes_for_a_video(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(ENCODERS, "colour", "tests.support.colour_cli:make")
    service = FrameService(ServerSettings(encoder="colour"))
    request = FrameRequest(sampler="topk", num_frames=3, caption="red")
    video = numbered_video(tmp_path / "clip.mp4", n=40)
    pixels, metadata = item_of(service.frames(video, request, Fold(frames_per_patch=2)))
    assert pixels.shape == (6, 112, 112, 3)
    assert pixels.flags.c_contiguous
    assert len(metadata["frames_indices"]) == 6
    assert metadata["do_sample_frames"] is False


async def nothing(scope: Message, receive: Receive, send: Send) -> None:
    """An application."""


def test_the_middleware_without_the_connector_ends_the_start() -> None:
    with pytest.raises(InputError, match="set VLLM_MEDIA_CONNECTOR=keyscore"):
        Middleware(nothing)


def test_an_unknown_encoder_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_MEDIA_CONNECTOR", "keyscore")
    monkeypatch.setenv("KEYSCORE_ENCODER", "kolour")
    with pytest.raises(ModelError, match="kolour"):
        Middleware(nothing)


def test_registering_imports_nothing_unless_the_operator_asks_for_it() -> None:
    """vLLM calls it in every process; here it would fail to import vllm."""
    code = "import sys, keyscore_vllm; keyscore_vllm.register(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
