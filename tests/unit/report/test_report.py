"""The picture: every kind of selection is drawn, in every format, and nothing leaks into it."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from keyscore_plugin.errors import InputError, VideoError
from keyscore_plugin.report import require_report_suffix, style, write_report
from keyscore_plugin.report.sheet import (
    CONTENT_INCHES,
    Sheet,
    glyphs_may_be_missing,
    wrapped,
)
from keyscore_plugin.report.stills import MAX_CHOSEN, lay_out, load_stills
from keyscore_plugin.report.style import runs, time_ticks
from keyscore_plugin.report.text import clips_table, facts, format_time, table, texts
from keyscore_plugin.samplers.base import get_sampler
from keyscore_plugin.samplers.within import within
from keyscore_plugin.types import Caption, Clips, GridInfo, ScoredFrame, Selection
from keyscore_plugin.video.source import open_video
from tests.support.tiny.videos import numbered_video

N_FRAMES, FPS = 120, 10
HOSTILE = 'a $5 "dog" & <script src="http://evil.example/x.js">alert(1)</script> 自転車 🚲'


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "numbered.mp4"
    return numbered_video(path, n=N_FRAMES, fps=FPS, size=(36, 64))


def scored(index: int) -> ScoredFrame:
    x = index / N_FRAMES
    return ScoredFrame(
        index, index / FPS, cluster=index // 40, semantic=x, temporal=1 - x, drop=x, total=x
    )


def selection(video: Path, *, k: int = 4) -> Selection:
    """A keyscore selection of the last ``k`` of 120 scored frames."""
    curves = tuple(scored(index) for index in range(N_FRAMES))
    chosen = curves[N_FRAMES - k :]
    return Selection(
        video=str(video),
        sampler="keyscore",
        config={"guide": "given"},
        num_frames=k,
        indices=[frame.index for frame in chosen],
        pts_seconds=[frame.pts_seconds for frame in chosen],
        scores=[frame.total or 0.0 for frame in chosen],
        caption=Caption("a dog is petted", "given"),
        encoder="conse",
        decoder="pyav",
        duration_seconds=N_FRAMES / FPS,
        average_fps=float(FPS),
        n_frames=N_FRAMES,
        n_frames_counted=True,
        n_grid=24,
        candidates=(curves[20], curves[60], curves[100]),
        curves=curves,
        seconds={"decode": 0.5, "encode": 1.25, "select": 0.001, "total": 1.8},
    )


def unscored(full: Selection, sampler: str) -> Selection:
    candidates = tuple(
        ScoredFrame(frame.index, frame.pts_seconds, frame.cluster) for frame in full.candidates
    )
    return replace(
        full,
        sampler=sampler,
        scores=None,
        caption=None,
        encoder=None,
        curves=(),
        candidates=candidates if sampler == "stacfp" else (),
    )


def cosines_only(full: Selection) -> Selection:
    curves = tuple(
        ScoredFrame(frame.index, frame.pts_seconds, semantic=-0.2, total=-0.2)
        for frame in full.curves
    )
    return replace(
        full, sampler="topk", candidates=(), curves=curves, scores=[-0.2] * len(full.indices)
    )


def with_clips(full: Selection) -> Selection:
    clips = Clips.from_intervals(
        [1, 3, 4],
        [2, 4, 99],
        priorities=[1, 2, 3],
        reasons=["the dog", "", HOSTILE],
        end_seconds=N_FRAMES / FPS,
        origin="predicted",
        model=HOSTILE,
    )
    return replace(cosines_only(full), sampler="clips", clips=clips, fallback=HOSTILE)


def with_captions(full: Selection) -> Selection:
    captions = tuple(f"{HOSTILE} {number} " + "long " * 40 for number in range(len(full)))
    curves = tuple(ScoredFrame(one.index, one.pts_seconds, total=0.4) for one in full.curves)
    return replace(
        full, sampler="llmvs", caption=None, candidates=(), curves=curves, frame_captions=captions
    )


def png_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert np.asarray(image.convert("L")).std() > 10
        return image.size


@pytest.mark.parametrize("k", [1, 9, 100])
def test_any_number_of_chosen_frames_fits_a_page_of_one_width(
    video: Path, tmp_path: Path, k: int
) -> None:
    write_report(selection(video, k=k), tmp_path / "r.png")
    width, height = png_size(tmp_path / "r.png")
    assert width == 2000
    assert 900 < height < 2400


@pytest.mark.parametrize(
    "changed",
    [
        lambda full: unscored(full, "uniform"),
        lambda full: unscored(full, "stacfp"),
        cosines_only,
        with_clips,
        with_captions,
        lambda full: Selection.from_json(full.to_json()),
        lambda full: replace(full, caption=None, question="what is petted?"),
        lambda full: replace(full, caption=Caption(HOSTILE, "generated", "labels")),
        lambda full: replace(full, caption=Caption("word " * 10_000, "given")),
        lambda full: replace(full, caption=Caption("x" * 5_000, "given")),
        lambda full: replace(full, curves=full.curves[:1], candidates=full.candidates[:1]),
    ],
    ids=[
        "uniform",
        "stacfp",
        "topk",
        "clips",
        "llmvs",
        "from-json",
        "question",
        "hostile",
        "long",
        "one-word",
        "one-point",
    ],
)
def test_every_kind_of_selection_is_drawn_without_a_warning(
    video: Path, tmp_path: Path, changed: Callable[[Selection], Selection]
) -> None:
    path = tmp_path / "r.html"
    write_report(changed(selection(video)), path)
    assert path.stat().st_size > 20_000


@pytest.mark.parametrize(
    "text",
    [
        "WIDE LETTERS " * 12,
        "the quick brown fox " * 60,
        "narrow: illill " * 30,
        "one-word-" * 80,
        "自転車に乗る人 " * 40,
        "a\nb\tc",
    ],
)
def test_no_line_of_a_text_is_wider_than_the_page_and_no_word_is_lost(text: str) -> None:
    for size in (style.TITLE, style.SMALL):
        lines = wrapped(text, size=size)
        sheet = Sheet(2.0)
        with glyphs_may_be_missing():
            drawn = [sheet.figure.text(0, 0, line, fontsize=size) for line in lines]
            extents = [text.get_window_extent(dpi=200) for text in drawn]
        assert max(extent.width for extent in extents) / 200 <= CONTENT_INCHES
        assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_report_names_the_whole_file_and_the_whole_caption(tmp_path: Path, video: Path) -> None:
    name = "a very long name of a file " * 8 + "0123456789" * 2 + ".mp4"
    (tmp_path / name).write_bytes(video.read_bytes())
    long = replace(
        selection(tmp_path / name), caption=Caption("a man rides a bicycle; " * 40, "given")
    )
    write_report(long, tmp_path / "long.svg")
    said = re.sub(
        r"\s", "", "".join(re.findall("<!--(.*?)-->", (tmp_path / "long.svg").read_text()))
    )
    assert re.sub(r"\s", "", name) in said
    assert said.count("rides") == 40


def test_portrait_video_keeps_its_shape_and_the_page_its_height(tmp_path: Path) -> None:
    portrait = numbered_video(tmp_path / "tall.mp4", n=N_FRAMES, fps=FPS, size=(128, 32))
    write_report(selection(portrait), tmp_path / "r.png")
    width, height = png_size(tmp_path / "r.png")
    assert width == 2000
    assert height < 2000


@pytest.mark.parametrize("text", ["a dog", "\x1b[31ma\x00dog\x7f\ufffe", "--> ]]> <a> & \udcff"])
def test_the_svg_report_is_one_well_formed_picture(text: str, video: Path, tmp_path: Path) -> None:
    write_report(replace(selection(video), caption=Caption(text, "given")), tmp_path / "r.svg")
    root = ElementTree.fromstring((tmp_path / "r.svg").read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


class Elements(HTMLParser):
    """Collects tags with their attributes, and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_html_report_fetches_nothing_and_escapes_everything(
    video: Path, tmp_path: Path
) -> None:
    hostile = replace(
        selection(video),
        caption=Caption(HOSTILE, "given"),
        notes=("<b>cut</b>",),
        clips=with_clips(selection(video)).clips,
        fallback="<b>no clip</b>",
        config={"guide": "</pre><script>"},
    )
    write_report(hostile, tmp_path / "r.html")
    page = Elements()
    page.feed((tmp_path / "r.html").read_text(encoding="utf-8"))
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "object", "b"} & set(tags)
    sources = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action")
    ]
    assert [source and source[:26] for source in sources] == ["data:image/svg+xml;base64,"]
    assert HOSTILE in page.text
    assert page.text.count(HOSTILE) == 2  # the caption, and the reason of a clip
    assert "<b>cut</b>" in page.text
    assert "<b>no clip</b>" in page.text
    ElementTree.fromstring(base64.b64decode(str(sources[0]).partition(",")[2]))


def test_the_html_report_lists_the_chosen_frames_and_marks_chosen_candidates(
    video: Path, tmp_path: Path
) -> None:
    full = selection(video)
    full = replace(full, candidates=(*full.candidates, full.curves[117]))
    write_report(full, tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<tr><td>117</td><td>0:11.700</td><td>0.975</td></tr>" in html
    assert len(re.findall('<tr class="chosen"><td>117</td>', html)) == 1
    assert html.count('<tr class="chosen">') == 1


@pytest.mark.parametrize("name", ["r.pdf", "r", "r.png.gz", "png"])
def test_another_format_is_refused_by_name(video: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"ends in \.html, \.png, \.svg"):
        require_report_suffix(tmp_path / name)
    with pytest.raises(InputError, match=re.escape(repr(name))):
        write_report(selection(video), tmp_path / name)


def test_an_unwritable_report_and_a_vanished_video_are_clear_errors(
    video: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"cannot write .*r\.svg: No such file or directory"):
        write_report(selection(video), tmp_path / "nowhere" / "r.svg")
    with pytest.raises(VideoError, match=r"gone\.mp4"):
        write_report(selection(tmp_path / "gone.mp4"), tmp_path / "r.png")


def test_stills_carry_the_times_scores_and_clusters_of_their_frames(video: Path) -> None:
    full = selection(video)
    with open_video(video) as source:
        chosen, uniform = load_stills(full, source)
    assert [still.pts_seconds for still in chosen] == pytest.approx(full.pts_seconds)
    assert [still.score for still in chosen] == full.scores
    assert [still.cluster for still in chosen] == [2, 2, 2, 2]
    assert [round(still.pts_seconds * FPS) for still in uniform] == list(range(7, 120, 15))
    assert uniform[0].score == full.curves[7].total


def test_even_frames_of_a_part_are_of_that_part_and_count_from_the_first_frame(
    tmp_path: Path,
) -> None:
    path = numbered_video(tmp_path / "late.mkv", n=40, seconds=[40_000 + i / 10 for i in range(40)])
    held = within(get_sampler("uniform"), start_seconds=1, end_seconds=2.95)
    selection = held(path, num_frames=2)
    with open_video(path) as source:
        chosen, uniform = load_stills(selection, source)
    assert [still.pts_seconds for still in chosen] == pytest.approx([1.5, 2.5])
    assert 1 <= uniform[0].pts_seconds < uniform[-1].pts_seconds <= 2.95
    write_report(selection, tmp_path / "r.html")
    assert "<td>0:01.500</td>" in (tmp_path / "r.html").read_text()
    write_report(replace(selection, sampler="random"), tmp_path / "r.svg")


def test_too_many_chosen_frames_are_thinned_evenly_with_both_ends(video: Path) -> None:
    full = selection(video, k=100)
    with open_video(video) as source:
        chosen, _ = load_stills(full, source)
    times = [round(still.pts_seconds * FPS) for still in chosen]
    assert len(times) == MAX_CHOSEN
    assert (times[0], times[-1]) == (20, 119)
    assert {later - earlier for earlier, later in pairwise(times)} == {1, 2}


@given(st.integers(1, 64), st.floats(0.1, 10))
def test_a_strip_stays_inside_its_width_and_its_frames_do_not_overlap(
    n_stills: int, aspect: float
) -> None:
    strip = lay_out(n_stills, strip_width=9.0, aspect=aspect)
    places = [(strip.top(n), strip.left(n, n_stills)) for n in range(n_stills)]
    assert len(set(places)) == n_stills
    assert all(left > -1e-9 and left + strip.width < 9.0 + 1e-9 for _, left in places)
    assert strip.slot_width > strip.width
    assert all(top + strip.height <= strip.total_height for top, _ in places)
    assert strip.width / strip.height == pytest.approx(aspect)


@given(st.floats(-1e3, 1e5), st.floats(0.04, 1e5))
@example(2.6871001141421523e-06, 21600.0)
def test_time_ticks_are_few_inside_and_all_different(start: float, length: float) -> None:
    ticks = time_ticks(start, start + length)
    assert len(ticks) <= 13
    assert all(start - 1e-6 <= time <= start + length + 1e-6 for time in ticks)
    assert len(set(ticks.values())) == len(ticks)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0.5, 9.5)), min_size=1, max_size=30),
)
def test_stretches_cover_the_line_once_and_neighbours_differ(
    points: list[tuple[int, float]],
) -> None:
    positions = sorted(position for _, position in points)
    stretches = runs([value for value, _ in points], positions, 0.0, 10.0)
    assert (stretches[0][1], stretches[-1][2]) == (0.0, 10.0)
    for (value, _, right), (next_value, left, _) in pairwise(stretches):
        assert right == left
        assert value != next_value


def test_no_point_gives_no_stretch() -> None:
    assert runs([], [], 0.0, 10.0) == []


@given(st.floats(0, 1e6))
def test_a_clock_reads_back_to_the_millisecond(seconds: float) -> None:
    total = 0.0
    for part in format_time(seconds).split(":"):
        total = total * 60 + float(part)
    assert total == pytest.approx(seconds, abs=0.000501)
    assert re.fullmatch(r"(\d+:\d\d|\d+):\d\d\.\d\d\d", format_time(seconds))


def test_the_text_of_a_selection_says_what_was_used(video: Path) -> None:
    full = selection(video, k=2)
    assert table(full).splitlines() == [
        "   index          time   score",
        "     118      0:11.800   0.983",
        "     119      0:11.900   0.992",
    ]
    assert facts(full) == (
        "2 of 120 frames, sampler keyscore, encoder conse, decoder pyav, 24 looked at, "
        "1.80 s (decode 0.50, encode 1.25)"
    )
    refined = replace(full, looked_at=GridInfo("refine", 16, 8))
    assert "decoder pyav, 24 looked at, 8 of them closer, 1.80 s" in facts(refined)
    assert texts(full) == 'caption (given): "a dog is petted"'
    bare = replace(unscored(full, "uniform"), n_frames_counted=False, n_grid=0, question="why?")
    assert table(bare).endswith("     -")
    assert facts(bare).startswith("2 of about 120 frames, sampler uniform, decoder pyav, 1.80 s")
    assert texts(bare) == 'question: "why?"'
    assert clips_table(full) == ""
    clips = with_clips(full).clips
    assert clips is not None
    assert clips_table(replace(full, clips=replace(clips, model="a model"))).splitlines() == [
        "clips (predicted by a model):",
        "    0:01.000 - 0:02.000    priority 1  weight 1  the dog",
        "    0:03.000 - 0:04.000    priority 2  weight 1",
        f"    0:04.000 - 0:12.000    priority 3  weight 1  {HOSTILE}",
    ]


def test_a_selection_read_back_without_curves_shows_its_candidates_alone(
    video: Path, tmp_path: Path
) -> None:
    full = selection(video)
    read_back = Selection.from_dict(json.loads(full.to_json()))
    write_report(full, tmp_path / "full.svg")
    write_report(read_back, tmp_path / "back.svg")
    full_svg, back_svg = ((tmp_path / name).read_text() for name in ("full.svg", "back.svg"))
    assert len(back_svg) < len(full_svg)
