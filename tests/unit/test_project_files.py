"""What a project says of itself agrees with the code: citation, changelog, classifiers, CI."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
yaml = import_module("yaml")


def project() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return settings


def test_the_citation_names_this_version_and_its_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == project()["license"]
    assert "KeyScore" in citation["preferred-citation"]["title"]
    assert all(one["title"] and one["authors"] for one in citation["references"])


def test_the_changelog_has_a_section_for_this_version_below_what_is_unreleased() -> None:
    sections = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert sections[:2] == ["Unreleased", __version__]


def test_the_classifiers_are_known_and_name_every_python_of_the_lock() -> None:
    known = import_module("trove_classifiers").classifiers
    classifiers = project()["classifiers"]
    assert set(classifiers) <= known
    assert [c for c in classifiers if re.search(r":: 3\.\d+$", c)] == [
        f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)
    ]


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/**/*.yml")), ids=lambda path: path.name)
def test_what_a_host_of_the_repository_reads_is_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text())


def test_ci_runs_what_everybody_can_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = workflow["jobs"]["checks"]["steps"]
    assert steps[-1] == {"run": "bash .ci/run"}
