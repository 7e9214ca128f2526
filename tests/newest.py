"""Which packages, newer than in the lock, the failed tests of a run failed in.

``python -m tests.newest CONSTRAINTS.txt JUNIT.xml`` prints a line a package.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from xml.etree import ElementTree

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# A file of it, or its name in an error, whose quotes are escaped in the output of a process.
_PACKAGE = re.compile(r"(?:site-packages/|(?:from|module|named) \\?')(\w+)")
_NOT_LOCKED = {"keyscore-plugin", "pip"}


def changed(lock: Path) -> dict[str, str]:
    """``"locked -> installed"`` of each installed distribution that differs from the lock."""
    wanted = [Requirement(line) for line in lock.read_text().splitlines() if "==" in line]
    locked = {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one in wanted
        if one.marker is None or one.marker.evaluate()
    }
    found = {canonicalize_name(d.name): d.version.partition("+")[0] for d in distributions()}
    found = {name: version for name, version in found.items() if name not in _NOT_LOCKED}
    return {
        name: f"{locked.get(name, 'not in the lock')} -> {version}"
        for name, version in found.items()
        if locked.get(name) != version
    }


def failures(junit: Path) -> Iterator[tuple[str, str]]:
    """Name and traceback of each test that failed."""
    for case in ElementTree.parse(junit).iter("testcase"):
        for problem in (*case.iter("failure"), *case.iter("error")):
            name = f"{case.get('classname')}::{case.get('name')}"
            yield name, f"{problem.get('message')}\n{problem.text}"


def culprits(traceback: str, of_module: Mapping[str, list[str]]) -> set[str]:
    """Distributions that a traceback or its message names."""
    modules = set(_PACKAGE.findall(traceback))
    return {canonicalize_name(name) for module in modules for name in of_module.get(module, [])}


def main(lock: Path, junit: Path) -> None:
    """Print what the newer packages broke, and by which."""
    newer, of_module = changed(lock), packages_distributions()
    broken = defaultdict(list)
    for test, traceback in failures(junit):
        for name in sorted(culprits(traceback, of_module) & newer.keys()) or ["unknown"]:
            broken[name].append(test)
    print(f"{len(newer)} packages differ from the lock")
    for name, tests in sorted(broken.items(), key=lambda entry: -len(entry[1])):
        version = newer.get(name, "(no newer package is named)")
        print(f"{name} {version}: in {len(tests)} failed tests, such as {tests[0]}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
