"""The needle evaluation: its figures by hand, its splits, its camera."""

from pathlib import Path
from typing import cast

import pytest

from evals.harness.cells import Cell
from evals.needle.asks import ASKS, Ask, ask_for
from evals.needle.joins import asked_of
from evals.needle.lines import SAID, lines_of, with_subtitles
from evals.needle.metrics import Figures, judge, mean_figures
from evals.needle.protocol import NeedleEvaluation
from evals.needle.sources import FOOTAGE, HELD_OUT, HELD_OUT_2, SPLITS, TUNING, Split
from evals.needle.sweep import settings
from evals.needle.unpacked import Unpacked
from keyscore_plugin.config import EncodeConfig, SamplerConfig
from keyscore_plugin.timed_texts.subtitles import read_subtitle_file
from keyscore_plugin.video.samples.joined import Needle, NeedleVideo
from keyscore_plugin.video.samples.sources import Footage, Source, Still, crop_around

NEEDLE = Needle("a cat", spans=((10.0, 12.0),))


def test_other_sentences_or_stretches_make_another_run() -> None:
    needles = [NEEDLE, Needle("a dog", NEEDLE.spans), Needle("a cat", ((10.0, 12.5),))]
    runs = [NeedleEvaluation("own", [NeedleVideo(Path("a.mp4"), (one,))]) for one in needles]
    assert len({str(run.settings()) for run in runs}) == 3


def _width(dataset: str, captions: list[str]) -> float:
    """Of an interval over two videos; each sentence is found or not, in both alike."""
    needles = tuple(Needle(caption, NEEDLE.spans) for caption in captions)
    videos = [NeedleVideo(Path(f"{name}.mp4"), needles) for name in ("one", "two")]
    found = [[float(row % 2)] * 5 for row in range(len(captions))]
    records = {video.path.stem: {"figures": {"topk@1": found}} for video in videos}
    (row,) = NeedleEvaluation(dataset, videos).rows(records, [Cell("topk", num_frames=1)])
    hit = row.figures["hit"]
    assert (row.n, hit.value) == (2 * len(captions), 0.5)
    assert hit.low is not None
    assert hit.high is not None
    return hit.high - hit.low


def test_intervals_resample_sentences_where_videos_share_them_and_else_videos() -> None:
    captions = [str(number) for number in range(16)]
    # 16 sentences, half of them found: a binomial of 16, not of 32.
    assert _width("held-out", captions) == pytest.approx(2 * 1.96 * 0.125, abs=0.03)
    assert _width("qvhighlights", captions) == 0.0  # both videos gave the same


@pytest.mark.parametrize(
    ("pts_seconds", "expected"),
    [
        # Moments at 10.25, 10.75, 11.25, 11.75.
        ([11.0], Figures(1.0, 1.0, 1.0, 1.0, 1.0)),
        ([10.0], Figures(1.0, 1.0, 0.5, 1.0, 1.0)),
        ([9.0, 11.75], Figures(0.5, 1.0, 0.75, 1.0, 1.0)),
        ([8.5], Figures(0.0, 0.0, 0.0, 0.25, 1.0)),
        ([12.0], Figures(0.0, 0.0, 0.5, 1.0, 1.0)),  # the end belongs to the next clip
        ([0.0, 6.5, 17.0, 20.0], Figures(0.0, 0.0, 0.0, 0.0, 0.75)),
    ],
)
def test_figures_agree_with_a_table_worked_by_hand(
    pts_seconds: list[float], expected: Figures
) -> None:
    assert judge(pts_seconds, NEEDLE) == expected


def test_moments_are_the_middles_of_half_seconds() -> None:
    assert Needle("a cat", ((3.0, 4.7),)).moments == pytest.approx([3.25, 3.75, 4.25])


def test_a_clip_shorter_than_a_moment_has_one() -> None:
    assert Needle("a cat", ((3.0, 3.1),)).moments == [3.25]


def test_a_needle_in_two_places_is_covered_in_both() -> None:
    twice = Needle("a cat", ((0.0, 1.0), (20.0, 21.0)))
    assert twice.moments == [0.25, 0.75, 20.25, 20.75]
    assert judge([0.5, 50.0], twice) == Figures(0.5, 1.0, 0.5, 0.5, 0.5)


def test_mean_figures_are_means_of_each_column() -> None:
    mean = mean_figures([Figures(1.0, 1.0, 0.5, 1.0, 1.0), Figures(0.5, 0.0, 0.0, 0.5, 1.0)])
    assert mean == Figures(0.75, 0.5, 0.25, 0.75, 1.0)


def test_the_asks_by_hand() -> None:
    clips = tuple(Needle(name, ((start, start + 5.0),)) for start, name in enumerate("abcdabcd"))
    video = NeedleVideo(Path("a.mp4"), clips)
    assert ask_for(video, "one") == video
    for ask, n in (("two", 2), ("three", 3)):
        asked = ask_for(video, cast(Ask, ask)).needles
        assert len(asked) == 8
        assert all(len(set(one.spans)) == len(one.texts) == n for one in asked)
        assert ask_for(video, cast(Ask, ask)).needles == asked
    every = ask_for(video, "every").needles
    assert [one.caption for one in every] == ["a", "b", "c", "d"]
    assert every[0].spans == ((0.0, 5.0), (4.0, 9.0))
    assert {one.spans for one in ask_for(video, "global").needles} == {((0.0, 12.0),)}


def test_a_line_is_said_in_the_clip_that_its_question_is_about(tmp_path: Path) -> None:
    clips = tuple(Needle("a", ((4.0 * n, 4.0 * n + 4.0),)) for n in range(16))
    video = NeedleVideo(tmp_path / "a.mp4", clips)
    said = with_subtitles(video, lines_of("said", 16, order=3))
    assert said.subtitles is not None
    lines = read_subtitle_file(said.subtitles).lines
    asked = ask_for(said, "said", seed=3).needles
    questions = {line.words: line.question for line in SAID}
    assert len({needle.caption for needle in asked}) == 16
    for line, needle in zip(lines, asked, strict=True):
        ((start, end),) = needle.spans
        assert (line.start, line.end) == (start + 1, end - 1)
        assert questions[line.text] == needle.caption


def test_a_hit_of_several_clips_is_all_of_them_and_of_appearances_their_share() -> None:
    two = Needle("a", ((0.0, 5.0), (20.0, 25.0)), more=("b",))
    times = [1.0, 9.0]
    hits = [judge(times, two, ask=ask).hit for ask in ASKS]
    assert dict(zip(ASKS, hits, strict=True)) == {
        "one": 1.0, "two": 0.0, "three": 0.0, "every": 0.5, "hour": 1.0, "global": 1.0,
        "said": 1.0, "written": 1.0,
    }  # fmt: skip
    assert judge([1.0, 21.0], two, ask="two").hit == 1.0


def test_the_splits_share_no_caption_and_no_frame_with_those_of_tuning() -> None:
    def shown(source: Source) -> set[tuple[str, object]]:
        if isinstance(source, Unpacked):
            return {(source.file, frame) for frame in range(*(source.frames or (0, 1)))}
        if isinstance(source, Still):
            return {(source.package, source.file)}
        assert isinstance(source, Footage)
        return {(source.sample, frame) for frame in range(*source.frames)}

    def all_shown(*splits: Split) -> set[tuple[str, object]]:
        return {one for split in splits for source in split.sources for one in shown(source)}

    assert not all_shown(HELD_OUT) & all_shown(TUNING)
    assert not all_shown(HELD_OUT_2) & all_shown(TUNING, FOOTAGE, HELD_OUT)
    captions = [source.caption for split in SPLITS.values() for source in split.sources]
    assert len(set(captions)) == len(captions)


def test_crop_is_16_to_9_and_inside_the_picture() -> None:
    for size in [(512, 512), (1000, 300), (300, 1000)]:
        for focus in [(0.0, 0.0), (0.5, 0.5), (1.2, 1.0)]:
            left, top, right, bottom = crop_around(size, focus, scale=0.7)
            assert (right - left) / (bottom - top) == pytest.approx(16 / 9)
            assert left >= 0
            assert top >= 0
            assert right <= size[0] + 1e-6
            assert bottom <= size[1] + 1e-6


def test_the_sweep_changes_one_stage_at_a_time() -> None:
    default = SamplerConfig()
    (label, first), *others = settings()
    assert (label, first) == ("default", default)
    for _, config in others:
        changed = [
            config.encode != default.encode,
            config.score != default.score,
            config.select != default.select,
        ]
        # STACFP's settings also with few frames embedded, next to the row that varies only those.
        with_few = config.proposal != default.proposal and config.encode == EncodeConfig(32)
        assert sum([*changed, config.proposal != default.proposal]) == 1 + with_few
        assert config.grid == default.grid


def test_the_calls_of_joins_have_the_texts_that_their_names_say() -> None:
    captions = ("a dog runs", "a cat and its kitten sleep in a box", "a red car", "a bird")
    needles = tuple(Needle(text, ((5.0 * n, 5.0 * n + 5),)) for n, text in enumerate(captions))
    calls = dict(reversed([*asked_of(NeedleVideo(Path("a.mp4"), needles), order=0)]))
    assert {kind: len(asked.texts) for kind, asked in calls.items()} == {
        "two: a list": 2,
        "two: a list, `any`": 2,
        "two: `then`, in their order": 2,
        "two: mean of the scores": 2,
        "two: one text with an `and`": 1,
        "two: the same, `split=parts`": len(calls["two: the same, `split=parts`"].texts),
        "one": 1,
        "one, and a question that names nothing there": 2,
        "the same, mean of the scores": 2,
        "one, in a sentence with a conjunction": 1,
        "the same, `split=parts`": 2,
        "four options, one of them there": 5,
        "the same, as one text": 1,
    }
    then = calls["two: `then`, in their order"]
    assert [*then.texts] == sorted(then.texts, key=captions.index)
    assert calls["four options, one of them there"].needle.caption in (
        calls["four options, one of them there"].texts
    )
