"""Laws of names: an installed package adds them, and no package overrides those of another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MODULE = """
from keyscore_plugin import VideoError, get_sampler
from keyscore_plugin.captioners.labels import LabelsCaptioner
from keyscore_plugin.encoders.conse.encoder import ConseEncoder
from keyscore_plugin.samplers.uniform import UniformSampler


class Sampler(UniformSampler):
    name = "theirs"


class Encoder(ConseEncoder):
    name = "theirs"


class Captioner(LabelsCaptioner):
    name = "theirs"


def decoder(path, stream):
    raise VideoError(path, "theirs was asked", "ask another")
"""
GROUPS = "".join(
    f"[keyscore_plugin.{kind}s]\ntheirs = their_module:{attribute}\n"
    for kind, attribute in (
        *(("sampler", "Sampler"), ("encoder", "Encoder")),
        *(("captioner", "Captioner"), ("decoder", "decoder")),
    )
)


def install(folder: Path, package: str, entry_points: str) -> None:
    """What pip leaves of a package: its metadata next to its modules."""
    metadata = folder / f"{package}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(entry_points)


def run(folder: Path, code: str) -> str:
    """The output of a process that finds the packages of a folder."""
    paths = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder with a package that adds one name to each registry."""
    (tmp_path / "their_module.py").write_text(MODULE)
    install(tmp_path, "theirs", GROUPS)
    return tmp_path


@pytest.mark.slow
def test_an_installed_package_adds_to_every_registry(theirs: Path) -> None:
    said = run(
        theirs,
        "import sys\n"
        "from keyscore_plugin import *\n"
        "from keyscore_plugin.captioners.registry import captioner_weights\n"
        "from keyscore_plugin.encoders.registry import encoder_weights\n"
        "assert 'theirs' in list_samplers() and 'their_module' not in sys.modules\n"
        "print(get_sampler('theirs')(sample_video('bikes'), num_frames=2).sampler)\n"
        "print(load_encoder('theirs', device='cpu').name, encoder_weights('theirs'))\n"
        "print(load_captioner('theirs', device='cpu').name, captioner_weights('theirs'))\n"
        "try:\n"
        "    open_video(sample_video('bikes'), decoder='theirs')\n"
        "except VideoError as error:\n"
        "    print(error.cause)\n",
    )
    assert said.splitlines() == [
        *("theirs", "theirs theirs==1.2", "theirs theirs==1.2", "theirs was asked")
    ]


@pytest.mark.slow
def test_keyscore_list_names_the_package(theirs: Path) -> None:
    for options, usable in (("'--json'", None), ("'--json', '--check'", True)):
        said = run(theirs, f"from keyscore_plugin.cli.main import main; main(['list', {options}])")
        added = [entry for entry in json.loads(said) if entry["name"] == "theirs"]
        assert [entry["kind"] for entry in added] == ["sampler", "encoder", "captioner", "decoder"]
        for entry in added:
            assert entry["description"] == "Added by the package theirs==1.2."
            assert entry["usable"] is usable
            assert entry["problem"] is None


ERROR_OF = """
from keyscore_plugin import KeyScoreError
from keyscore_plugin.registries import load
def error_of(name):
    try:
        load("sampler", name)
    except KeyScoreError as error:
        return f"{type(error).__name__}: {error}"
"""


def test_a_name_that_two_packages_claim_is_refused_with_both_named(theirs: Path) -> None:
    install(theirs, "rival", "[keyscore_plugin.samplers]\nuniform = a:b\ntheirs = a:b\n")
    said = run(theirs, f"{ERROR_OF}print(error_of('uniform'), error_of('theirs'), sep='\\n')")
    for line, name, other in zip(
        said.splitlines(), ("uniform", "theirs"), ("keyscore-plugin", "theirs==1.2"), strict=True
    ):
        assert line.startswith(f"InputError: the sampler {name!r} is defined by ")
        assert other in line
        assert "rival==1.2" in line
    listed = run(theirs, "from keyscore_plugin.cli.main import main; main(['list', '--json'])")
    problems = [(entry["name"], entry["problem"]) for entry in json.loads(listed)]
    assert [name for name, problem in problems if "rival==1.2" in str(problem)] == [
        *("theirs", "uniform")
    ]


@pytest.mark.slow
def test_a_package_that_does_not_load_breaks_its_own_names_alone(theirs: Path) -> None:
    (theirs / "raising.py").write_text("1 / 0\n")
    reasons = {
        "no_such_module:Sampler": "ModuleNotFoundError: No module named 'no_such_module'",
        "raising:Sampler": "ZeroDivisionError: division by zero",
        "json:Missing": "AttributeError: module 'json' has no attribute 'Missing'",
    }
    places = "".join(f"{i} = {place}\n" for i, place in enumerate(reasons))
    install(theirs, "broken", f"[keyscore_plugin.samplers]\n{places}")
    code = f"{ERROR_OF}print(*map(error_of, '012'), load('sampler', 'theirs').name, sep='\\n')"
    *errors, sound = run(theirs, code).splitlines()
    assert sound == "theirs"
    for i, (error, reason) in enumerate(zip(errors, reasons.values(), strict=True)):
        assert error.startswith(
            f"MissingDependencyError: the sampler '{i}' of the package broken==1.2 does not load "
            f"({reason}); "
        )


@pytest.mark.slow
def test_a_sampler_that_reads_no_text_loads_no_model_code() -> None:
    models = ("conse", "hf", "open_clip", "preprocess")
    said = run(
        ROOT,
        "import sys, keyscore_plugin\n"
        "assert 'torch' not in sys.modules and 'keyscore_plugin.types' not in sys.modules\n"
        "keyscore_plugin.get_sampler('uniform')\n"
        "print(*[m for m in sys.modules if m.startswith('keyscore_plugin.')])\n",
    ).split()
    assert not {f"keyscore_plugin.encoders.{name}" for name in models} & set(said)
    assert "keyscore_plugin.captioners.vlm" not in said
