"""Mutated requests to a vLLM server with the plugin: an error of one line, or vLLM's own answer.

``KEYSCORE_FUZZ_REQUESTS`` says how many there are, ``KEYSCORE_FUZZ_SEED`` where they begin.
"""

import os
import random
from pathlib import Path

import httpx
import pytest

from tests.fuzz.test_proxy_requests import mutated
from tests.support.tiny.videos import numbered_video
from tests.support.vllm import models
from tests.support.vllm.servers import PLUGIN, RENDER, vllm_server

N_REQUESTS = int(os.environ.get("KEYSCORE_FUZZ_REQUESTS", "60"))
FIRST_SEED = int(os.environ.get("KEYSCORE_FUZZ_SEED", "0"))
RENDERER = "/v1/chat/completions/render"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_mutated_request_is_answered_or_refused_in_one_line(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    video = numbered_video(media / "clip.mp4", n=40)
    model = models.save("Qwen3VL", tmp_path / "model")
    options = ("--allowed-local-media-path", str(media), "--allowed-media-domains", "127.0.0.9")
    log = tmp_path / "log.txt"
    with (
        vllm_server(
            RENDER, model, *options, *PLUGIN, log=log, VLLM_MEDIA_CONNECTOR="keyscore"
        ) as server,
        httpx.Client(base_url=server.address, timeout=120) as client,
    ):
        for seed in range(FIRST_SEED, FIRST_SEED + N_REQUESTS):
            answer = client.post(RENDERER, content=mutated(video, random.Random(seed)))
            assert answer.status_code < 500 or "keyscore" not in answer.text, (seed, answer.text)
            if answer.status_code >= 400 and "keyscore" in answer.text:
                assert "\n" not in answer.json()["error"]["message"], seed
        assert client.get("/health").status_code == 200
