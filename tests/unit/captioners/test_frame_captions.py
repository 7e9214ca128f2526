"""One sentence about every frame: in batches, once for equal frames, kept by content."""

from pathlib import Path

import pytest
import torch

from keyscore_plugin.captioners.frame_captions import (
    CaptionCache,
    caption_frames,
    captioner_identity,
)
from keyscore_plugin.captioners.pictures import PictureCaptioner, describe_pictures
from keyscore_plugin.captioners.registry import load_captioner, load_frame_captioner
from keyscore_plugin.captioners.vlm import VlmCaptioner
from keyscore_plugin.errors import CacheError, InputError, ModelError
from keyscore_plugin.types import FrameCaptions, Frames
from tests.support import tiny
from tests.support.colour_judge import ColourJudge
from tests.support.importance import ColourDescriber
from tests.support.skimage_pictures import picture
from tests.support.tiny.scripted import scripted
from tests.support.tiny.videos import numbered_frames


def frames(*colours: tuple[int, int, int]) -> Frames:
    pixels = torch.tensor(colours, dtype=torch.uint8)[:, None, None].expand(-1, 16, 24, 3)
    n = len(colours)
    return Frames(pixels.contiguous(), torch.arange(n), torch.arange(float(n)).double())


RED, BLUE, BLACK = (200, 0, 0), (0, 0, 200), (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2_5_vl", "llava_next_video"])
def test_a_batch_of_pictures_gets_the_captions_of_single_ones(family: str) -> None:
    processor, model = tiny.build(family)
    pixels = torch.stack([torch.as_tensor(one) for one in numbered_frames(3, (56, 84))])
    video = Frames(pixels, torch.arange(3), torch.arange(3.0).double())
    together = describe_pictures(model, processor, video)
    alone = [describe_pictures(model, processor, video[row : row + 1])[0] for row in range(3)]
    assert together == alone
    assert VlmCaptioner(model, processor).caption_each(video) == together


def test_a_caption_is_the_first_sentence_and_a_silent_model_leaves_it_empty() -> None:
    processor, model = scripted("A dog runs. It barks.")
    assert describe_pictures(model, processor, frames(RED, BLUE)) == ["A dog runs."] * 2
    processor, model = scripted("")
    silent = PictureCaptioner(model, processor, name="silent")
    assert silent.caption_each(frames(RED, BLUE)) == ["", ""]
    with pytest.raises(ModelError, match="silent wrote no caption; give a caption"):
        silent.caption(frames(RED))
    with pytest.raises(ModelError, match=r"one by one, and 2 frames were given.*llmvs"):
        silent.caption(frames(RED, BLUE))


def test_labels_name_each_frame_and_leave_a_blank_one_empty() -> None:
    captioner = load_captioner("labels", device="cpu")
    cat = picture("chelsea.png")[:300, :400]
    shown = torch.stack([cat, torch.full_like(cat, 127), picture("coffee.png")[:300, 100:500]])
    video = Frames(shown, torch.arange(3), torch.arange(3.0).double())
    assert captioner is not None
    first, blank, last = caption_frames(captioner, video)
    assert first == "A picture that seems to show a cat."
    assert (blank, "espresso" in last) == ("", True)


def test_a_captioner_of_videos_is_asked_about_one_frame_at_a_time() -> None:
    judge = ColourJudge()
    assert caption_frames(judge, frames(RED, BLUE, RED)) == ["red", "blue", "red"]
    assert judge.n_shown == 1


def test_equal_frames_are_captioned_once_and_kept_ones_never_again(tmp_path: Path) -> None:
    describer, cache = ColourDescriber(), CaptionCache(tmp_path)

    def ask(*colours: tuple[int, int, int], identity: str | None = "a") -> list[str]:
        return caption_frames(describer, frames(*colours), identity=identity, cache=cache)

    assert ask(RED, RED, BLACK) == ["All is red.", "All is red.", ""]
    assert describer.n_captioned == 2
    assert ask(BLACK, BLUE, RED) == ["", "All is blue.", "All is red."]
    assert describer.n_captioned == 3
    ask(RED, identity="another captioner")
    ask(RED, identity=None)
    assert describer.n_captioned == 5
    CaptionCache(tmp_path).put({f"k{row}": str(row) for row in range(2000)})
    assert len(CaptionCache(tmp_path).get([f"k{row}" for row in range(3000)])) == 2000


def test_a_broken_cache_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    cache = CaptionCache(tmp_path)
    cache.path.write_bytes(b"half a file " * 1000)
    with pytest.raises(CacheError, match=r"cannot use the captions in .*; delete that file"):
        caption_frames(ColourDescriber(), frames(RED), identity="a", cache=cache)
    assert cache.path.exists()


def test_a_name_is_an_identity_if_its_weights_are_here(tmp_path: Path) -> None:
    assert "efficientnet" in (captioner_identity("labels") or "")
    assert captioner_identity("somebody/unknown") is None
    (tmp_path / "config.json").write_text("{}")
    assert str(tmp_path) in (captioner_identity(str(tmp_path)) or "")


def test_names_of_captioners_are_checked_as_elsewhere() -> None:
    describer = ColourDescriber()
    assert load_frame_captioner(describer) is describer
    assert load_frame_captioner("labels", device="cpu").name == "labels"


def test_captions_of_frames_have_one_length() -> None:
    with pytest.raises(InputError, match="one length in every field"):
        FrameCaptions(("a",), torch.arange(2), torch.arange(2.0).double(), "labels")
