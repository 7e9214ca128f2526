"""The real command line of lmms-eval, in a separate process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[3]
ENTRY_POINT = "[lmms_eval.models]\nkeyscore = keyscore_lmms_eval:manifests\n"


@dataclass(frozen=True)
class Outcome:
    """What a run left behind.

    Attributes:
        folder: Its files.
        text: What it printed.
    """

    folder: Path
    text: str

    @property
    def results(self) -> dict[str, Any]:
        """The results file of lmms-eval."""
        [path] = self.folder.rglob("*_results.json")
        results: dict[str, Any] = json.loads(path.read_text())
        return results

    def answers(self, task: str) -> list[Any]:
        """The model's answers to the documents of a task, in order."""
        [path] = self.folder.rglob(f"*_samples_{task}.jsonl")
        samples = [json.loads(line) for line in path.read_text().splitlines()]
        by_place = sorted(samples, key=lambda sample: sample["doc_id"])
        return [sample["filtered_resps"] for sample in by_place]

    @property
    def log(self) -> list[dict[str, Any]]:
        """Our lines."""
        return [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]

    @property
    def inputs(self) -> list[dict[str, torch.Tensor]]:
        """The tensors of each call of the model, in order."""
        return [torch.load(path) for path in sorted((self.folder / "inputs").iterdir())]


def is_installed() -> bool:
    """Whether lmms-eval finds the plugin by itself, as after ``pip install -e .``."""
    return any(e.name == "keyscore" for e in entry_points(group="lmms_eval.models"))


def evaluate(
    assets: Path,
    folder: Path,
    *,
    model: str,
    pretrained: Path,
    tasks: Sequence[str] = ("keyscore_tiny",),
    model_args: str = "",
    options: Sequence[str] = (),
    plugin: bool = True,
) -> Outcome:
    """Run ``lmms-eval`` offline on the CPU.

    Args:
        assets: Of `tests.support.lmms.assets`.
        folder: For what the run leaves behind.
        model: An id of lmms-eval.
        pretrained: Folder of a tiny model.
        tasks: Names.
        model_args: More of them.
        options: More options of the command line.
        plugin: Whether lmms-eval finds the plugin.
    """
    (folder / "inputs").mkdir(parents=True)
    arguments = f"pretrained={pretrained},device_map=cpu,{model_args}".rstrip(",")
    command = [str(Path(sys.executable).with_name("lmms-eval"))]
    command += ["--model", model, "--model_args", arguments, "--tasks", ",".join(tasks)]
    command += ["--include_path", str(assets), "--device", "cpu", "--batch_size", "1"]
    command += ["--output_path", str(folder / "results"), "--log_samples", *options]
    done = subprocess.run(
        command,
        env=environment(assets, folder, plugin=plugin),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-6000:]
    return Outcome(folder, text)


def environment(assets: Path, folder: Path, *, plugin: bool) -> dict[str, str]:
    # This checkout comes first, also where another one is installed.
    paths = [ROOT / "tests" / "support" / "site", ROOT, ROOT / "integrations"]
    if not (plugin and is_installed()):
        # The first distribution of a name is the one that counts: this one hides an installed one.
        facts = folder / "site" / "keyscore_plugin-0.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: keyscore-plugin\nVersion: 0\n"
        )
        (facts / "entry_points.txt").write_text(ENTRY_POINT if plugin else "")
        paths.append(facts.parent)
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return inherited | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "KEYSCORE_TINY": str(assets),
        "KEYSCORE_SPY": str(folder / "inputs"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(assets / "hf"),
        "OMP_NUM_THREADS": "1",
    }
