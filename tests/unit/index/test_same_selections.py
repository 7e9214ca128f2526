"""A selection with an index is bit for bit the one without; the second question decodes nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keyscore_plugin import Sampler, Selection, get_sampler, list_samplers, sample_video
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.hosts import QUERY_RULES, Fold, HostProfile, HostRequest, SamplerPool, choose
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.samplers.within import within
from keyscore_plugin.video.decoders.base import ScannedSource
from keyscore_plugin.video.decoders.scan import Scan, scan
from tests.support.colour_encoder import ColourEncoder
from tests.support.tiny.encoders import save_clip

# Fewer frames are embedded than the grid has: which ones depends on the text.
CONFIG = {"grid": {"sample_fps": 6}, "encode": {"max_encoded": 13}, "proposal": {"k_max": 6}}
TEXTS = ("a dog on a bike", "two red cars", "a dog on a bike")
NOT_INDEXED = ("iframes", "katna", "katna-fixed", "kframes", "llmvs", "random", "uniform")
CASES = [(name, "fps") for name in list_samplers() if name not in NOT_INDEXED]
CASES += [("keyscore", "keyframes"), ("stacfp", "keyframes"), ("topk", "keyframes")]
CASES += [("clips", "refine"), ("keyscore", "refine"), ("topk", "refine")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("clip")
    save_clip(folder)
    return str(folder)


@contextmanager
def counted_decodes() -> Iterator[list[int]]:
    """The number of thumbnails that decoders are asked for inside the block."""
    asked: list[int] = []
    real = ScannedSource._thumbnails

    def counting(self: ScannedSource, rows: Any, size: Any) -> Any:
        asked.append(len(rows))
        return real(self, rows, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScannedSource, "_thumbnails", counting)
        yield asked


@contextmanager
def counted_scans() -> Iterator[list[str]]:
    """The files that are scanned inside the block."""
    scanned: list[str] = []

    def counting(path: str, number: int | None = None) -> Scan:
        scanned.append(path)
        return scan(path, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keyscore_plugin.video.decoders.base.scan", counting)
        yield scanned


def told(selection: Selection) -> dict[str, Any]:
    """A selection without its times of work."""
    values: dict[str, Any] = json.loads(selection.to_json())
    del values["seconds"]
    return values


def sampler(name: str, encoder: str, grid: str, index: Path | None) -> Sampler:
    config = SamplerConfig.of({**CONFIG, "grid": {**CONFIG["grid"], "kind": grid}})
    return get_sampler(name, config=config, encoder=encoder, device="cpu", index=index)


@pytest.mark.parametrize(("name", "grid"), CASES)
def test_every_question_has_the_selection_it_has_without(
    name: str, grid: str, encoder: str, tmp_path: Path
) -> None:
    plain, indexed = (sampler(name, encoder, grid, index) for index in (None, tmp_path))
    video = sample_video("bikes")
    for text in TEXTS:
        first, second = (one(video, num_frames=3, question=text) for one in (plain, indexed))
        assert told(first) == told(second)
    if grid != "refine":  # whose second look depends on the text
        with counted_decodes() as decoded:
            indexed(video, num_frames=5, question=TEXTS[0])
        assert decoded == []


def test_a_part_of_a_video_is_kept_as_a_part(encoder: str, tmp_path: Path) -> None:
    plain, indexed = (sampler("keyscore", encoder, "fps", index) for index in (None, tmp_path))
    video = sample_video("bikes")
    for start in (0.0, 2.0, 2.0):
        parts = (within(one, start_seconds=start, end_seconds=7.5) for one in (plain, indexed))
        first, second = (part(video, num_frames=3, question=TEXTS[0]) for part in parts)
        assert told(first) == told(second)
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 2


def test_a_harmed_file_is_made_anew_and_a_note_says_so(encoder: str, tmp_path: Path) -> None:
    plain, indexed = (sampler("topk", encoder, "fps", index) for index in (None, tmp_path))
    video = sample_video("bikes")
    wanted = told(plain(video, num_frames=3, question=TEXTS[0]))
    indexed(video, num_frames=3, question=TEXTS[0])
    (file,) = tmp_path.glob("*/*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    second, third = (told(indexed(video, num_frames=3, question=TEXTS[0])) for _ in range(2))
    assert second.pop("notes") == [f"the index file {file} was cut or changed: it was made anew"]
    assert third == wanted
    assert {**second, "notes": wanted["notes"]} == wanted


def test_nothing_of_another_version_is_used(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the table of frames, by which the video would be opened."""
    video = sample_video("bikes")
    sampler("topk", encoder, "fps", tmp_path)(video, num_frames=3, question=TEXTS[0])
    monkeypatch.setattr("keyscore_plugin.index.video_index.VERSION", "another")
    with counted_decodes() as decoded, counted_scans() as scanned:
        sampler("topk", encoder, "fps", tmp_path)(video, num_frames=3, question=TEXTS[0])
    assert len(decoded) == len(scanned) == 1


def test_another_video_under_the_same_name_is_another_video(encoder: str, tmp_path: Path) -> None:
    plain, indexed = (sampler("topk", encoder, "fps", index) for index in (None, tmp_path / "i"))
    video = tmp_path / "video.mp4"
    for name in ("bikes", "carphone"):
        video.write_bytes(sample_video(name).read_bytes())
        first, second = (one(video, num_frames=3, question=TEXTS[0]) for one in (plain, indexed))
        assert told(first) == told(second)


def test_a_folder_that_cannot_be_written_costs_a_note(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("keyscore_plugin.index.folder.write_whole", refuse)
    plain, indexed = (sampler("topk", encoder, "fps", index) for index in (None, tmp_path))
    first, second = (
        told(one(sample_video("bikes"), num_frames=3, question=TEXTS[0]))
        for one in (plain, indexed)
    )
    (note,) = second.pop("notes")
    assert note.startswith(f"the index {tmp_path} cannot be written (Permission denied)")
    assert {**second, "notes": first["notes"]} == first


def test_what_has_no_file_or_no_name_is_looked_at_without_an_index(
    encoder: str, tmp_path: Path
) -> None:
    pixels = np.zeros((3, 40, 60, 3), dtype=np.uint8)
    indexed = sampler("topk", encoder, "fps", tmp_path)
    notes = indexed(pixels, fps=2, num_frames=2, question=TEXTS[0]).notes
    assert any("the index keeps videos of files" in note for note in notes)
    own = get_sampler("topk", encoder=ColourEncoder(), index=tmp_path)
    (note,) = own(sample_video("bikes"), num_frames=2, question="a red car").notes
    assert "the index keeps no embeddings of colour: it was given as an object" in note
    assert list(tmp_path.iterdir()) == []


def test_the_bytes_of_a_video_are_found_by_their_content(encoder: str, tmp_path: Path) -> None:
    indexed = sampler("topk", encoder, "fps", tmp_path)
    indexed(sample_video("bikes"), num_frames=3, question=TEXTS[0])
    with counted_decodes() as decoded:
        indexed(sample_video("bikes").read_bytes(), num_frames=3, question=TEXTS[1])
    assert decoded == []


def test_a_filled_index_answers_every_first_question(encoder: str, tmp_path: Path) -> None:
    for name in ("keyscore", "topk", "stacfp"):
        filling = sampler(name, encoder, "fps", tmp_path)
        assert isinstance(filling, SamplerTemplate)
        assert filling.fill_index(sample_video("bikes")) == ()
        with counted_decodes() as decoded:
            for text in TEXTS:
                filling(sample_video("bikes"), num_frames=3, question=text)
        assert decoded == []


def test_a_host_opens_and_answers_from_the_index(encoder: str, tmp_path: Path) -> None:
    host = HostProfile(rule=QUERY_RULES["transformers"], allowed_by="", give_text="")
    asked = HostRequest(
        video=str(sample_video("bikes")), sampler="keyscore", num_frames=3, question=TEXTS[0]
    )
    chosen = []
    for index in (None, tmp_path, tmp_path):
        config = SamplerConfig.of(CONFIG).with_index(index)
        pool = SamplerPool(encoder=encoder, config=config, device="cpu")
        fold = Fold(frames_per_patch=1, spacing_seconds=0.5)
        with counted_decodes() as decoded, counted_scans() as scanned:
            chosen.append(choose(asked, host=host, samplers=pool, fold=fold))
    assert (decoded, scanned) == ([], [])
    assert told(chosen[0].selection) == told(chosen[1].selection) == told(chosen[2].selection)
    assert chosen[0].pixels.equal(chosen[2].pixels)
