"""The published selectors as samplers: what they note, record and ask of the encoder."""

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from keyscore_plugin import SamplerConfig, Selection, get_sampler, list_samplers
from keyscore_plugin.baselines.aks import PUBLISHED, AksPaperSampler, aks
from keyscore_plugin.baselines.bolt import BoltSampler, BoltSettings
from keyscore_plugin.baselines.focus import FocusSampler
from keyscore_plugin.baselines.iframes import iframes
from keyscore_plugin.baselines.katna import KatnaSampler, KatnaSettings
from keyscore_plugin.baselines.random_frames import RandomSampler, RandomSettings
from keyscore_plugin.baselines.wfs_sb import WfsSbSampler, WfsSbSettings
from keyscore_plugin.config import EncodeConfig, GridConfig
from keyscore_plugin.errors import InputError, MissingDependencyError
from keyscore_plugin.registries import SAMPLERS, load
from keyscore_plugin.samplers.grid import rebatch
from keyscore_plugin.types import Embeddings, Frames
from keyscore_plugin.types.spacing import uniform_indices
from keyscore_plugin.video.source import open_video
from tests.support.clips import Clip
from tests.support.colour_encoder import ColourEncoder

CLIP = Clip("many_colours.mp4", n_frames=96, gop=12)
EVERY_FRAME = SamplerConfig(grid=GridConfig(sample_fps=25))


@pytest.fixture(scope="module")
def video(clip_path: Callable[[Clip], Path]) -> Path:
    return clip_path(CLIP)


def sample(name: str, video: Path, num_frames: int) -> Selection:
    sampler = get_sampler(name, config=EVERY_FRAME, encoder=ColourEncoder())
    return sampler(video, num_frames=num_frames, caption="red")


@pytest.mark.parametrize("num_frames", [16, 24])
def test_aks_paper_finds_none_and_says_that_it_takes_even_frames(
    video: Path, num_frames: int
) -> None:
    sampler = AksPaperSampler(EVERY_FRAME, encoder=ColourEncoder())
    selection = sampler(video, num_frames=num_frames, caption="red")
    scores = torch.tensor([frame.semantic or 0.0 for frame in selection.curves])
    assert len(aks(scores, num_frames=num_frames, settings=PUBLISHED)) == 0
    assert f"found 0 of {num_frames} frames; like its evaluation code" in selection.notes[0]
    times = torch.tensor([f.pts_seconds for f in selection.curves], dtype=torch.float64)
    even = uniform_indices(times, num_frames).tolist()
    assert selection.indices == [selection.curves[row].index for row in even]


def test_aks_paper_stands_where_it_finds_all(video: Path) -> None:
    selection = sample("aks-paper", video, 32)
    assert len(selection) == 32
    assert selection.notes == ()


@pytest.mark.parametrize(("num_frames", "n_added"), [(8, 0), (11, 3)])
def test_aks_notes_what_was_added(video: Path, num_frames: int, n_added: int) -> None:
    notes = sample("aks", video, num_frames).notes
    assert any(f"{n_added} of 11 frames were added" in note for note in notes) == bool(n_added)


def test_bolt_notes_the_draws_it_makes_again(video: Path) -> None:
    sharp = BoltSampler(EVERY_FRAME, settings=BoltSettings(power=60), encoder=ColourEncoder())
    notes = sharp(video, num_frames=24, caption="red").notes
    assert any("draws of BOLT repeated a frame" in note for note in notes)
    flat = BoltSampler(EVERY_FRAME, settings=BoltSettings(power=0), encoder=ColourEncoder())
    assert flat(video, num_frames=8, caption="red").notes == ()


def test_wfs_sb_notes_that_it_takes_dropped_parts_back(video: Path) -> None:
    picky = WfsSbSampler(
        EVERY_FRAME, settings=WfsSbSettings(drop_deviations=0.0), encoder=ColourEncoder()
    )
    (note,) = picky(video, num_frames=95, caption="red").notes
    kept = re.match(r"WFS-SB keeps parts of (\d+) frames, and 95 were asked for; the parts", note)
    assert kept is not None
    n_kept = int(kept[1])
    assert picky(video, num_frames=n_kept, caption="red").notes == ()
    assert len(picky(video, num_frames=n_kept + 1, caption="red").notes) == 1


def test_maxinfo_notes_what_lies_past_its_tolerance(video: Path) -> None:
    assert sample("maxinfo", video, 3).notes == ()
    (note,) = sample("maxinfo", video, 90).notes
    assert re.match(r"\d+ of 90 frames were added past the tolerance", note)


def test_a_method_without_its_packages_is_refused_at_once() -> None:
    class Lacking(RandomSampler):
        packages = ("no_such_package",)

    with pytest.raises(MissingDependencyError, match=r"keyscore-plugin\[baselines\]"):
        Lacking()


def settings_in(cell: str) -> dict[str, str]:
    return dict(re.findall(r"`(\w+)=([^`]+)`", cell))


def test_the_table_of_published_samplers_has_each_with_its_defaults() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (Path(__file__).parents[3] / "docs" / "samplers.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    cells = {row[0].strip("`"): row[2] for row in rows}
    published = [name for name, place in SAMPLERS.items() if ".baselines." in place]
    assert sorted(cells) == sorted(published)
    for name, cell in cells.items():
        base = re.match(r"as `([\w-]+)`, but ", cell)
        told = {**(settings_in(cells[base[1]]) if base else {}), **settings_in(cell)}
        defaults = getattr(load("sampler", name), "defaults", None)
        has = {} if defaults is None else asdict(defaults)
        assert told == {key: str(value) for key, value in has.items()}, name


class ColourBlind(ColourEncoder):
    """Sees no difference between frames."""

    def encode_frames(self, frames: Frames) -> Embeddings:
        seen = super().encode_frames(frames)
        return replace(seen, vectors=torch.eye(3)[:1].expand(len(frames), 3))


def test_mdp3_notes_the_copies_that_it_has_to_take(video: Path) -> None:
    assert sample("mdp3", video, 4).notes == ()
    blind = get_sampler("mdp3", encoder=ColourBlind())  # 8 frames of a grid: one segment
    assert blind(video, num_frames=1, caption="red").notes == ()
    (note,) = blind(video, num_frames=4, caption="red").notes
    assert note.startswith("3 of 4 frames are copies of chosen ones")


def test_settings_come_by_the_constructor_and_are_recorded(video: Path) -> None:
    first = RandomSampler(settings=RandomSettings(seed=1))(video, num_frames=8)
    second = RandomSampler(settings=RandomSettings(seed=2))(video, num_frames=8)
    assert first.indices != second.indices
    assert first.config["method"] == {"seed": 1}
    assert Selection.from_json(first.to_json()).config == first.config


def test_focus_embeds_only_what_it_scores(video: Path) -> None:
    encoder = ColourEncoder()
    selection = FocusSampler(EVERY_FRAME, encoder=encoder)(video, num_frames=4, caption="red")
    assert encoder.n_encoded == len(selection.curves) < selection.n_grid == 96


def test_katna_looks_at_every_frame_or_at_the_grid(video: Path) -> None:
    assert KatnaSampler()(video, num_frames=4).n_grid == 96
    on_grid = KatnaSampler(settings=KatnaSettings(every_frame=False))
    assert on_grid(video, num_frames=4).n_grid == 8  # 3.84 s at two frames a second


@pytest.mark.parametrize("chunk_frames", [7, 24, 95, 96])
def test_katna_sees_every_frame_whatever_the_chunks(video: Path, chunk_frames: int) -> None:
    with open_video(video) as source:
        batches = source.thumbnails(torch.arange(96), short_side=16)
        chunks = list(rebatch(batches, chunk_frames))
    assert [len(chunk) for chunk in chunks[:-1]] == [chunk_frames] * (len(chunks) - 1)
    assert torch.cat([chunk.indices for chunk in chunks]).tolist() == list(range(96))


def test_maxinfo_reads_no_text(video: Path) -> None:
    sampler = get_sampler("maxinfo", encoder=ColourEncoder())
    assert not sampler.needs_text
    assert len(sampler(video, num_frames=4)) == 4


def test_iframes_are_the_keyframes_then_even_ones(video: Path) -> None:
    selection = sample("iframes", video, 8)
    assert selection.indices == list(range(0, 96, 12))
    assert selection.notes == ()
    more = sample("iframes", video, 10)
    assert set(range(0, 96, 12)) < set(more.indices)
    assert "2 of 10 frames were added evenly" in more.notes[0]


def test_iframes_are_thinned_evenly() -> None:
    keyframes = torch.arange(0, 96, 12)
    assert iframes(keyframes, torch.arange(96.0), num_frames=2).tolist() == [24, 72]


@pytest.mark.parametrize("name", ["aks", "bolt", "mdp3", "qframe", "wfs-sb", "maxinfo"])
def test_max_encoded_bounds_the_encoder_here_too(name: str, video: Path) -> None:
    encoder = ColourEncoder()
    config = SamplerConfig(grid=GridConfig(sample_fps=25), encode=EncodeConfig(max_encoded=20))
    get_sampler(name, config=config, encoder=encoder)(video, num_frames=4, caption="red")
    assert encoder.n_encoded == 20


@pytest.mark.parametrize("name", sorted(set(list_samplers()) - {"keyscore", "llmvs", "topk"}))
def test_a_method_that_needs_a_budget_refuses_a_threshold(name: str, video: Path) -> None:
    with pytest.raises(InputError, match=f"{name} ranks no frames"):
        get_sampler(name, encoder=ColourEncoder())(video, threshold=0.5, caption="red")
