"""Lay the selections of `keyscore batch` into the frame folder of VLMEvalKit, which then uses them.

python examples/vlmevalkit_frames.py selections.jsonl ~/LMUData/images/Video-MME

VLMEvalKit reads frame-1-of-8.jpg ... of a video's folder and does not sample, if all 8 are there.
It keeps one set of frames for all questions about a video, so choose by a caption, or by no text. A
selection of fewer frames than were asked for is left out: VLMEvalKit would not look for its files.
"""

import json
import sys
from pathlib import Path

from PIL import Image

from keyscore_plugin import Selection

lines, folder = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines(), Path(sys.argv[2])
for record in map(json.loads, lines):
    record.pop("id")
    if "error" in record or record["num_frames"] != len(record["indices"]):
        print(f"{record['video']}: left out, {record.get('error', 'it has too few frames')}")
        continue
    pixels = Selection.from_dict(record).frames().pixels.numpy()
    frames = folder / Path(record["video"]).stem
    frames.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(pixels, start=1):
        Image.fromarray(frame).save(frames / f"frame-{i}-of-{len(pixels)}.jpg", quality=95)
