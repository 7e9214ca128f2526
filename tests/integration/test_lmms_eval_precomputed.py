"""``sampler=precomputed``: our own and four published kinds of files, found for each document."""

import json
from pathlib import Path
from typing import Any

import pytest

from keyscore_lmms_eval.precomputed import Precomputed, Wanted, selection_of
from keyscore_lmms_eval.selection_files import document_ids
from keyscore_plugin import get_sampler, open_video
from keyscore_plugin.errors import InputError
from tests.support.tiny.videos import numbered_video

DOCS: list[dict[str, Any]] = [
    {"question_id": "Q0", "video_name": "a.mp4", "question": "What happens?\n(A) x\n(B) y"},
    {"question_id": "Q1", "video_name": "a.mp4", "question": "Who is it?\n(A) x\n(B) y"},
    {"question_id": "Q2", "video_name": "b.mp4", "question": "What happens?\n(A) x\n(B) y"},
]
FRAMES = [[3, 10, 11], [0, 5, 19], [2, 4, 8]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("precomputed")
    for name in ("a", "b"):
        numbered_video(folder / f"{name}.mp4", n=20, fps=10)
    return folder


def wanted(folder: Path, doc_id: int) -> Wanted:
    doc = DOCS[doc_id]
    return Wanted(
        task="tiny",
        doc_id=doc_id,
        ids=document_ids(doc),
        video=str(folder / doc["video_name"]),
        question=doc["question"],
    )


def aks() -> Any:
    return FRAMES


def bolt() -> Any:
    """Seconds, below the stem of the video; of a question only its first line."""
    by_video: dict[str, list[dict[str, Any]]] = {}
    for doc, frames in zip(DOCS, FRAMES, strict=True):
        by_video.setdefault(doc["video_name"][:-4], []).append(
            {
                "question_id": doc["video_name"],
                "question": doc["question"].split("\n")[0],
                "frames": [round(frame / 10, 2) for frame in frames],
            }
        )
    return by_video


def tspo() -> Any:
    """Whole numbers that are written as floats, in a field of the document."""
    pairs = zip(DOCS, FRAMES, strict=True)
    return [{**doc, "frame_idx": [float(f) for f in frames]} for doc, frames in pairs]


def wfs() -> Any:
    pairs = zip(DOCS, FRAMES, strict=True)
    return [{**doc, "keyframe_indices": frames} for doc, frames in reversed(list(pairs))]


def batch() -> Any:
    """The lines of ``keyscore batch``, which number themselves from 1."""
    return [
        {"id": n, "video": doc["video_name"], "question": doc["question"], "indices": frames}
        for n, (doc, frames) in enumerate(zip(DOCS, FRAMES, strict=True), start=1)
    ]


def log() -> Any:
    """Our own log of another run."""
    return [
        {"task": "tiny", "doc_id": n, "video": f"/far/{doc['video_name']}", "indices": frames}
        for n, (doc, frames) in enumerate(zip(DOCS, FRAMES, strict=True))
    ]


def write(path: Path, content: Any, *, lines: bool) -> Path:
    text = "\n".join(map(json.dumps, content)) + "\n" if lines else json.dumps(content)
    path.write_text(text)
    return path


@pytest.mark.parametrize("kind", [aks, bolt, tspo, wfs, batch, log], ids=lambda f: f.__name__)
def test_every_document_gets_its_own_frames(kind: Any, folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "frames.json", kind(), lines=kind in (batch, log))
    precomputed = Precomputed(file)
    for doc_id, frames in enumerate(FRAMES):
        place = wanted(folder, doc_id)
        with open_video(place.video) as source:
            selection = selection_of(precomputed.find(place), source)
        assert selection.indices == frames
        assert selection.pts_seconds == pytest.approx([frame / 10 for frame in frames])
        assert selection.notes == ()


def test_a_selection_of_ours_goes_in_as_it_is(folder: Path, tmp_path: Path) -> None:
    selection = get_sampler("uniform")(folder / "a.mp4", num_frames=4)
    file = write(tmp_path / "one.jsonl", [{"id": 1, **selection.to_dict()}], lines=True)
    entry = Precomputed(file).find(wanted(folder, 0))
    with open_video(folder / "a.mp4") as source:
        assert selection_of(entry, source).indices == selection.indices


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (FRAMES[:2], "a list of 2"),
        ([{**DOCS[0], "frame_idx": [1]}], "of 0 entries for this video none fits"),
        ([{**DOCS[2], "question_id": "Q9", "question": "Other?", "frame_idx": [1]}], "none fits"),
        (
            [{"video": "b", "indices": [1]}, {"video": "b", "indices": [2]}],
            "of 2 entries for this video 2 differ",
        ),
    ],
)
def test_a_document_without_an_entry_is_named(
    content: Any, message: str, folder: Path, tmp_path: Path
) -> None:
    precomputed = Precomputed(write(tmp_path / "frames.json", content, lines=False))
    with pytest.raises(InputError, match=rf"no entry for document 2 of tiny .*{message}"):
        precomputed.find(wanted(folder, 2))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"indices": [3, 20]}, "frames 3 to 20, but .* has 20; was it made for another file"),
        ({"indices": []}, "has no frames"),
        ({"error": "cannot read a.mp4"}, "is an error: cannot read a.mp4"),
    ],
)
def test_frames_that_are_not_in_the_video_are_refused(
    entry: dict[str, Any], message: str, folder: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "frames.jsonl", [{"video": "a.mp4", **entry}], lines=True)
    found = Precomputed(file).find(wanted(folder, 0))
    with open_video(folder / "a.mp4") as source, pytest.raises(InputError, match=message):
        selection_of(found, source)


def test_unsorted_and_repeated_frames_are_put_right_with_a_note(
    folder: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "frames.jsonl", [{"video": "a", "indices": [9, 2, 9]}], lines=True)
    with open_video(folder / "a.mp4") as source:
        selection = selection_of(Precomputed(file).find(wanted(folder, 0)), source)
    assert selection.indices == [2, 9]
    assert selection.notes == ("3 precomputed frames, sorted, are 2 different ones",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds no selections"),
        ("{", "neither JSON nor JSON lines"),
        ('[{"video": "a"}]', "an entry without any of indices"),
        ('[{"video": "a", "indices": [0.5]}]', "are no indices"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "frames.json").write_text(text)
    with pytest.raises(InputError, match=message):
        Precomputed(tmp_path / "frames.json")
    with pytest.raises(InputError, match="cannot read"):
        Precomputed(tmp_path / "absent.json")
