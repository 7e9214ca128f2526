"""Laws about what comes from outside: it is data, never code."""

import ast
import os
import pickle
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from keyscore_plugin.captioners.registry import load_captioner
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.errors import ModelError
from keyscore_plugin.registries import DECODERS
from tests.support.clips import CLIPS, Clip
from tests.support.requires import require_or_skip
from tests.support.tiny import save

ROOT = Path(__file__).parents[4]
FOLDERS = ("keyscore_plugin", "integrations", "evals")
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
# What reads a file and may run what stands in it, with the way it may be called.
READERS = {
    "pickle.load": None,
    "pickle.loads": None,
    "pickle.Unpickler": None,
    "cPickle.load": None,
    "dill.load": None,
    "joblib.load": None,
    "marshal.loads": None,
    "shelve.open": None,
    "os.system": None,
    "os.popen": None,
    "yaml.load": None,
    "yaml.unsafe_load": None,
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "torch.hub.load": None,
}
# Under another name a call would not be found.
MODULES = {name.rpartition(".")[0] for name in READERS}
USUAL_NAMES = {("numpy", "np")}
# Never switched on, wherever it is an argument.
NEVER_TRUE = {"trust_remote_code", "allow_pickle", "shell"}


def offences(source: str) -> list[str]:
    """The calls of a module that would run what comes from outside."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [f"from {name}" for name in names if name in READERS]
        if isinstance(node, ast.Import):
            renamed = {(alias.name, alias.asname) for alias in node.names if alias.asname}
            found += [f"import {x} as" for x, _ in renamed - USUAL_NAMES if x in MODULES]
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options: dict[str | None, object] = {
            word.arg: word.value.value if isinstance(word.value, ast.Constant) else ...
            for word in node.keywords
        }
        if name in RUNS_CODE:
            found.append(name)
        if name in READERS and (READERS[name] or ("", None)) not in options.items():
            found.append(name)
        # A value that is computed is as bad as True: nobody can see what it is.
        found += [f"{name}({option}=...)" for option in NEVER_TRUE if options.get(option, False)]
        if options.get("weights_only", True) is not True:
            found.append(f"{name}(weights_only=...)")
    return found


@pytest.mark.parametrize(
    ("source", "offence"),
    [
        ("eval('1')", "eval"),
        ("torch.load(path)", "torch.load"),
        ("torch.load(path, weights_only=False)", "torch.load"),
        ("pickle.loads(data)", "pickle.loads"),
        ("AutoModel.from_pretrained(n, trust_remote_code=given)", "AutoModel.from_pretrained("),
        ("subprocess.run(line, shell=True)", "subprocess.run(shell=...)"),
        ("from pickle import dumps, loads", "from pickle.loads"),
        ("import torch as t", "import torch as"),
        ("import numpy as np; from pickle import UnpicklingError", None),
        ("torch.load(path, weights_only=True); model.eval()", None),
    ],
)
def test_the_search_finds_what_it_is_for(source: str, offence: str | None) -> None:
    found = offences(source)
    assert (offence is None) == (not found)
    assert offence is None or found[0].startswith(offence)


def test_no_module_runs_what_comes_from_outside() -> None:
    modules = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(modules) > 50
    found = {str(path.relative_to(ROOT)): offences(path.read_text()) for path in modules}
    assert {path: calls for path, calls in found.items() if calls} == {}


class _Evil:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self._path),)


def test_torch_is_new_enough_for_its_reader_of_plain_tensors_to_hold() -> None:
    """CVE-2025-32434: before 2.6 a file could run code under ``weights_only=True``."""
    floor = re.search(r'"torch>=(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert floor is not None
    assert (int(floor[1]), int(floor[2])) >= (2, 6)


def _load_encoder(folder: Path) -> None:
    from transformers import CLIPConfig

    CLIPConfig(projection_dim=8).save_pretrained(folder)
    load_encoder(str(folder), device="cpu")


def _load_captioner(folder: Path) -> None:
    load_captioner(str(folder), device="cpu")


@pytest.mark.parametrize("kind", ["pickle", "torch", "noise"])
@pytest.mark.parametrize("model", ["encoder", "captioner"])
def test_weights_that_are_code_or_noise_are_one_error_and_never_run(
    model: str, kind: str, tmp_path: Path
) -> None:
    require_or_skip("torchvision")
    if model == "captioner":
        save("qwen2_vl", tmp_path)
        (tmp_path / "model.safetensors").unlink()
    evil: Any = _Evil(tmp_path / "it-ran")
    if kind == "pickle":
        (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(evil, protocol=2))
    elif kind == "torch":
        torch.save(evil, tmp_path / "pytorch_model.bin")
    else:
        (tmp_path / "model.safetensors").write_bytes(b"\xff" * 1000)
    load = {"encoder": _load_encoder, "captioner": _load_captioner}[model]
    with pytest.raises(ModelError, match=f"cannot load the {model}") as error:
        load(tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "it-ran").exists()


def _png(width: int, height: int) -> bytes:
    """A PNG of zeros: a row of it takes a thousandth of what it becomes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj()
    row = bytes(width + 1)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def _gif(width: int, height: int) -> bytes:
    sides = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    palette = b"\x80\0\0\0\0\0\xff\xff\xff"
    return b"GIF89a" + sides + palette + b"," + bytes(4) + sides + b"\0\2\2L\1\0;"


BOMBS: dict[str, Callable[[], bytes]] = {
    "claim.png": lambda: _png(16, 16).replace(
        bytes((0, 0, 0, 16)) * 2, (100_000).to_bytes(4, "big") * 2, 1
    ),
    "real.png": lambda: _png(20_000, 10_000),
    "claim.gif": lambda: _gif(65_535, 65_535),
}
# Its own process: in ours, what earlier tests took at their peak would hide what a bomb takes.
OPEN_IT = """
import re, sys
from pathlib import Path
from keyscore_plugin.errors import VideoError
from keyscore_plugin.video.source import open_video

def peak_kib():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

decoder, sound, *paths = sys.argv[1:]
open_video(sound, decoder).close()  # loads what the decoder needs
for path in [None, *paths]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
    before = peak_kib()
    if path is None:
        taken = bytearray(64 << 20)  # the kernel counts a little less at times
        print(peak_kib() - before, "the peak is seen")
        continue
    try:
        open_video(path, decoder)
    except VideoError as error:
        print(peak_kib() - before, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads peaks from /proc")
@pytest.mark.parametrize("decoder", sorted(DECODERS))
def test_an_image_bomb_is_refused_before_it_takes_memory(
    decoder: str, tmp_path: Path, clip_path: Callable[[Clip], Path]
) -> None:
    if decoder != "pyav":
        require_or_skip(decoder)
    for name, bomb in BOMBS.items():
        (tmp_path / name).write_bytes(bomb())
    paths = [tmp_path / name for name in BOMBS]
    done = subprocess.run(
        [sys.executable, "-c", OPEN_IT, decoder, str(clip_path(CLIPS[0])), *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert [words.partition(": ")[0] for _, words in said[1:]] == [
        f"cannot read {p}" for p in paths
    ]
    taken_kib = [int(kib) for kib, _ in said]
    assert taken_kib[0] >= 50 << 10, done.stdout
    assert max(taken_kib[1:]) < 40 << 10, done.stdout
