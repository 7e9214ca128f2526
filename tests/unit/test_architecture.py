"""The house keeps its floors: an import may only point down."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import keyscore_plugin
from keyscore_plugin.registries import load, names

ROOT = Path(__file__).parents[2]

OURS = ("keyscore_plugin", "keyscore_", "evals", "tests")


def modules() -> dict[str, Path]:
    """Every module of the project and its file."""
    found = {}
    for base in (ROOT, ROOT / "integrations"):
        for top in base.iterdir():
            if top.is_dir() and top.name.startswith(OURS):
                for path in top.rglob("*.py"):
                    found[".".join(path.relative_to(base).with_suffix("").parts)] = path
    return found


def imports(path: Path) -> Iterator[str]:
    """The project's own modules that a file imports, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        else:
            continue
        yield from (name for name in names if name.startswith(OURS))


def test_imports_point_down() -> None:
    """The contracts stand in pyproject.toml, under ``tool.importlinter``."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    paths = os.pathsep.join((str(ROOT), str(ROOT / "integrations")))
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_page_points_at_is_there() -> None:
    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for pattern in ("*.md", "docs/**/*.md", "integrations/*.md", "evals/**/*.md")
        for page in ROOT.glob(pattern)
        for link in re.findall(r"\]\(([^)#:\s]+)[^):]*\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert dead == []


def test_every_place_that_the_map_names_is_there() -> None:
    """ARCHITECTURE.md names files, folders, modules and what they define, all in backticks."""
    text = re.sub(r"```.*?```", "", (ROOT / "ARCHITECTURE.md").read_text(), flags=re.DOTALL)
    names = [name for name in re.findall(r"`([^`\s]+)`", text) if re.search(r"[/.:]|^[A-Z]", name)]
    assert len(names) > 80
    assert [name for name in names if not is_there(name)] == []


def is_there(name: str) -> bool:
    """Whether ``a/b.py::C.d``, ``a/b``, ``a.b.C`` or a name of the face exists."""
    path, _, attribute = name.partition("::")
    if "/" in path or path.endswith((".py", ".md", ".toml", ".json", ".yml")):
        places = [base / path for base in (ROOT, ROOT / "keyscore_plugin", ROOT / "integrations")]
        place = next((one for one in places if one.exists()), None)
        if place is None or not attribute:
            return place is not None
        return defines(ast.parse(place.read_text()), attribute.split("."))
    return not attribute and (name in keyscore_plugin.__all__ or can_be_found(name))


def defines(tree: ast.AST, names: list[str]) -> bool:
    """Whether a module or class defines a function, class or variable, and that the next."""
    for node in ast.iter_child_nodes(tree):
        bound = [getattr(node, "name", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound = [target.id for target in targets if isinstance(target, ast.Name)]
        if names[0] in bound:
            return len(names) == 1 or defines(node, names[1:])
    return False


def can_be_found(name: str) -> bool:
    """Whether a dotted name is a module of the project, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    known = modules()
    if name in known or f"{name}.__init__" in known:
        return True
    file = known.get(module) or known.get(f"{module}.__init__")
    return file is not None and defines(ast.parse(file.read_text()), [attribute])


def test_no_integration_is_named_after_its_host() -> None:
    names = {path.name for path in (ROOT / "integrations").iterdir() if path.is_dir()}
    assert all(name.startswith("keyscore_") or name == "__pycache__" for name in names)
    assert not (ROOT / "integrations" / "__init__.py").exists()


@pytest.mark.parametrize("kind", ["sampler", "encoder", "captioner", "decoder"])
def test_every_registered_name_exists(kind: str) -> None:
    for name in names(kind):
        assert callable(load(kind, name))


def test_every_public_name_is_there_and_explains_itself() -> None:
    for name in keyscore_plugin.__all__:
        value = getattr(keyscore_plugin, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def test_importing_the_core_imports_no_optional_stack() -> None:
    heavy = "matplotlib open_clip timm torchcodec torchvision sklearn skvideo transformers"
    code = (
        "import sys, keyscore_plugin, keyscore_plugin.cli.main; "
        f"print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["list", "--json"]])
def test_what_only_names_things_does_not_load_torch(words: list[str]) -> None:
    code = (
        "import sys, contextlib, io, keyscore_plugin.cli.main as cli\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    cli.main({words!r})\n"
        "print([m for m in ('torch', 'numpy', 'av', 'fcntl') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


def test_an_evaluation_imports_its_extra_where_it_says_how_to_install_it() -> None:
    extra = {"foolbox", "h5py", "matplotlib", "scipy", "skimage", "sklearn", "threadpoolctl"}
    early = [
        f"{module}: {name}"
        for module, path in modules().items()
        if module.startswith("evals") and not module.startswith("evals.speed.peers")
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for name in [getattr(statement, "module", None), *(n.name for n in statement.names)]
        if name is not None and name.partition(".")[0] in extra
    ]
    assert early == []


def test_the_source_distribution_holds_the_pages_and_the_examples(tmp_path: Path) -> None:
    builder = importlib.import_module("hatchling.builders.sdist").SdistBuilder(str(ROOT))
    (sdist,) = builder.build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.*")]
    assert {path.relative_to(ROOT).as_posix() for path in wanted} <= names


def test_the_wheel_holds_only_names_of_ours(tmp_path: Path) -> None:
    builder = importlib.import_module("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    (wheel,) = builder.build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names}
    assert all(name.startswith("keyscore_") for name in top), top
    assert "keyscore_plugin/py.typed" in names
    for folder in (ROOT / "integrations").glob("keyscore_*"):
        assert f"{folder.name}/py.typed" in names
