"""Subtitles that score: where they are heard, and when the picture alone scores."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from keyscore_plugin import Selection, get_sampler
from keyscore_plugin.encoders.conse.minilm import MiniLM
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts.cache import subtitles_key
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.samplers.within import within
from keyscore_plugin.timed_texts.line_scores import LineScores
from keyscore_plugin.types import SubtitleFile, SubtitlesFrom, TextEmbedding, TimedText
from keyscore_plugin.video.samples import sample_video
from tests.support.colour_encoder import ColourEncoder
from tests.support.spoken import TRAIN, speech_model, spoken_video
from tests.support.tiny.encoders import save_clip

WORDS = {
    (1, 3): "We sold the bakery to my cousin in March.",
    (5, 7): "The train to Lyon leaves from platform nine.",
}
SAID = "Who says that the train leaves?"


def cue(start: int, words: str) -> str:
    return f"1\n00:00:0{start},000 --> 00:00:0{start + 2},000\n{words}\n\n"


SRT = "".join(cue(start, words) for (start, _), words in WORDS.items())


class AnyWord(ColourEncoder):
    """Reads a text without a colour word as "white"."""

    def encode_text(self, text: str) -> TextEmbedding:
        return super().encode_text(f"{text} white")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Ten seconds of traffic, without anything beside them."""
    return Path(shutil.copy(sample_video("bikes"), tmp_path / "bikes.mp4"))


def choose(video: Path, name: str = "keyscore", **call: Any) -> Selection:
    return get_sampler(name, encoder=AnyWord())(video, **{"num_frames": 2, **call})


def heard(selection: Selection, start: float, end: float) -> bool:
    times = (seconds - selection.start_pts_seconds for seconds in selection.pts_seconds)
    return any(start - 0.5 <= seconds <= end + 0.5 for seconds in times)


@pytest.mark.parametrize("name", ["keyscore", "topk", "bolt", "clips"])
def test_the_moment_in_which_a_thing_is_said_is_chosen(video: Path, name: str) -> None:
    subtitles = video.with_name("other.srt")
    subtitles.write_text(SRT)
    selection = choose(video, name, question=SAID, subtitles=subtitles)
    assert heard(selection, 5, 7)
    assert [text.origin for text in selection.texts] == ["given", "said"]
    assert Selection.from_json(selection.to_json()).texts == selection.texts


def test_a_file_next_to_the_video_scores_only_if_the_text_is_about_speech(video: Path) -> None:
    picture = {"question": "a white train on the left"}
    without = choose(video, **picture)
    video.with_suffix(".srt").write_text(SRT)
    assert choose(video, question=SAID).texts
    assert not choose(video, question=SAID, subtitles=False).texts
    assert choose(video, **picture).to_dict() | {"seconds": {}} == without.to_dict() | {
        "seconds": {}
    }


@pytest.mark.parametrize("content", [b"no subtitles at all", SRT.replace("00:00:0", "09:00:0")])
def test_a_file_next_to_the_video_that_cannot_be_used_is_noted(
    video: Path, content: bytes | str
) -> None:
    """It was not asked for; a file that was given is an error."""
    beside = video.with_suffix(".srt")
    beside.write_bytes(content.encode() if isinstance(content, str) else content)
    selection = choose(video, question=SAID)
    assert selection.texts == ()
    assert selection.subtitles is None
    assert [n for n in selection.notes if "bikes.srt next to the video do not score: " in n]
    for given in (True, beside):
        with pytest.raises(InputError, match="subtitles"):
            choose(video, question=SAID, subtitles=given)


def test_a_question_is_about_speech_as_a_whole(video: Path) -> None:
    """The word about speaking may stand outside of the parts that the picture is compared with."""
    video.with_suffix(".srt").write_text(SRT)
    sampler = get_sampler("topk", encoder=AnyWord(), config={"split": "parts"})
    question = 'Who says "the train leaves" and who says "the bakery in March"?'
    assert sampler(video, num_frames=2, question=question).subtitles is not None


def test_only_the_lines_of_a_part_score_in_it(video: Path) -> None:
    """The lines after its end do not belong to another video."""
    video.with_suffix(".srt").write_text(SRT)
    sampler = get_sampler("keyscore", encoder=AnyWord())
    about, after = (
        within(sampler, start_seconds=start, end_seconds=end)(video, num_frames=2, question=SAID)
        for start, end in ((4, 8), (0, 0.9))
    )
    assert heard(about, 5, 7)
    assert about.notes == ()
    assert after.texts == ()
    assert [note for note in after.notes if "no line of the subtitles is heard from 0.0 to" in note]


def test_lines_of_a_longer_video_are_placed_where_this_one_starts(video: Path) -> None:
    """Its other lines are no error, also if none of them is heard in this video."""
    file = video.with_name("longer_en.json")
    cues = [
        {"timestamp": [start + 100, end + 100], "text": words}
        for (start, end), words in WORDS.items()
    ]
    file.write_text(json.dumps([*cues, {"timestamp": [500, None], "text": "Goodbye."}]))
    inside = choose(video, question=SAID, subtitles=SubtitlesFrom(file, 100))
    assert heard(inside, 5, 7)
    assert inside.notes == ()
    before = choose(video, question=SAID, subtitles=SubtitlesFrom(file, 40))
    assert [
        note for note in before.notes if "no line of the subtitles is heard from 0.0 to" in note
    ]
    keys = [subtitles_key(video, SubtitlesFrom(file, start)) for start in (100, 40)]
    assert len({*map(str, [*keys, subtitles_key(video, file)])}) == 3
    with pytest.raises(InputError, match="start_seconds must be a finite number, got nan"):
        SubtitlesFrom(file, float("nan"))
    with pytest.raises(InputError, match="path of subtitles must be a path, got None; give"):
        SubtitlesFrom(None, 100)  # type: ignore[arg-type]


def test_lines_about_something_else_leave_the_picture_alone(video: Path) -> None:
    picture = {"question": "a white cup of coffee"}
    without = choose(video, **picture)
    video.with_suffix(".srt").write_text(SRT)
    selection = choose(video, **picture, subtitles=True)
    assert selection.indices == without.indices
    assert "no line that is said is about the text, so what is said does not score" in (
        selection.notes
    )
    assert selection.subtitles == SubtitleFile(
        "bikes.srt", hashlib.sha256(SRT.encode()).hexdigest()
    )
    assert Selection.from_json(selection.to_json()).subtitles == selection.subtitles


def test_a_word_about_speaking_counts_only_if_a_line_is_about_the_text(video: Path) -> None:
    picture = {"question": "a man in a white bow tie talks in the back of a car"}
    subtitles = video.with_name("other.srt")
    subtitles.write_text(cue(5, "The bridge will be closed for repairs."))
    selection = choose(video, **picture, subtitles=subtitles)
    assert selection.indices == choose(video, **picture).indices
    assert selection.texts == ()
    subtitles.write_text(cue(5, "He talks to a man with a bow tie in his car."))
    assert choose(video, **picture, subtitles=subtitles).texts


def test_frames_that_are_heard_are_embedded_though_few_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (400, 16, 16, 3), dtype=np.uint8)
    subtitles = tmp_path / "a.srt"
    subtitles.write_text(SRT.replace("00:00:05", "00:02:35").replace("00:00:07", "00:02:37"))
    sampler = get_sampler("keyscore", encoder=AnyWord(), config={"encode": {"max_encoded": 20}})
    selection = sampler(pixels, fps=2, num_frames=4, question=SAID, subtitles=subtitles)
    assert heard(selection, 155, 157)


@pytest.mark.slow
def test_what_is_heard_scores_and_an_index_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_clip(tmp_path)
    video, config = spoken_video(tmp_path / "a.mkv"), {"heard": speech_model()}
    make = partial(get_sampler, "topk", encoder=str(tmp_path), config=config, device="cpu")
    selection = make()(video.read_bytes(), num_frames=2, question=SAID)
    assert heard(selection, *TRAIN)
    assert [text.origin for text in selection.texts] == ["given", "said"]
    indexed = make(index=tmp_path / "index")
    assert isinstance(indexed, SamplerTemplate)
    assert indexed.fill_index(video) == ()
    monkeypatch.setattr("keyscore_plugin.samplers.said.hear", None)
    assert indexed(video, num_frames=2, question=SAID).indices == selection.indices


def test_the_score_of_a_line_fades_outside_of_it() -> None:
    lines = [TimedText(start, end, words) for (start, end), words in WORDS.items()]
    device = torch.device("cpu")
    scores = LineScores.of([SAID], lines, channel="said", start_pts_seconds=10.0, device=device)
    inside, end, after, far = scores.at(torch.tensor([16.0, 17.0, 18.0, 30.0]))[0].tolist()
    assert inside == end > after > far
    assert after == pytest.approx(end * np.exp(-1), abs=0.02)
    assert scores.weights.tolist() == [1]


def test_the_score_of_a_time_does_not_depend_on_the_other_times_asked_for() -> None:
    starts = torch.arange(0, 9000, 3, dtype=torch.float64)
    cosines = torch.rand(2, len(starts), generator=torch.manual_seed(0))
    scores = LineScores(cosines, starts, starts + 2, torch.ones(2), "said")
    times = torch.arange(-300, 9600, 30, dtype=torch.float64)
    each = torch.cat([scores.at(time) for time in times[:, None]], dim=1)
    assert torch.equal(scores.at(times), each)
    assert float(each[:, 0].max()) == 0 < float(each[:, 10].min())


def test_the_lines_of_a_video_are_embedded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[str] = []
    real = MiniLM.embed

    def counting(self: MiniLM, texts: Sequence[str]) -> torch.Tensor:
        embedded.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(MiniLM, "embed", counting)
    lines = [TimedText(1, 3, "Nobody asked for this line before.")]
    for text in ("a dog", "a cat"):
        LineScores.of(
            [text], lines, channel="said", start_pts_seconds=0, device=torch.device("cpu")
        )
    assert embedded == ["Nobody asked for this line before.", "a dog", "a cat"]


@pytest.mark.parametrize("subtitles", [3, b"a.srt", ["a.srt"]])
def test_what_is_no_subtitle_file_is_named(video: Path, subtitles: object) -> None:
    with pytest.raises(InputError, match="subtitles must be a path, True or False, got"):
        choose(video, question=SAID, subtitles=subtitles)
