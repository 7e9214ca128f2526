"""Laws of the batch runner: a manifest is refused as a whole, a line is answered once."""

import hashlib
import json
import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.batch.manifest import Item, read_manifest
from keyscore_plugin.batch.run import BatchSummary, Budget, RunSettings, answers_here, run_batch
from keyscore_plugin.config import GridConfig, SamplerConfig
from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.samplers.base import get_sampler
from keyscore_plugin.types import Selection
from tests.support.faulty_sampler import FaultySampler
from tests.support.tiny.videos import numbered_video

BUDGET = Budget(num_frames=2, threshold=None)


def write_lines(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(
    manifest: Path,
    out: Path,
    *,
    budget: Budget = BUDGET,
    changed: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[FaultySampler, BatchSummary]:
    sampler = FaultySampler()
    same = {"sampler": sampler.name, "config": sampler.config.to_dict(), "decoder": "pyav"}
    with Journal(out) as journal:
        summary = run_batch(
            read_manifest(manifest),
            journal,
            answers_here(sampler, budget),
            settings=RunSettings(budget=budget, **{**same, **changed}),
            on_answer=lambda done, total: None,
        )
    return sampler, summary


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_lines(
        tmp_path / "manifest.jsonl",
        {"video": "a.mp4", "caption": "ein Fahrrad, 自転車"},
        {"video": "bad.mp4", "id": "second"},
        {"video": "a.mp4", "question": "where?"},
    )


def test_a_manifest_gives_its_lines_with_line_numbers_as_default_ids(manifest: Path) -> None:
    items = read_manifest(manifest)
    assert [item.id for item in items] == [1, "second", 3]
    assert items[0] == Item(1, "a.mp4", manifest.parent / "a.mp4", caption="ein Fahrrad, 自転車")
    assert items[2].question == "where?"


def test_a_relative_video_starts_at_the_manifests_folder_an_absolute_one_stands(
    tmp_path: Path,
) -> None:
    (tmp_path / "sub").mkdir()
    path = write_lines(tmp_path / "sub" / "m.jsonl", {"video": "x/a.mp4"}, {"video": "/abs/b.mp4"})
    assert [item.path for item in read_manifest(path)] == [
        tmp_path / "sub" / "x" / "a.mp4",
        Path("/abs/b.mp4"),
    ]


def test_blank_lines_and_a_byte_order_mark_and_exotic_line_breaks_are_no_lines(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.jsonl"
    text = '\ufeff{"video": "a.mp4", "caption": "x\u2028y"}\r\n\r\n  \n{"video": "b.mp4"}'
    path.write_text(text, encoding="utf-8", newline="")
    assert [(item.id, item.caption) for item in read_manifest(path)] == [(1, "x\u2028y"), (4, None)]


def test_a_line_may_have_several_texts_and_their_join(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"video": "a.mp4", "question": ["a dog", "a cat"], "join": "then"}')
    (item,) = read_manifest(path, needs_text=True)
    assert (item.caption, item.question, item.join) == (None, ["a dog", "a cat"], "then")


def test_subtitles_of_a_line_lie_where_its_video_does(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(
        '{"video": "a.mp4", "subtitles": "a.srt"}\n{"video": "b.mp4", "subtitles": true}'
    )
    table = tmp_path / "m.csv"
    table.write_text("video,subtitles\na.mp4,a.srt\nb.mp4,true\n")
    for manifest in (path, table):
        first, second = read_manifest(manifest)
        assert (first.subtitles, second.subtitles) == (str(tmp_path / "a.srt"), True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"video": "a.mp4", "question": []}', "line 2: the question is an empty list"),
        ('{"video": "a.mp4", "subtitles": 3}', "line 2: 'subtitles' must be a path, true or false"),
        ('{"video": "a.mp4", "join": "or"}', "line 2: join 'or' is not all"),
        ('{"video": "a.mp4"', r"line 2: not JSON \(Expecting ',' delimiter at column 18\)"),
        ('["a.mp4"]', "line 2: expected an object such as .*, got list"),
        ('{"caption": "x"}', "line 2: 'video' is missing"),
        ('{"video": 3}', "line 2: 'video' must be a text that is not empty, got 3"),
        ('{"video": " "}', "line 2: 'video' must be a text that is not empty, got ' '"),
        ('{"video": "a.mp4", "caption": ""}', "line 2: the caption is empty"),
        ('{"video": "a.mp4", "captoin": "x"}', "line 2: unknown key 'captoin' .did you"),
        ('{"video": "a.mp4", "id": true}', "'id' must be a text or a whole number, got True"),
        ('{"video": "a.mp4", "id": null}', "'id' must be a text or a whole number, got None"),
        ('{"video": "a.mp4", "id": 1}', "line 2: id 1 is taken by line 1"),
        ('{"video": "a.mp4", "start": "1"}', "line 2: the start of .* number of seconds, .* '1'"),
        ('{"video": "a.mp4", "end": NaN}', "line 2: the end of .* got nan"),
        ('{"video": "a.mp4", "start": -2}', "line 2: the start of a part .*, got -2"),
        ('{"video": "a.mp4", "start": 5, "end": 2}', "line 2: a part .* must end after it starts"),
        ('{"video": "a.mp4", "id": ' + "9" * 5000 + "}", "line 2: not JSON that Python reads .Exc"),
        ("[" * 100_000, "line 2: not JSON that Python reads .maximum recursion depth"),
    ],
)
def test_a_malformed_line_refuses_the_manifest_and_is_named(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(f'{{"video": "a.mp4"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_manifest(path)


def test_a_manifest_that_cannot_be_read_is_named_with_the_cause(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl: No such file or directory"):
        read_manifest(tmp_path / "nowhere.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"video": "\xe9.mp4"}\n')
    with pytest.raises(InputError, match="byte 11 is not UTF-8"):
        read_manifest(tmp_path / "latin.jsonl")


def test_a_line_without_a_text_is_refused_where_the_sampler_needs_one(manifest: Path) -> None:
    with pytest.raises(InputError, match="line 2: this sampler needs a text"):
        read_manifest(manifest, needs_text=True)


def test_each_line_is_answered_by_a_selection_or_an_error(manifest: Path, tmp_path: Path) -> None:
    _, summary = run(manifest, tmp_path / "new" / "out.jsonl")
    first, second, third = read_lines(tmp_path / "new" / "out.jsonl")
    assert next(iter(first)) == "id"
    assert (first["id"], first["video"], first["indices"]) == (1, "a.mp4", [1, 2])
    assert first["caption"]["text"] == "ein Fahrrad, 自転車"
    cause = f"cannot read {tmp_path / 'bad.mp4'}: it is broken; give another"
    assert second == {"id": "second", "video": "bad.mp4", "error": cause}
    assert third["question"] == "where?"
    assert summary == BatchSummary(n_lines=3, n_before=0, n_errors=1)


def test_a_record_without_its_id_is_a_selection(manifest: Path, tmp_path: Path) -> None:
    run(manifest, tmp_path / "out.jsonl")
    record = read_lines(tmp_path / "out.jsonl")[0]
    del record["id"]
    assert json.loads(Selection.from_dict(record).to_json()) == record


def test_a_line_may_ask_for_a_part_and_goes_on_with_the_same_part_only(tmp_path: Path) -> None:
    numbered_video(tmp_path / "a.mp4", n=60, size=(36, 64))
    lines: list[dict[str, Any]] = [{"video": "a.mp4", "start": 1, "end": 3.05}]
    lines += [{"video": "a.mp4", "start": 9}, {"video": "a.mp4", "end": 2}]
    sampler, out = get_sampler("uniform"), tmp_path / "out.jsonl"
    run_settings = RunSettings(budget=BUDGET, sampler="uniform", decoder="pyav")

    def answered() -> list[dict[str, Any]]:
        with Journal(out) as journal:
            items = read_manifest(write_lines(tmp_path / "m.jsonl", *lines))
            answers = answers_here(sampler, BUDGET)
            run_batch(
                items, journal, answers, settings=run_settings, on_answer=lambda done, total: None
            )
        return read_lines(out)

    part, beyond, beginning = answered()
    assert part["indices"] == [15, 25]
    assert (part["start_seconds"], part["end_seconds"], part["n_frames"]) == (1, 3.05, 60)
    assert "no frame" in beyond["error"]
    assert "is on show from 9.0 s to its end" in beyond["error"]
    assert (beginning["indices"], beginning["start_seconds"]) == ([5, 15], None)
    assert answered() == [part, beyond, beginning]
    lines[0]["start"] = 2
    with pytest.raises(InputError, match=r"holds id 1 with start 1\.0, this run asks for 2; give"):
        answered()


def test_a_second_run_answers_nothing_again(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run(manifest, out)
    before = out.read_bytes()
    sampler, summary = run(manifest, out)
    assert (sampler.calls, out.read_bytes()) == ([], before)
    assert summary == BatchSummary(n_lines=3, n_before=3, n_errors=1)


def test_a_run_with_the_samplers_own_budget_goes_on(manifest: Path, tmp_path: Path) -> None:
    own = Budget(num_frames=None, threshold=None)
    run(manifest, tmp_path / "out.jsonl", budget=own)
    sampler, _ = run(manifest, tmp_path / "out.jsonl", budget=own)
    assert sampler.calls == []


def test_cut_off_at_any_byte_a_run_ends_with_the_same_lines(manifest: Path, tmp_path: Path) -> None:
    run(manifest, tmp_path / "whole.jsonl")
    whole = (tmp_path / "whole.jsonl").read_bytes()
    out = tmp_path / "out.jsonl"
    ends = [n for n, byte in enumerate(whole) if byte == ord("\n")]
    near_ends = {n + step for n in ends for step in (-1, 0, 1)}
    for n_bytes in sorted({*range(12), *range(0, len(whole), 17), *near_ends}):
        out.write_bytes(whole[:n_bytes])
        sampler, _ = run(manifest, out)
        assert out.read_bytes() == whole, n_bytes
        n_done = len(ends) - len(sampler.calls)  # a line may lack its end alone
        assert n_done == whole[:n_bytes].count(b"\n") + (n_bytes in ends), n_bytes


def test_a_line_added_to_the_manifest_is_the_only_one_answered(
    manifest: Path, tmp_path: Path
) -> None:
    run(manifest, tmp_path / "out.jsonl")
    with manifest.open("a") as file:
        file.write('{"video": "new.mp4"}\n')
    sampler, _ = run(manifest, tmp_path / "out.jsonl")
    assert sampler.calls == ["new.mp4"]


@pytest.mark.parametrize(
    ("lines", "budget", "message"),
    [
        ([{"video": "b.mp4"}], BUDGET, "holds id 1 with video 'a.mp4', this run asks for 'b.mp4'"),
        ([{"video": "a.mp4", "caption": "y"}], BUDGET, "with caption 'x', this run asks for 'y'"),
        ([{"video": "a.mp4"}], BUDGET, "with caption 'x', this run asks for None"),
        (
            [{"video": "a.mp4", "caption": "x"}],
            Budget(num_frames=3, threshold=None),
            "with num_frames 2, this run asks for 3",
        ),
    ],
)
def test_answers_to_something_else_are_not_mixed_in(
    tmp_path: Path, lines: list[dict[str, str]], budget: Budget, message: str
) -> None:
    first = write_lines(tmp_path / "1.jsonl", {"video": "a.mp4", "caption": "x"})
    run(first, tmp_path / "out.jsonl")
    before = (tmp_path / "out.jsonl").read_bytes()
    with pytest.raises(InputError, match=message):
        run(write_lines(tmp_path / "2.jsonl", *lines), tmp_path / "out.jsonl", budget=budget)
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_answers_of_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out.jsonl"
    write_lines(manifest, {"video": "a.mp4"})
    run(manifest, out)
    [record] = read_lines(out)
    generated = {"text": "a dog", "origin": "generated", "model": "labels"}
    write_lines(out, {**record, "encoder": "conse", "caption": generated})
    same = {"encoder": "conse", "captioner": "labels"}
    run(manifest, out, changed=same)
    others = SamplerConfig(grid=GridConfig(kind="keyframes"), guide="both")
    for other, words in (
        ({"encoder": "some/clip"}, "encoder 'conse', this run asks for 'some/clip'"),
        ({"decoder": "decord"}, "decoder 'pyav', this run asks for 'decord'"),
        ({"captioner": None}, "captioner 'labels', this run asks for None"),
        ({"sampler": "topk"}, "sampler 'faulty', this run asks for 'topk'"),
        ({"config": others.to_dict()}, "grid.kind 'fps', this run asks for 'keyframes'"),
        ({"config": {"guide": "both"}}, "guide 'given', this run asks for 'both'"),
        ({"config": {"new": 1}}, "new None, this run asks for 1"),
    ):
        with pytest.raises(InputError, match=f"holds id 1 with {words}; give another --out"):
            run(manifest, out, changed={**same, **other})
    assert len(read_lines(out)) == 1


def test_answers_by_other_subtitles_are_not_mixed_in(tmp_path: Path) -> None:
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out.jsonl"
    write_lines(manifest, {"video": "a.mp4", "question": "Who says so?"})
    run(manifest, out)
    [record] = read_lines(out)
    one, two = (b"1\n00:00:00,000 --> 00:00:01,000\n%s\n" % words for words in (b"Go.", b"Stop."))
    digest = hashlib.sha256(one).hexdigest()
    read = {"name": "a.srt", "digest": digest}
    write_lines(out, {**record, "encoder": "conse", "subtitles": read})
    same = {"encoder": "conse"}
    beside = tmp_path / "a.srt"
    beside.write_bytes(one)
    run(manifest, out, changed=same)
    beside.write_bytes(two)
    digests = f"{digest[:9]}.*, this run asks for .*{hashlib.sha256(two).hexdigest()[:6]}"
    with pytest.raises(InputError, match=f"subtitles .*{digests}"):
        run(manifest, out, changed=same)
    beside.unlink()
    with pytest.raises(InputError, match=r"with subtitles .*, this run asks for None"):
        run(manifest, out, changed=same)
    beside.write_bytes(b"damaged")  # a file that was not asked for and cannot be read
    write_lines(out, {**record, "encoder": "conse", "subtitles": None})
    run(manifest, out, changed=same)
    write_lines(out, {**record, "subtitles": None})  # of a sampler that reads no text
    run(manifest, out)


@pytest.mark.parametrize("content", [b"my notes", b'{"a": 1}\n', b"\xff\xfe\n", b"[]\n{", b"\0\0"])
def test_a_file_that_is_no_output_of_a_batch_is_left_alone(tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "notes.txt"
    out.write_bytes(content)
    with pytest.raises(InputError, match="was not written by a batch; give another --out"):
        Journal(out)
    assert out.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b'{"id": 1, "video": "a.mp4"}',
        b'{"id": 1, "video": "a.mp4"}\n{"id": 2, "x": 1}',
        b'{"id": 9}',
    ],
)
def test_another_file_whose_last_line_has_no_end_loses_nothing(
    tmp_path: Path, content: bytes
) -> None:
    """A manifest that was given as its own output, say."""
    out = tmp_path / "out.jsonl"
    out.write_bytes(content)
    with suppress(InputError):
        run(write_lines(tmp_path / "m.jsonl", {"video": "a.mp4"}), out)
    assert out.read_bytes().startswith(content)


def test_a_manifest_is_no_output_of_a_batch(tmp_path: Path) -> None:
    out = write_lines(tmp_path / "out.jsonl", {"id": 1, "video": "a.mp4", "caption": "a dog"})
    before = out.read_bytes()
    with pytest.raises(InputError, match="was not written by a batch; give another --out"):
        run(write_lines(tmp_path / "m.jsonl", {"id": 2, "video": "b.mp4"}), out)
    assert out.read_bytes() == before


@pytest.mark.parametrize("torn", [b'{"i', b'{"id": 2, "video": "b'])
def test_a_run_that_is_refused_leaves_the_output_as_it_was(tmp_path: Path, torn: bytes) -> None:
    out = tmp_path / "out.jsonl"
    manifest = write_lines(tmp_path / "m.jsonl", {"video": "a.mp4"}, {"video": "b.mp4"})
    run(manifest, out)
    before = out.read_bytes().splitlines(keepends=True)[0] + torn
    out.write_bytes(before)
    with pytest.raises(InputError, match="this run asks for"):
        run(manifest, out, budget=Budget(num_frames=3, threshold=None))
    assert out.read_bytes() == before


def test_answers_of_another_captioner_are_not_mixed_in(tmp_path: Path) -> None:
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out.jsonl"
    write_lines(manifest, {"video": "a.mp4"})
    run(manifest, out)
    [record] = read_lines(out)
    write_lines(out, {**record, "captioner": "a/model"})
    run(manifest, out, changed={"captioner": "a/model"})
    with pytest.raises(InputError, match="captioner 'a/model', this run asks for 'another'"):
        run(manifest, out, changed={"captioner": "another"})


@pytest.mark.parametrize(
    ("question", "then", "goes_on"),
    [
        ("What is shown? A. a dog B. a cat", "any", True),  # its options are joined
        (["a dog", "a cat"], "all", True),
        (["a dog", "a cat"], "any", False),
    ],
)
def test_a_line_goes_on_with_the_join_that_it_asked_for(
    question: str | list[str], then: str, goes_on: bool, tmp_path: Path
) -> None:
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out.jsonl"
    write_lines(manifest, {"video": "a.mp4", "question": question})
    run(manifest, out)
    [record] = read_lines(out)
    write_lines(out, {**record, "join": then})
    with nullcontext() if goes_on else pytest.raises(InputError, match="join 'any', this run"):
        assert run(manifest, out)[0].calls == []


def test_a_missing_model_ends_the_run_and_leaves_the_line_open(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "m.jsonl", {"video": "a.mp4"}, {"video": "model-gone.mp4"})
    with pytest.raises(ModelError):
        run(path, tmp_path / "out.jsonl")
    assert [line["id"] for line in read_lines(tmp_path / "out.jsonl")] == [1]


def test_a_gpu_whose_memory_ends_costs_one_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "m.jsonl", {"video": "gpu-8k.mp4"}, {"video": "a.mp4"})
    _, summary = run(path, tmp_path / "out.jsonl")
    full, answered = read_lines(tmp_path / "out.jsonl")
    message = "the memory of the device does not hold it"
    assert full == {"id": 1, "video": "gpu-8k.mp4", "error": message}
    assert answered["indices"] == [1, 2]
    assert summary == BatchSummary(n_lines=2, n_before=0, n_errors=1)


def test_an_output_in_an_unwritable_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write .*out\.jsonl: (Not a directory|File exis)"):
        Journal(tmp_path / "file" / "out.jsonl")
    with pytest.raises(InputError, match="Is a directory"):
        Journal(tmp_path)
    with pytest.raises(InputError, match="File name too long"):
        Journal(tmp_path / ("x" * 300))


@pytest.mark.parametrize("name", ["/dev/full", "/dev/zero", "pipe"])
def test_an_output_that_is_no_regular_file_is_refused_at_once(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="it is not a regular file; give another --out"):
        Journal(tmp_path / name)


def test_a_full_disk_leaves_whole_lines(manifest: Path, tmp_path: Path) -> None:
    """A file size limit stands in for the disk: the write stops in the middle of a line."""
    run(manifest, tmp_path / "whole.jsonl")
    whole = (tmp_path / "whole.jsonl").read_bytes()
    out = tmp_path / "out.jsonl"
    first_line = whole[: whole.index(b"\n") + 1]
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(first_line) + 20, unlimited[1]))
    try:
        with pytest.raises(InputError, match="File too large; free the disk"):
            run(manifest, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert out.read_bytes() == first_line
    run(manifest, out)
    assert out.read_bytes() == whole


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    with Journal(tmp_path / "out.jsonl"):
        yield tmp_path / "out.jsonl"


def test_a_second_writer_is_refused_while_the_first_one_lives(held: Path) -> None:
    with pytest.raises(InputError, match="another process writes to"):
        Journal(held)


def test_a_link_to_an_output_shares_its_lock(held: Path, tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(held)
    with pytest.raises(InputError, match="another process writes to"):
        Journal(tmp_path / "link.jsonl")


JSON_VALUES = st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.integers()


@settings(max_examples=25)
@given(st.dictionaries(st.text() | st.integers(), st.dictionaries(st.text(), JSON_VALUES)))
def test_whatever_was_appended_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str | int, dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "out.jsonl"
    records = {key: {**record, "id": key} for key, record in entries.items()}
    with Journal(path) as journal:
        for key, record in records.items():
            journal.append(key, record)
    with Journal(path) as journal:
        assert journal.done == records
