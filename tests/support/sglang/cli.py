"""``python -m tests.support.sglang.cli OPTIONS``: a server that writes what it saw.

For each request with a video, a line of JSON goes to the file of ``KEYSCORE_TEST_SEEN``: the
prompt, the temporal position of each patch, and the mean colour of each frame. A function of Qwen's
processor that ``KEYSCORE_TEST_LACKS`` names is not there.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.support.sglang import kernels

# The second is what SGLang's other processes call the main module.
if __name__ in ("__main__", "__mp_main__"):
    from keyscore_plugin.registries import ENCODERS

    kernels.install()
    ENCODERS["colour"] = "tests.support.colour_cli:make"


def main() -> None:
    """Serve until the process is stopped."""
    from sglang.launch_server import run_server
    from sglang.srt.multimodal.processors import qwen_vl
    from sglang.srt.plugins import load_plugins
    from sglang.srt.server_args import prepare_server_args

    args = prepare_server_args(sys.argv[1:])
    if lacking := os.environ.get("KEYSCORE_TEST_LACKS"):
        delattr(qwen_vl, lacking)
    load_plugins()
    original = qwen_vl.QwenVLImageProcessor.process_mm_data_async

    async def process(self: Any, *given: Any, **more: Any) -> Any:
        made = await original(self, *given, **more)
        with Path(os.environ["KEYSCORE_TEST_SEEN"]).open("a") as file:
            file.write(json.dumps(seen(self, made)) + "\n")
        return made

    qwen_vl.QwenVLImageProcessor.process_mm_data_async = process
    run_server(args)


def seen(processor: Any, made: Any) -> dict[str, Any]:
    """What the model is shown."""
    ids = list(made.input_ids)
    is_video = [token == processor.mm_tokens.video_token_id for token in ids]
    rows = made.mrope_positions.reshape(3, -1)[0].tolist()
    return {
        "prompt": processor._processor.tokenizer.decode(ids),
        "positions": sorted({row for row, wanted in zip(rows, is_video, strict=True) if wanted}),
        "colours": [
            colour
            for item in made.mm_items
            if item.is_video()
            for colour in colours(processor, item)
        ],
    }


def colours(processor: Any, item: Any) -> list[list[float]]:
    """The mean colour, 0 to 255, of each frame of an item."""
    import torch

    settings = processor._processor.video_processor
    mean, std = torch.tensor(settings.image_mean), torch.tensor(settings.image_std)
    side, per_patch = settings.patch_size, settings.temporal_patch_size
    found: list[list[float]] = []
    rows = item.feature.float()
    for steps, height, width in item.model_specific_data["video_grid_thw"].tolist():
        n, rows_of = height * width, rows[: steps * height * width]
        rows = rows[steps * n :]
        frames = rows_of.view(steps, n, 3, per_patch, side * side).mean((1, 4)).transpose(1, 2)
        found += ((frames.reshape(-1, 3) * std + mean) * 255).tolist()
    return found


if __name__ == "__main__":
    main()
