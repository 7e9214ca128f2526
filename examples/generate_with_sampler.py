"""Ask a Video-LLM of transformers a question; it sees only the frames that KeyScore chooses.

python examples/generate_with_sampler.py --model Qwen/Qwen2.5-VL-3B-Instruct
"""

import argparse

from transformers import AutoModelForImageTextToText, AutoProcessor

from keyscore_plugin import sample_video
from keyscore_transformers import enable, generate

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("video", nargs="?", default=str(sample_video("bikes")))
parser.add_argument("--question", default="What are the people riding?")
parser.add_argument("--model", default="Qwen/Qwen2.5-VL-3B-Instruct", help="or a folder")
parser.add_argument("--encoder", default="auto", help="auto is SigLIP 2; conse works offline")
args = parser.parse_args()

model = AutoModelForImageTextToText.from_pretrained(args.model, device_map="auto")
processor = enable(AutoProcessor.from_pretrained(args.model), model=model, encoder=args.encoder)
video = {"type": "video", "path": args.video}
messages = [{"role": "user", "content": [video, {"type": "text", "text": args.question}]}]
answer = generate(
    model, processor, messages, question=args.question, num_frames=8, max_new_tokens=64
)
(selection,) = processor.last_selections
print(f"{args.question} {answer}\n(from the frames at {selection.pts_seconds} s)")
