"""What the speed evaluation keeps of earlier runs, what it says was wanted, and the README."""

import json
from pathlib import Path

import pytest

from evals.speed.goals import goals
from evals.speed.readme import LAST, README, with_figures
from evals.speed.results import Facts, Results
from evals.speed.table import Line, Table
from evals.speed.whole import CALLED
from keyscore_plugin.errors import InputError

FIRST: Facts = {"date": "2026-01-01", "commit": "aaa"}
SECOND: Facts = {"date": "2026-01-02", "commit": "bbb"}


def clips(*lines: tuple[str, float]) -> Table:
    made: list[Line] = [
        {"clip": c, "what": CALLED["stacfp"], "s": s, "of the floor": 1.0} for c, s in lines
    ]
    return Table("select", "Calls", made, ["note"], ("clip", "what"))


def wanted(name: str, *lines: Line) -> dict[str, dict[str, object]]:
    found = goals({name: Table(name, name, lines)})
    return {str(line["what"]): dict(line) for line in found.lines}


def test_a_run_replaces_what_it_measured_again_and_keeps_the_rest(tmp_path: Path) -> None:
    results = Results()
    results.add(clips(("1 min", 1.0), ("5 min", 5.0)), FIRST)
    results.add(Table("other", "Other", [{"T": 1}], key=("T",)), FIRST)
    path = tmp_path / "speed.json"
    path.write_text(results.to_json())
    again = Results.load(path)
    again.add(clips(("5 min", 4.5), ("30 min", 30.0)), SECOND)
    select = again.tables["select"]
    assert select.table.lines == clips(("1 min", 1.0), ("5 min", 4.5), ("30 min", 30.0)).lines
    assert select.facts == [FIRST, SECOND, SECOND]
    assert list(again.tables) == ["select", "other"]
    text = again.to_markdown()
    assert "date 2026-01-01; commit aaa" in text
    assert "date 2026-01-02; commit bbb" in text


def test_lines_with_other_columns_do_not_stay_in_the_table() -> None:
    results = Results()
    results.add(clips(("1 min", 1.0)), FIRST)
    wider = Table("select", "Calls", [{**clips(("5 min", 5.0)).lines[0], "MB": 7}], key=("clip",))
    results.add(wider, SECOND)
    assert results.tables["select"].table.lines == wider.lines


def test_a_part_that_is_left_out_keeps_what_was_measured_before() -> None:
    results = Results()
    results.add(clips(("1 min", 1.0)), FIRST)
    results.add(Table("select", "Calls", [], ["left out"], ("clip",)), SECOND)
    assert results.tables["select"].table.lines == clips(("1 min", 1.0)).lines
    assert results.tables["select"].table.notes == ["note"]
    assert results.tables["select"].facts == [FIRST]


@pytest.mark.parametrize("text", ["", "[]", '{"tables": [{"name": "old", "lines": []}]}'])
def test_results_of_another_form_are_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    path.write_text(text)
    with pytest.raises(InputError, match="move it away") as error:
        Results.load(path)
    assert "\n" not in str(error.value)


def test_nothing_measured_meets_nothing() -> None:
    lines = goals({}).lines
    assert len(lines) == 12
    assert {line["met"] for line in lines} == {"not measured"}


def test_the_worst_figure_decides() -> None:
    line: Line = {"clip": "1 min, 360p", "s": 1.0, "of the floor": 1.1}
    worse: Line = {"clip": "5 min, 360p", "s": 2.0, "of the floor": 1.3}
    found = wanted(
        "select",
        {"what": CALLED["stacfp"], **line},
        {"what": CALLED["keyscore"], **line},
        {"what": CALLED["stacfp"], **worse},
    )
    (floor,) = (line for what, line in found.items() if "pure decoding" in what)
    assert (floor["measured"], floor["met"]) == (1.3, "no")


@pytest.mark.parametrize(("seconds", "met"), [(8.0, "yes"), (9.0, "no")])
def test_growth_is_held_against_a_quadratic_one(seconds: float, met: str) -> None:
    found = wanted(
        "grids",
        {"N": 3600, "k": "2..32", "s CPU": 2.0},
        {"N": 7200, "k": "2..32", "s CPU": seconds},
    )
    (line,) = (line for what, line in found.items() if "7,200" in what)
    assert (line["wanted"], line["measured"], line["met"]) == ("at most 4", seconds / 2, met)


def test_keyframes_katna_and_memory_are_held_against_their_own_rows() -> None:
    clip: Line = {"clip": "5 min, 720p", "of the floor": 1.0}
    found = wanted(
        "select",
        {"what": CALLED["keyframes"], **clip, "s": 1.0},
        {"what": CALLED["decord_1fps"], **clip, "s": 10.0},
    )
    (keyframes,) = (line for what, line in found.items() if "decord" in what)
    assert (keyframes["measured"], keyframes["met"]) == (0.1, "yes")
    found = wanted(
        "select",
        {"what": CALLED["stacfp"], **clip, "s": 2.0},
        {"what": CALLED["katna"], **clip, "s": 18.0},
    )
    (katna,) = (line for what, line in found.items() if "Katna" in what)
    assert (katna["measured"], katna["met"]) == (9.0, "no")
    found = wanted(
        "growth",
        {"minutes": 5.0, "stacfp peak MB": 100.0, "keyscore peak MB": 100.0},
        {"minutes": 60.0, "stacfp peak MB": 105.0, "keyscore peak MB": 120.0},
    )
    (memory,) = (line for what, line in found.items() if "memory" in what)
    assert (memory["measured"], memory["met"]) == (1.2, "no")


def test_the_readme_takes_the_figures_between_its_marks_and_nothing_else() -> None:
    results = Results()
    results.add(clips(("1 min", 1.25)), FIRST)
    before = README.read_text()
    once = with_figures(before, results)
    assert "| 1 min | stacfp | 1.25 |" in once
    assert with_figures(once, results) == once
    begin, end = before.index("<!-- measured"), before.index("<!-- end of measured")
    assert once.startswith(before[:begin])
    assert once.endswith(before[end:])


def test_the_figures_of_the_readme_are_those_of_the_last_run() -> None:
    if not LAST.is_file():
        pytest.skip("nothing was measured yet in this form")
    results = Results.load(LAST)
    assert json.loads(LAST.read_text()) == json.loads(results.to_json())
    assert README.read_text() == with_figures(README.read_text(), results)
