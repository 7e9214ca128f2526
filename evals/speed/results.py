"""The results of all runs: a run adds its lines, and replaces those that it measured again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evals.speed.goals import goals
from evals.speed.table import Line, Table
from keyscore_plugin.errors import InputError

Facts = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Measured:
    """A table, and the circumstances of each of its lines.

    Attributes:
        table: Table with the lines of all runs.
        facts: Circumstances of the run that measured each line.
    """

    table: Table
    facts: Sequence[Facts]

    def with_(self, table: Table, facts: Facts) -> "Measured":
        """Add the lines of a new run, whose notes and title replace the earlier ones.

        A run without lines changes nothing.
        """
        if self.table.lines and not table.lines:
            return self
        kept = {
            _key(line, table.key): (line, of)
            for line, of in zip(self.table.lines, self.facts, strict=True)
            # Lines with other columns do not fit into the table.
            if table.lines and list(line) == list(table.lines[0])
        }
        kept |= {_key(line, table.key): (line, facts) for line in table.lines}
        lines = [line for line, _ in kept.values()]
        return Measured(replace(table, lines=lines), [of for _, of in kept.values()])

    def to_markdown(self) -> str:
        """The table, its notes, and the circumstances of the measurements."""
        runs = list(dict.fromkeys(json.dumps(facts) for facts in self.facts))
        notes = [*self.table.notes, *(f"measured: {_shown(json.loads(run))}" for run in runs)]
        return replace(self.table, notes=notes).to_markdown()


class Results:
    """All tables by name, in the order in which they were first measured."""

    def __init__(self) -> None:
        self.tables: dict[str, Measured] = {}

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Load a file of results; a missing file gives no tables.

        Raises:
            InputError: The file holds something else.
        """
        results = cls()
        if not path.is_file():
            return results
        try:
            for values in json.loads(path.read_text())["tables"]:
                facts: list[Facts] = values.pop("facts")
                results.tables[values["name"]] = Measured(Table(**values), facts)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} holds no results that can be added to ({error}); "
                "move it away, or name another folder"
            ) from error
        return results

    def add(self, table: Table, facts: Facts) -> None:
        """Add the table of a run."""
        before = self.tables.get(table.name, Measured(replace(table, lines=[]), []))
        self.tables[table.name] = before.with_(table, facts)

    def to_json(self) -> str:
        """The results as JSON, for `load`."""
        tables: list[dict[str, Any]] = [
            {**asdict(measured.table), "facts": measured.facts} for measured in self.tables.values()
        ]
        return json.dumps({"eval": "speed", "tables": tables}, indent=1) + "\n"

    def to_markdown(self) -> str:
        """The goals, then every table."""
        wanted = goals({name: measured.table for name, measured in self.tables.items()})
        parts = [wanted.to_markdown(), *(one.to_markdown() for one in self.tables.values())]
        return "\n".join(parts)


def _key(line: Line, columns: Sequence[str]) -> tuple[object, ...]:
    return tuple(line.get(column) for column in columns)


def _shown(facts: Facts) -> str:
    return "; ".join(f"{name} {value}" for name, value in facts.items())
