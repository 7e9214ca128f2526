"""evals.retrieval on small data sets of the exact formats, real clips and the real encoder.

What is expected is worked out here from the encoder's own vectors, by numpy, scipy and
scikit-learn; nothing of evals.retrieval is used for it.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn.preprocessing import normalize

from evals.harness.figures import Floats
from evals.retrieval.__main__ import main
from keyscore_plugin import SamplerConfig, get_sampler, open_video
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding
from tests.support.colour_encoder import ColourEncoder
from tests.support.real_clips import find
from tests.support.retrieval_data import (
    copy_beginning,
    write_didemo,
    write_msrvtt,
    write_msvd,
    write_scenes,
)

pytestmark = pytest.mark.slow

Choose = Callable[[Path], Sequence[int]]
Scenes = list[tuple[str, float]]

SPARSE = {"grid": {"sample_fps": 1.0}}  # each frame that is embedded costs time
LEAK = "ground-truth caption: a leak, upper bound only"
# Some of them are alike, and some show something else for half of the time.
VIDEOS: dict[str, Scenes] = {
    "video7010": [("tabby cat", 2)],
    "video7011": [("craters", 2), ("brown dog", 1)],
    "video7012": [("spotted dog", 2)],
    "video7013": [("two birds", 1), ("page of printed", 2)],
    "video7014": [("eagle", 2)],
    "video7015": [("strawberries", 1), ("craters", 2)],
}
SAYINGS = {
    "video7010": ["a cat looks into the camera", "the face of a pet"],
    "video7011": ["a dog", "the moon", "a dog stands next to a man"],
    "video7012": ["a dog", "a dog sniffs"],
    "video7013": ["birds sit on a wire"],
    "video7014": ["an animal in the air", "a bird of prey flies"],
    "video7015": ["red fruit", "food on a board"],
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("conse", device="cpu")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    for name, scenes in VIDEOS.items():
        write_scenes(folder / f"{name}.mp4", scenes)
    return {name: folder / f"{name}.mp4" for name in VIDEOS}


def fill(folder: Path, clips: dict[str, Path]) -> None:
    for path in clips.values():
        (folder / path.name).symlink_to(path)


def run(
    dataset: str, root: Path, *arguments: str, encoder: Encoder | None = None
) -> list[dict[str, Any]]:
    out = root / "out"
    given = [f"--root={root}", f"--dataset={dataset}", "--encoder=conse", "--device=cpu"]
    assert main([*given, f"--out={out}", *arguments], encoder=encoder) == 0
    rows: list[dict[str, Any]] = json.loads((out / "result.json").read_text())["rows"]
    return rows


def row_of(rows: Sequence[dict[str, Any]], **labels: Any) -> dict[str, float]:
    """The figures of the one row with these labels."""
    (row,) = (r for r in rows if all(r["labels"][name] == v for name, v in labels.items()))
    return {name: figure["value"] for name, figure in row["figures"].items()}


def embed(encoder: Encoder, path: Path, indices: Sequence[int]) -> Floats:
    """The unit vector of the mean of these frames' unit vectors."""
    with open_video(path) as source:
        vectors = encoder.encode_frames(source.read(list(indices))).vectors
    return np.asarray(normalize(vectors.double().numpy().mean(0, keepdims=True))[0])


def embed_text(encoder: Encoder, text: str) -> Floats:
    return encoder.encode_text(text).vector.double().numpy()


def figures_of(similarity: Floats, owner: Sequence[int], *, ties: str) -> dict[str, float]:
    """Ranks by scipy: ``min`` gives equal ones the better place, ``max`` the worse."""
    method = {"optimistic": "min", "pessimistic": "max"}[ties]
    t2v = [rankdata(-row, method=method)[own] for row, own in zip(similarity, owner, strict=True)]
    v2t = []
    for video, column in enumerate(similarity.T):
        own = [row for row, belongs in enumerate(owner) if belongs == video]
        # Its best caption among those of the others: its further ones are no competitors.
        best = max(own, key=lambda row: column[row])
        kept = [best, *(row for row in range(len(column)) if row not in own)]
        v2t.append(rankdata(-column[kept], method=method)[0])
    return {
        f"{name} {figure}": value
        for name, ranks in (("t2v", np.array(t2v)), ("v2t", np.array(v2t)))
        for figure, value in {
            "R@1": 100 * np.mean(ranks == 1),
            "R@5": 100 * np.mean(ranks < 6),
            "R@10": 100 * np.mean(ranks < 11),
            "MedR": np.median(ranks),
            "MeanR": np.mean(ranks),
        }.items()
    }


def assert_both_ways(
    rows: Sequence[dict[str, Any]], similarity: Floats, owner: Sequence[int], **labels: Any
) -> None:
    """Every row of one cell, against scipy."""
    # Equal captions have equal rows: sums of another order differ in a last bit.
    similarity = similarity.round(9)
    by_caption, by_video = (similarity * softmax(100 * similarity, axis=axis) for axis in (0, 1))
    for ties in ("optimistic", "pessimistic"):
        expected = figures_of(similarity, owner, ties=ties)
        mine = row_of(rows, **{"dual softmax": "no", "ties": ties}, **labels)
        assert {name: mine[name] for name in expected} == pytest.approx(expected)
        expected = {
            **figures_of(by_video, owner, ties=ties),
            **{n: v for n, v in figures_of(by_caption, owner, ties=ties).items() if "t2v" in n},
        }
        mine = row_of(rows, **{"dual softmax": "yes, transductive", "ties": ties}, **labels)
        assert {name: mine[name] for name in expected} == pytest.approx(expected)


def every_middle(k: int) -> Choose:
    """The frames in the middle of k equal parts; the clips have an even rate."""

    def choose(path: Path) -> list[int]:
        with open_video(path) as source:
            return [int((i + 0.5) / k * source.n_frames) for i in range(k)]

    return choose


def test_msrvtt_without_a_text(
    tmp_path: Path, clips: dict[str, Path], encoder: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    captions = {name: find(scenes[-1][0]).caption for name, scenes in VIDEOS.items()}
    fill(write_msrvtt(tmp_path, captions), clips)
    rows = run("msrvtt", tmp_path, "--sampler=uniform@2,stacfp@own,keyscore:T@1")
    texts = np.stack([embed_text(encoder, caption) for caption in captions.values()])
    choices: dict[str, Choose] = {
        "uniform": every_middle(2),
        "stacfp": lambda path: get_sampler("stacfp")(path).indices,
        "keyscore:T": lambda path: by_time_alone(path, encoder),
    }
    n_frames = np.mean([15 if len(scenes) > 1 else 10 for scenes in VIDEOS.values()])
    for sampler, choose in choices.items():
        chosen = {name: choose(path) for name, path in clips.items()}
        videos = np.stack([embed(encoder, clips[name], rows) for name, rows in chosen.items()])
        assert_both_ways(rows, texts @ videos.T, range(6), sampler=sampler, setting="query-free")
        figures = row_of(rows, sampler=sampler, ties="optimistic", **{"dual softmax": "no"})
        n_selected = np.mean([len(indices) for indices in chosen.values()])
        assert figures["ASF"] == pytest.approx(n_selected)
        assert figures["FRR-UFP"] == pytest.approx(1 - n_selected / 8)
        assert figures["FRR-Avg"] == pytest.approx(1 - n_selected / n_frames)
    assert {row["labels"]["dataset"] for row in rows} == {"msrvtt, 6 of 1000 videos"}
    assert "| query-free | uniform | 2 |" in capsys.readouterr().out


def by_time_alone(path: Path, encoder: Encoder) -> list[int]:
    """The grid frame nearest to the mean of the grid (eq. 3): all of it is embedded."""
    with open_video(path) as source:
        n_grid = round(2 * source.duration_seconds)
        grid = every_middle(n_grid)(path)
        (thumbnails,) = source.thumbnails(grid, short_side=max(128, encoder.short_side))
        vectors = encoder.encode_frames(thumbnails).vectors.double().numpy()
    return [grid[int((vectors @ vectors.mean(0)).argmax())]]


def test_msvd_with_a_generated_caption_and_with_the_leak(
    tmp_path: Path, clips: dict[str, Path], encoder: Encoder
) -> None:
    fill(write_msvd(tmp_path, SAYINGS), clips)
    rows = run(
        "msvd",
        tmp_path,
        "--sampler=uniform@1,topk@1",
        "--setting=caption,leak",
        "--captioner=labels",
        f"--config={json.dumps(SPARSE)}",
    )
    said = [(video, text) for video, texts in enumerate(SAYINGS.values()) for text in texts]
    owner = [video for video, _ in said]
    texts = np.stack([embed_text(encoder, text) for _, text in said])
    for setting, sampler, options, given in (
        ("query-free", "uniform", {}, dict.fromkeys(SAYINGS)),
        ("generated caption", "topk", {"captioner": "labels"}, dict.fromkeys(SAYINGS)),
        (LEAK, "topk", {}, {name: texts[0] for name, texts in SAYINGS.items()}),
    ):
        chooses = get_sampler(
            sampler,
            encoder=encoder,
            device="cpu",
            config=SamplerConfig.from_dict(SPARSE),
            **options,
        )
        videos = np.stack(
            [
                embed(encoder, path, chooses(path, num_frames=1, caption=given[name]).indices)
                for name, path in clips.items()
            ]
        )
        assert_both_ways(rows, texts @ videos.T, owner, sampler=sampler, setting=setting)
    assert {row["n"] for row in rows} == {len(said)}
    assert len(rows) == 3 * 4
    (journal,) = (tmp_path / "out").glob("records-*.jsonl")
    for record in map(json.loads, journal.read_text().splitlines()):
        chosen_by = {s: tried["caption"] for s, tried in record["cells"]["topk@1"].items()}
        assert chosen_by["leak"] == SAYINGS[record["id"]][0]
        assert chosen_by["caption"].startswith("A video that seems to show")
        assert record["cells"]["uniform@1"]["free"]["caption"] is None


def test_a_threshold_takes_what_scores_and_says_how_many(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    fill(write_msrvtt(tmp_path, {"video7011": "a brown dog"}), clips)
    rows = run("msrvtt", tmp_path, "--sampler=keyscore:S", "--setting=leak", "--threshold=0,0.5,1")
    frames = [
        row_of(rows, threshold=threshold, ties="optimistic", **{"dual softmax": "no"})["ASF"]
        for threshold in (0.0, 0.5, 1.0)
    ]
    # The whole grid, the frames with the dog, the best of them.
    assert frames[0] == 6
    assert frames[0] > frames[1] > frames[2] == 1


def test_ties_of_equal_captions_count_for_us_and_against_us(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    """Two videos are called "a dog": either may come first in the other's list of captions."""
    both = ["video7011", "video7012"]
    fill(write_msvd(tmp_path, {name: ["a dog"] for name in both}), {n: clips[n] for n in both})
    rows = run("msvd", tmp_path, "--sampler=uniform@2")
    ranks = {
        ties: row_of(rows, ties=ties, **{"dual softmax": "no"})["v2t MeanR"]
        for ties in ("optimistic", "pessimistic")
    }
    assert ranks == {"optimistic": 1.0, "pessimistic": 2.0}


def test_the_leak_is_named_in_every_output(tmp_path: Path, clips: dict[str, Path]) -> None:
    one = {"video7010": clips["video7010"]}
    fill(write_msrvtt(tmp_path, {"video7010": "a cat"}), one)
    rows = run("msrvtt", tmp_path, "--sampler=uniform@1,keyscore@1,keyscore@2", "--setting=leak")
    by_sampler = {(row["labels"]["sampler"], row["labels"]["setting"]) for row in rows}
    assert by_sampler == {("uniform", "query-free"), ("keyscore", LEAK)}
    for line in (tmp_path / "out" / "table.md").read_text().splitlines()[2:]:
        assert LEAK in line or "query-free" in line
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["setting"] == {"leak": LEAK}
    # The picture draws its text as paths, each with a comment that says which.
    picture = (tmp_path / "out" / "plot.svg").read_text()
    assert LEAK in picture
    assert "msrvtt, 1 of 1000 videos" in picture


DIDEMO: dict[str, Scenes] = {
    "1@N00_2_a.mp4": [("green spiky", 31), ("strawberries", 4)],
    "3@N00_4_b.mp4": [("eagle", 2), ("green spiky", 2)],
    "5@N00_6_c.mp4": [("strawberries", 3)],
}
DESCRIBED = {
    "1@N00_2_a.mp4": ["a green tree.", "red fruit."],
    "3@N00_4_b.mp4": ["a blue sky.", "a green one."],
    "5@N00_6_c.mp4": ["red fruit."],
}


@pytest.fixture(scope="module")
def long_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The videos of DiDeMo as they are, ``whole``, and as far as they count, ``short``."""
    folder = tmp_path_factory.mktemp("didemo")
    for name in ("whole", "short"):
        (folder / name).mkdir()
    for name, seen in DIDEMO.items():
        write_scenes(folder / "whole" / name, seen, fps=2)
        copy_beginning(folder / "whole" / name, folder / "short" / name, seconds=31)
    return folder


def lay_out_didemo(root: Path, long_clips: Path) -> tuple[list[str], list[Path]]:
    """The data set under ``root``; returns its paragraphs and what its videos count for."""
    folder = write_didemo(root, DESCRIBED)
    for name in DIDEMO:
        (folder / name).symlink_to(long_clips / "whole" / name)
    texts = [" ".join(parts) for parts in DESCRIBED.values()]
    return texts, [long_clips / "short" / name for name in DIDEMO]


def test_didemo_by_its_paragraphs(tmp_path: Path, long_clips: Path, encoder: Encoder) -> None:
    texts, paths = lay_out_didemo(tmp_path, long_clips)
    few = {"grid": {"sample_fps": 0.5}}
    arguments = ["--sampler=uniform@2,keyscore@1", "--setting=leak", f"--config={json.dumps(few)}"]
    rows = run("didemo", tmp_path, *arguments)
    vectors = np.stack([embed_text(encoder, text) for text in texts])
    for name, k, setting in (("uniform", 2, "query-free"), ("keyscore", 1, LEAK)):
        sampler = get_sampler(
            name, encoder=encoder, device="cpu", config=SamplerConfig.from_dict(few)
        )
        videos = np.stack(
            [
                embed(encoder, path, sampler(path, num_frames=k, caption=text).indices)
                for path, text in zip(paths, texts, strict=True)
            ]
        )
        assert_both_ways(rows, vectors @ videos.T, range(3), sampler=name, setting=setting)
        figures = row_of(rows, sampler=name, ties="optimistic", **{"dual softmax": "no"})
        assert figures["FRR-Avg"] == pytest.approx(1 - k / np.mean([62, 8, 6]))


def test_didemo_ends_after_31_seconds_and_every_query_may_choose(
    tmp_path: Path, long_clips: Path
) -> None:
    encoder = ColourEncoder()  # for each query anew, by a real one, would take half a minute
    texts, paths = lay_out_didemo(tmp_path, long_clips)
    few = {"grid": {"sample_fps": 0.5}, "select": {"policy": "top"}}
    rows = run(
        "didemo",
        tmp_path,
        "--sampler=uniform@1,katna@2,keyscore:S@1",
        "--setting=pair",
        f"--config={json.dumps(few)}",
        encoder=encoder,
    )
    vectors = np.stack([embed_text(encoder, text) for text in texts])
    only_s = {**few, "score": {"alpha": 1.0, "beta": 0.0, "gamma": 0.0}}
    samplers = {
        "uniform": (get_sampler("uniform"), 1),
        "katna": (get_sampler("katna"), 2),
        "keyscore:S": (
            get_sampler("keyscore", encoder=encoder, config=SamplerConfig.from_dict(only_s)),
            1,
        ),
    }
    for name, (sampler, k) in samplers.items():
        similarity = np.array(
            [
                [
                    vector @ embed(encoder, path, sampler(path, num_frames=k, caption=text).indices)
                    for path in paths
                ]
                for text, vector in zip(texts, vectors, strict=True)
            ]
        )
        setting = "every query chooses" if name == "keyscore:S" else "query-free"
        assert_both_ways(rows, similarity, range(3), sampler=name, setting=setting)
    figures = row_of(rows, sampler="uniform", ties="optimistic", **{"dual softmax": "no"})
    assert figures["FRR-Avg"] == pytest.approx(1 - 1 / np.mean([62, 8, 6]))


def test_a_video_that_is_not_there_is_one_line_or_left_out_by_name(
    tmp_path: Path, clips: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    fill(write_msrvtt(tmp_path, {"video7010": "a cat", "video9": "a dog", "video8": "x"}), clips)
    command = [f"--root={tmp_path}", "--dataset=msrvtt", "--encoder=conse", "--sampler=uniform@1"]
    command.append(f"--out={tmp_path / 'out'}")
    assert main(command) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("retrieval: 2 of 3 files are not under")
    assert "MSRVTT_Videos/video9.mp4" in error
    assert len(error.splitlines()) == 1
    assert main([*command, "--leave-out=video9,video8"]) == 0
    table = capsys.readouterr().out
    assert "msrvtt, 1 of 1000 videos" in table
    assert "Left out by name: video9, video8." in table


def test_a_left_out_video_takes_its_queries_with_it(
    tmp_path: Path, clips: dict[str, Path], encoder: Encoder
) -> None:
    captions = {"video7012": "a dog", "video9": "a cat", "video7014": "a bird"}
    fill(write_msrvtt(tmp_path, captions), clips)
    rows = run(
        "msrvtt",
        tmp_path,
        "--leave-out=video9",
        "--sampler=topk@1",
        "--setting=pair,leak",
        f"--config={json.dumps(SPARSE)}",
    )
    kept = ["video7012", "video7014"]
    chooses = get_sampler("topk", encoder=encoder, config=SamplerConfig.from_dict(SPARSE))
    similarity = np.empty((2, 2))
    for row, column in np.ndindex(2, 2):
        text, path = captions[kept[row]], clips[kept[column]]
        indices = chooses(path, num_frames=1, caption=text).indices
        similarity[row, column] = embed_text(encoder, text) @ embed(encoder, path, indices)
    assert_both_ways(rows, similarity, range(2), setting="every query chooses")
    assert {row["n"] for row in rows} == {2}
    assert {row["labels"]["dataset"] for row in rows} == {"msrvtt, 2 of 1000 videos"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--sampler=keyscore@2"], "keyscore@2 reads a text"),
        (["--sampler=keyscore:S+T@2"], "use keyscore:T"),
        (
            ["--sampler=keyscore:T@2", '--config={"score": {"pooling": "text"}}'],
            "keyscore:T@2 reads a text",
        ),
        (["--sampler=keyscore@2", "--setting=caption"], "--captioner labels"),
        (["--setting=oracle"], "--setting 'oracle': name some of free, caption, pair, leak"),
        (["--setting="], "name some of"),
        (["--setting=leak,leak"], "name some of"),
        (["--sampler=uniform", "--threshold=0.5"], "uniform@t0.5"),
        (
            ["--sampler=keyscore:T@1", '--config={"encode": {"max_encoded": 4}}'],
            '"max_encoded": 6',
        ),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    tmp_path: Path,
    clips: dict[str, Path],
    arguments: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(write_msrvtt(tmp_path, {"video7015": "fruit"}), clips)
    given = [f"--root={tmp_path}", "--dataset=msrvtt", "--encoder=conse", f"--out={tmp_path}/out"]
    assert main([*given, *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("retrieval: ")
    assert named in error


class Grey:
    """An encoder that no name stands for: how dark a frame is, and which word a text is."""

    name = "grey"
    device = torch.device("cpu")
    short_side = 32

    def encode_frames(self, frames: Frames) -> Embeddings:
        turn = frames.pixels.float().mean((1, 2, 3)) / 255 * torch.pi / 2
        vectors = torch.stack([turn.cos(), turn.sin()], dim=1).to(self.device)
        return Embeddings(vectors, frames.indices, frames.pts_seconds, self.name)

    def encode_text(self, text: str) -> TextEmbedding:
        vector = torch.tensor({"dark": [1.0, 0.0], "light": [0.0, 1.0]}[text])
        return TextEmbedding(vector, self.name, n_tokens=9, max_tokens=8)


def test_an_encoder_without_a_name_may_be_handed_in(tmp_path: Path) -> None:
    folder = write_msrvtt(tmp_path, {"video1": "dark", "video2": "light"})
    write_scenes(folder / "video1.mp4", [("craters", 1)])
    write_scenes(folder / "video2.mp4", [("page of printed", 1)])
    out = tmp_path / "out"
    command = [f"--root={tmp_path}", "--dataset=msrvtt", f"--out={out}", "--sampler=uniform@1"]
    assert main(command, encoder=Grey()) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["settings"]["encoder"] == "grey"
    figures = row_of(result["rows"], ties="optimistic", **{"dual softmax": "no"})
    assert (figures["t2v R@1"], figures["captions cut %"]) == (100.0, 100.0)


@pytest.mark.parametrize(
    ("dataset", "source", "file"),
    [
        ("msrvtt", "msrvtt_data.zip", "MSRVTT_JSFUSION_test.csv"),
        ("msvd", "msvd_data.zip", "raw-captions.pkl"),
        ("didemo", "LocalizingMoments", "test_data.json"),
    ],
)
def test_a_root_is_asked_for_with_the_source_and_the_layout(
    dataset: str, source: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--dataset={dataset}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("retrieval: --root is missing; ")
    asked, layout = line.split(" and lay them out as ")
    assert source in asked
    assert file in layout
