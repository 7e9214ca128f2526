"""Choose the frames of a video that a sentence describes, and save them with a picture of why.

python examples/select_frames.py VIDEO --caption "people riding bicycles" --out chosen
"""

import argparse
from pathlib import Path

from PIL import Image

from keyscore_plugin import KeyScoreSampler, sample_video

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("video", nargs="?", default=sample_video("bikes"))
parser.add_argument("--caption", default="people riding bicycles")
parser.add_argument("--encoder", default="conse", help="or auto (SigLIP 2), or a model id")
parser.add_argument("--out", type=Path, default=Path("chosen"))
args = parser.parse_args()

sampler = KeyScoreSampler(encoder=args.encoder)
selection = sampler(args.video, num_frames=4, caption=args.caption)

args.out.mkdir(exist_ok=True)
for pixels, seconds in zip(selection.frames().pixels, selection.pts_seconds, strict=True):
    Image.fromarray(pixels.numpy()).save(args.out / f"{seconds:.3f}s.png")
selection.show().save(args.out / "why.png")
print(selection)
