"""Rows of a data set that name their frames: what reaches the model, in each training host."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from qwen_vl_utils import process_vision_info

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import split_frames
from keyscore_qwen_vl_utils import install, uninstall
from keyscore_trl import ChosenReader, VideoCollator, VideoPrompts
from tests.support.requires import aside_or_skip, require_or_skip
from tests.support.tiny import FAMILIES
from tests.support.tiny.videos import frame_numbers, numbered_video

ROOT = Path(__file__).parents[2]
CHOSEN = [3, 4, 40, 101]
NAMED = f"#frames={','.join(map(str, CHOSEN))}"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """120 numbered frames, ten a second."""
    return str(numbered_video(tmp_path_factory.mktemp("videos") / "numbered.mp4"))


@pytest.mark.parametrize("end", ["", "3,", "3,3", "4,3", "-1", "3;4", "x", "1.5", "²"])
def test_frames_that_do_not_rise_are_refused(end: str) -> None:
    with pytest.raises(InputError, match="must end in rising frame indices"):
        split_frames(f"clip.mp4#frames={end}")


def test_qwen_vl_utils_reads_the_frames_that_the_address_names(video: str) -> None:
    size = {"resized_height": 56, "resized_width": 56}
    element = {"type": "video", "video": video + NAMED, "pair": "plain", **size}
    other = element | {"video": f"{video}#frames=3,120"}
    install()
    try:
        _, videos, _ = process_vision_info(
            [{"role": "user", "content": [element]}],
            return_video_kwargs=True,
            return_video_metadata=True,
        )
        with pytest.raises(InputError, match="names its frames, and the element names"):
            process_vision_info([{"role": "user", "content": [element | {"sampler": "uniform"}]}])
        with pytest.raises(InputError, match=r"frames 3 to 120 were named, but .* has 120"):
            process_vision_info([{"role": "user", "content": [other]}])
    finally:
        uninstall()
    pixels, metadata = videos[0]
    assert frame_numbers(pixels.mean(dim=(2, 3))) == CHOSEN
    assert [i / metadata["fps"] for i in metadata["frames_indices"]] == [0.3, 0.4, 4.0, 10.1]


def test_a_batch_for_sft_has_the_frames_that_the_rows_name(video: str) -> None:
    family = FAMILIES["qwen3_vl"]
    processor, _ = family.build()
    collate = VideoCollator(VideoPrompts(processor, ChosenReader()))
    content = [{"type": "video", "video": video + NAMED}, {"type": "text", "text": "Which?"}]
    batch = collate([{"prompt": [{"role": "user", "content": content}], "completion": "A"}])
    assert family.read_back(batch) == [frame for frame in CHOSEN for _ in range(2)]
    assert family.read_times is not None
    assert family.read_times(batch, processor, None) == [0.3, 0.4, 4.0, 10.1]
    with pytest.raises(InputError, match=r"names no frames; .*#frames="):
        ChosenReader()(video)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # TRL 1.16 asks transformers for names that 5.23 renamed
def test_the_collator_of_trl_in_place_of_ours_is_an_error_and_shows_no_other_frames(
    video: str,
) -> None:
    require_or_skip("trl")
    sft: Any = importlib.import_module("trl.trainer.sft_trainer")
    processor, _ = FAMILIES["qwen3_vl"].build()
    collate = sft.DataCollatorForVisionLanguageModeling(processor)
    content = [{"type": "video", "video": video + NAMED}, {"type": "text", "text": "Which?"}]
    answer = {"role": "assistant", "content": [{"type": "text", "text": "A"}]}
    with pytest.raises(TypeError, match="Incorrect format used for video"):
        collate([{"images": [], "messages": [{"role": "user", "content": content}, answer]}])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_llama_factory_trains_on_the_frames_that_a_row_names(video: str, tmp_path: Path) -> None:
    aside = aside_or_skip("llama-factory")
    for name in ("qwen3_vl", "qwen2_5_vl"):
        for part in FAMILIES[name].build():
            part.save_pretrained(tmp_path / name)
    support = ROOT / "tests" / "support"
    paths = [ROOT, ROOT / "integrations", support / "site", support / "llama_factory/sound", aside]
    command = [sys.executable, "-m", "tests.support.llama_factory.train", str(tmp_path)]
    own = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, video + NAMED],
        env=os.environ | own | {"DISABLE_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name in ("qwen3_vl", "qwen2_5_vl"):
        assert found[name]["frames"] == [frame for frame in CHOSEN for _ in range(2)]
    assert found["qwen3_vl"]["seconds"] == [0.3, 0.4, 4.0, 10.1]
    # Cut to halves, from the first frame; the second shares its position.
    assert found["qwen2_5_vl"]["seconds"] == [0.0, 3.5, 9.5]
    code, line = found["refused"]
    assert code == 2
    assert re.search(r"^keyscore_llamafactory: the frames 3 to 120 were named, .* has 120", line)
    # Without the plugin a row that names its frames is an error, and never other frames.
    assert f"numbered.mp4{NAMED}" in found["patched"]
