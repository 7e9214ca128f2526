"""What the plugin of SGLang computes without SGLang: positions, and frames of requests."""

from pathlib import Path

import pytest
import torch

from keyscore_plugin.registries import ENCODERS
from keyscore_serving import ServerSettings, split_url
from keyscore_sglang.service import FrameService, asked_of
from keyscore_sglang.times import retimed
from tests.support.tiny.videos import numbered_video


def test_each_patch_is_at_its_own_time_and_what_follows_comes_after() -> None:
    # A token of text, three patches of two tokens 1/12 s apart, as SGLang places them, one of text.
    stock = torch.tensor(
        [[0, 1, 1, 1, 1, 1, 1, 3], [0, 1, 1, 1, 1, 1, 1, 3], [0, 1, 2, 1, 2, 1, 2, 3]]
    )
    seconds = torch.tensor([1.5, 4.5, 7.5], dtype=torch.float64)
    made, moved = retimed(stock, torch.arange(1, 7), [(3, 2)], [seconds], tokens_per_second=2)
    assert made[0].tolist() == [0, 1, 1, 7, 7, 13, 13, 14]
    assert made[1].tolist() == [0, 1, 1, 1, 1, 1, 1, 14]
    assert made[2].tolist() == [0, 1, 2, 1, 2, 1, 2, 14]
    assert moved == 11


def test_a_stock_video_keeps_its_positions_and_moves_behind_a_chosen_one() -> None:
    stock = torch.tensor([0, 0, 1, 1]).expand(3, 4)
    seconds = [torch.tensor([0.0, 4.0], dtype=torch.float64), None]
    made, moved = retimed(stock, torch.arange(4), [(2, 1), (2, 1)], seconds, tokens_per_second=1)
    assert made[0].tolist() == [0, 4, 5, 5]
    assert moved == 4
    assert torch.equal(
        retimed(stock, torch.arange(4), [(4, 1)], [None], tokens_per_second=1)[0], stock
    )


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FrameService:
    monkeypatch.setitem(ENCODERS, "colour", "tests.support.colour_cli:make")
    return FrameService(ServerSettings(encoder="colour"))


def test_frames_are_the_same_for_a_path_and_for_its_bytes_and_are_chosen_once(
    service: FrameService, tmp_path: Path
) -> None:
    clip = numbered_video(tmp_path / "clip.mp4", n=40)
    keys = {"sampler": "topk", "num_frames": "3", "question": "red"}
    chosen = service.frames(str(clip), keys)
    assert len(chosen.indices) == 6  # each frame fills a patch of two
    assert service.frames(str(clip), keys) is chosen
    assert torch.equal(service.frames(clip.read_bytes(), keys).indices, chosen.indices)
    other = service.frames(str(clip), {**keys, "question": "green"})
    assert not torch.equal(other.indices, chosen.indices)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"sampler": "none"}, "unknown sampler"),
        ({"sampler": "topk"}, "no text"),
        ({"sampler": "uniform", "num_frames": "9999"}, "from 1 to 256"),
        ({"sampler": "uniform"}, "cannot read"),
    ],
)
def test_a_request_that_cannot_be_met_is_an_error_that_sglang_answers_with_400(
    service: FrameService, keys: dict[str, str], what: str
) -> None:
    with pytest.raises(ValueError, match=rf"^keyscore: .*{what}"):
        service.frames(b"no video", keys)


def test_only_a_url_of_ours_is_read() -> None:
    url = "keyscore:sampler=topk&question=a+dog;https://host/a.mp4"
    assert asked_of(url) == split_url(url)
    assert asked_of("https://host/a.mp4") is None
    assert asked_of(b"bytes") is None
    with pytest.raises(ValueError, match=r"^keyscore: "):
        asked_of("keyscore:nothing")
