"""Chapters are scenes that follow one another and look alike."""

import pytest
import torch

from keyscore_plugin.algorithm.chapters import chapters
from keyscore_plugin.errors import InputError


@pytest.mark.parametrize(("n_scenes", "n_chapters"), [(1, 1), (8, 1), (9, 2), (16, 3), (57, 10)])
def test_there_is_a_chapter_for_every_5_7_scenes(n_scenes: int, n_chapters: int) -> None:
    """PeakClips has 108,221 scenes in 19,070 chapters."""
    numbers = chapters(torch.rand(n_scenes, 4, generator=torch.Generator().manual_seed(n_scenes)))
    assert sorted(set(numbers)) == list(range(n_chapters))
    assert numbers == sorted(numbers)
    assert len(numbers) == n_scenes


def test_the_border_is_where_the_picture_changes_for_good() -> None:
    """By hand: the scene 7 is nearer to its neighbours' chapter than the 9s are to the 1s."""
    vectors = torch.tensor([1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 7.0, 9.0, 9.0, 9.0])[:, None]
    assert chapters(vectors) == [0] * 4 + [1] * 7


def test_no_scene_is_refused() -> None:
    with pytest.raises(InputError, match="one scene or more"):
        chapters(torch.zeros(0, 4))
