"""Choose frames of many videos with `keyscore batch`, and read the selections back.

python examples/batch_manifest.py
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from keyscore_plugin import Selection, sample_video
from keyscore_plugin.cli.main import main as keyscore

LINES = [
    {"id": "ride", "video": str(sample_video("bikes")), "caption": "people riding bicycles"},
    {"id": "call", "video": str(sample_video("carphone")), "question": "Who is in the car?"},
    {"id": "lost", "video": "no-such-file.mp4", "caption": "nothing"},
]

with TemporaryDirectory() as folder:
    manifest, out = Path(folder, "videos.jsonl"), Path(folder, "selections.jsonl")
    manifest.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    # In a shell: keyscore batch videos.jsonl --out selections.jsonl --encoder conse
    keyscore(["batch", str(manifest), "--out", str(out), "--encoder", "conse", "--quiet"])
    for line in out.read_text().splitlines():
        record = json.loads(line)
        name = record.pop("id")
        if "error" in record:
            print(f"{name}: {record['error']}")
        else:
            print(f"{name}: {Selection.from_dict(record).pts_seconds}")
