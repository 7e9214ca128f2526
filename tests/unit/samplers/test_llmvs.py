"""LLMVS as a sampler: no text, captions of all frames, a language model, with a head or without."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from keyscore_plugin import Selection, get_sampler
from keyscore_plugin.algorithm.importance_head import HeadShape, ImportanceHead
from keyscore_plugin.captioners.windows import load_window_reader
from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.samplers.head_files import CARD, WEIGHTS, HeadCard, load_head, save_head
from keyscore_plugin.types import Importance
from tests.support.colour_encoder import ColourEncoder
from tests.support.importance import ColourDescriber, language_model_folder

FPS = 4
SHAPE = HeadShape(d_in=32, width=16, heads=2, feed_forward=16, hidden=(8, 8, 8, 8))
CARD_OF_TESTS = HeadCard(
    shape=SHAPE,
    model="tiny",
    captioner="colours",
    embedding={"reading": "windows", "answer": "none", "window": 7},
)


def pictures(*colours: tuple[int, int, int], each: int = 4) -> np.ndarray:
    """``each`` frames of each colour, 4 a second."""
    rows = np.repeat(np.array(colours, dtype=np.uint8), each, axis=0)
    return np.broadcast_to(rows[:, None, None], (len(rows), 48, 64, 3)).copy()


RED, GREEN, BLUE, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 0)
VIDEO = pictures(RED, GREEN, BLUE, RED, BLUE)


def choose(video: Any = VIDEO, *, captioner: Any = "describer", **settings: Any) -> Selection:
    llmvs = {"model": language_model_folder()} | settings
    sampler = get_sampler(
        "llmvs",
        config={"llmvs": llmvs},
        captioner=ColourDescriber() if captioner == "describer" else captioner,
        device="cpu",
    )
    return sampler(video, num_frames=3, fps=FPS)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("head")
    return save_head(ImportanceHead(SHAPE, seed=3), folder, CARD_OF_TESTS)


def test_without_a_head_the_language_model_marks_and_the_selection_says_so() -> None:
    selection = choose()
    captions = ["All is red."] * 2 + ["All is green."] * 2 + ["All is blue."] * 2
    captions += ["All is red."] * 2 + ["All is blue."] * 2  # 2 frames a second
    reader = load_window_reader(language_model_folder(), torch.device("cpu"))
    assert [frame.total for frame in selection.curves] == reader.expect(captions).tolist()
    rows = [[frame.index for frame in selection.curves].index(i) for i in selection.indices]
    assert selection.frame_captions == tuple(captions[row] for row in rows)
    assert selection.scores == [selection.curves[row].total for row in rows]
    assert (selection.encoder, selection.caption, selection.fallback) == (None, None, None)
    assert selection.captioner == "colours"
    assert any(note.startswith("no trained head: ") for note in selection.notes)
    assert Selection.from_json(selection.to_json()).frame_captions == selection.frame_captions


def test_a_head_scores_the_embeddings_in_the_context_of_the_video(head: Path) -> None:
    selection = choose(head=str(head))
    reader = load_window_reader(language_model_folder(), torch.device("cpu"))
    texts = [f"All is {name}." for name in ("red", "green", "blue", "red", "blue") for _ in "ab"]
    with torch.inference_mode():
        expected = ImportanceHead(SHAPE, seed=3).eval()(reader.embed(texts))
    found = [frame.total for frame in selection.curves]
    assert found == pytest.approx(expected.tolist(), abs=1e-6)
    assert str(head) in selection.notes[0]
    assert not any("no trained head" in note for note in selection.notes)


def test_a_head_is_read_back_with_its_card(head: Path) -> None:
    read, card = load_head(head)
    assert card == replace(CARD_OF_TESTS, shape=SHAPE)
    for name, weight in ImportanceHead(SHAPE, seed=3).state_dict().items():
        assert torch.equal(read.state_dict()[name], weight)


def test_a_head_of_other_embeddings_is_refused_before_anything_is_captioned(
    tmp_path: Path,
) -> None:
    wide = replace(SHAPE, d_in=40)
    folder = save_head(ImportanceHead(wide), tmp_path, replace(CARD_OF_TESTS, shape=wide))
    with pytest.raises(ModelError, match=r"length 40 by tiny, .* have length 32; give that"):
        choose(head=str(folder))
    save_head(ImportanceHead(SHAPE), folder, CARD_OF_TESTS)
    with pytest.raises(ModelError, match=r"llmvs\.answer=none, .* is generate; set it to none"):
        choose(head=str(folder), answer="generate")


def test_a_broken_head_is_one_line_that_says_what_to_do(head: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no head that can be read .* give a folder"):
        load_head(tmp_path)
    (tmp_path / CARD).write_text((head / CARD).read_text())
    (tmp_path / WEIGHTS).write_bytes((head / WEIGHTS).read_bytes()[:500])  # half a file
    with pytest.raises(ModelError, match="holds no head that can be read"):
        load_head(tmp_path)


def test_what_is_missing_is_an_error_of_the_run_and_not_of_the_video() -> None:
    with pytest.raises(ModelError, match=r"set llmvs\.model \(--language-model\)"):
        choose(model=None)
    with pytest.raises(ModelError, match="no captioner was given; name one"):
        choose(captioner=None)
    with pytest.raises(InputError, match="window 4 is not odd"):
        choose(window=4)


def test_blank_frames_are_noted_and_a_blank_video_is_an_error() -> None:
    selection = choose(pictures(RED, BLACK, BLUE))
    assert any("wrote no caption for 2 of 6 frames, such as frame" in n for n in selection.notes)
    assert any("fewer than the 7 of a window" in note for note in selection.notes)
    with pytest.raises(InputError, match="wrote no caption for any of 3 frames; give another"):
        choose(pictures(BLACK))


def test_equal_importance_is_spread_evenly_and_noted() -> None:
    selection = choose(pictures(RED, each=40), window=1)
    assert any("same importance" in note for note in selection.notes)
    gaps = np.diff([-0.5, *selection.pts_seconds, 10.5])
    assert gaps.max() < 2 * gaps.min() + 0.6


def test_the_cheap_form_needs_a_head_of_its_own(head: Path) -> None:
    with pytest.raises(ModelError, match=r"llmvs\.reading=windows"):
        choose(head=str(head), reading="pass")


def test_importance_is_finite_and_of_one_length() -> None:
    rows = torch.arange(2), torch.arange(2.0).double()
    with pytest.raises(InputError, match="1 of 2 that are not"):
        Importance(torch.tensor([0.5, torch.nan]), *rows, "model")
    with pytest.raises(InputError, match="one length"):
        Importance(torch.tensor([0.5]), *rows, "model")


def test_importance_stands_in_for_the_text_of_keyscore() -> None:
    """Eq. 1 without eq. 4, worked out again; the text of the call changes nothing."""
    config = {"guide": "importance", "llmvs": {"model": language_model_folder()}}
    sampler = get_sampler(
        "keyscore", config=config, encoder=ColourEncoder(), captioner=ColourDescriber()
    )
    selection = sampler(VIDEO, num_frames=3, fps=FPS)
    marks = [frame.total for frame in choose().curves]
    vectors = torch.tensor(VIDEO[::2, 0, 0].astype(np.float64)) + 1
    units = vectors / vectors.norm(dim=1, keepdim=True)
    temporal = units @ (units.mean(0) / units.mean(0).norm())

    def stretch(values: Tensor) -> Tensor:
        return (values - values.min()) / (values.max() - values.min())

    total = 0.6 * stretch(torch.tensor(marks).double()) + 0.1 * stretch(temporal)
    assert [frame.total for frame in selection.curves] == pytest.approx(total.tolist(), abs=1e-5)
    assert all(frame.drop == 0 for frame in selection.curves)
    assert len(selection.frame_captions) == len(selection) == 3
    assert (selection.caption, selection.question) == (None, None)
    assert sampler(VIDEO, num_frames=3, fps=FPS, caption="red").indices == selection.indices
    with pytest.raises(InputError, match="which only the sampler keyscore does"):
        get_sampler("topk", config=config, encoder=ColourEncoder())(VIDEO, caption="red", fps=FPS)
