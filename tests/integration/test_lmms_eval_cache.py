"""What the planner of a run caches, and the subtitles that it gives to the sampler."""

import json
from pathlib import Path

from keyscore_lmms_eval.arguments import SamplerArguments
from keyscore_lmms_eval.documents import VideoSpan
from keyscore_lmms_eval.planning import Planner
from keyscore_lmms_eval.precomputed import Wanted
from keyscore_plugin.hosts import Fold
from tests.support.requires import require_or_skip
from tests.support.tiny.encoders import save_clip
from tests.support.tiny.videos import numbered_video


def was_cached(folder: Path) -> bool:
    """Whether a new process would find the frames of the clip; chosen with the encoder there."""
    arguments = SamplerArguments(
        sampler="topk", encoder=str(folder / "clip"), cache=str(folder / "cache")
    )
    planner = Planner(arguments, budget=4, fold=Fold(), captioner=None, device="cpu")
    video = str(folder / "a.mp4")
    wanted = Wanted(task="tiny", doc_id=0, ids=frozenset(), video=video, question="red?")
    plan = planner.plan(wanted, VideoSpan(video))
    assert plan.chosen is not None, plan.error
    return plan.chosen.cached


def test_frames_chosen_with_other_weights_of_the_same_name_are_not_found(tmp_path: Path) -> None:
    require_or_skip("torchvision")
    numbered_video(tmp_path / "a.mp4", n=20, fps=10)
    save_clip(tmp_path / "clip")
    assert [was_cached(tmp_path) for _ in range(2)] == [False, True]
    save_clip(tmp_path / "clip")
    assert [was_cached(tmp_path) for _ in range(2)] == [False, True]


def test_the_subtitles_of_a_cut_video_are_read_at_its_place_in_the_whole_one(
    tmp_path: Path,
) -> None:
    require_or_skip("torchvision")
    video = numbered_video(tmp_path / "a.mp4", n=20, fps=10)
    save_clip(tmp_path / "clip")
    cue = {"start": "00:01:40.500", "end": "00:01:41.000", "line": "The train to Lyon leaves."}
    (tmp_path / "a_en.json").write_text(json.dumps([cue]))
    arguments = SamplerArguments(
        sampler="topk", encoder=str(tmp_path / "clip"), cache="none", subtitles=str(tmp_path)
    )
    planner = Planner(arguments, budget=2, fold=Fold(), captioner=None, device="cpu")
    origins = []
    for start in (100.0, None):
        wanted = Wanted(
            task="tiny",
            doc_id=0,
            ids=frozenset(),
            video=str(video),
            question="Who says that the train leaves?",
            subtitles_start=start,
        )
        plan = planner.plan(wanted, VideoSpan(str(video)))
        chosen = plan.chosen and plan.chosen.selection
        origins.append(chosen and [text.origin for text in chosen.texts])
        assert (plan.error is None) == (start == 100)
    assert origins == [["given", "said"], None]
