"""Everything that was measured so far: a run adds to it, and replaces what it measured again."""

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
        table: All its lines, from however many runs.
        facts: Of the run that measured each line.
    """

    table: Table
    facts: Sequence[Facts]

    def with_(self, table: Table, facts: Facts) -> "Measured":
        """The same with what a new run measured; notes and title are the new run's.

        A run that left the table out takes nothing away.
        """
        if self.table.lines and not table.lines:
            return self
        kept = {
            _key(line, table.key): (line, of)
            for line, of in zip(self.table.lines, self.facts, strict=True)
            # What had other columns cannot stand in the same table.
            if table.lines and list(line) == list(table.lines[0])
        }
        kept |= {_key(line, table.key): (line, facts) for line in table.lines}
        lines = [line for line, _ in kept.values()]
        return Measured(replace(table, lines=lines), [of for _, of in kept.values()])

    def to_markdown(self) -> str:
        """The table, its notes, and under which circumstances it was measured."""
        runs = list(dict.fromkeys(json.dumps(facts) for facts in self.facts))
        notes = [*self.table.notes, *(f"measured: {_shown(json.loads(run))}" for run in runs)]
        return replace(self.table, notes=notes).to_markdown()


class Results:
    """All tables by name, in the order in which they first came."""

    def __init__(self) -> None:
        self.tables: dict[str, Measured] = {}

    @classmethod
    def load(cls, path: Path) -> "Results":
        """What a file holds; nothing if there is none.

        Raises:
            InputError: It holds something else.
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
        """Take in what a run measured."""
        before = self.tables.get(table.name, Measured(replace(table, lines=[]), []))
        self.tables[table.name] = before.with_(table, facts)

    def to_json(self) -> str:
        """For `load`."""
        tables: list[dict[str, Any]] = [
            {**asdict(measured.table), "facts": measured.facts} for measured in self.tables.values()
        ]
        return json.dumps({"eval": "speed", "tables": tables}, indent=1) + "\n"

    def to_markdown(self) -> str:
        """What was wanted and what was measured, then every table."""
        wanted = goals({name: measured.table for name, measured in self.tables.items()})
        parts = [wanted.to_markdown(), *(one.to_markdown() for one in self.tables.values())]
        return "\n".join(parts)


def _key(line: Line, columns: Sequence[str]) -> tuple[object, ...]:
    return tuple(line.get(column) for column in columns)


def _shown(facts: Facts) -> str:
    return "; ".join(f"{name} {value}" for name, value in facts.items())
