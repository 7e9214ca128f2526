"""``python -m evals.needle``: see evals/needle/README.md."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evals.needle.data import make_videos
from evals.needle.protocol import run
from evals.needle.report import to_json, to_markdown
from evals.needle.sources import SPLITS, get_split
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.errors import KeyScoreError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    options = _parse(argv)
    try:
        split = get_split(options.split)
        config = SamplerConfig.from_dict(json.loads(options.config))
        rows = run(
            make_videos(split, options.root),
            samplers=options.sampler,
            budgets=options.num_frames,
            encoder=load_encoder(options.encoder, device=options.device),
            config=config,
            n_videos=split.n_videos,
        )
    except KeyScoreError as error:
        print(f"needle: {error}", file=sys.stderr)
        return 2
    settings = {
        "split": split.name,
        "seed": split.seed,
        "encoder": options.encoder,
        "config": config.to_dict(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(to_json(rows, settings), indent=1) + "\n")
    print(to_markdown(rows))
    print(f"written to {options.out}", file=sys.stderr)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evals.needle", description=__doc__)
    parser.add_argument("--split", choices=list(SPLITS), default="held-out")
    parser.add_argument(
        "--sampler",
        type=_names,
        default=["uniform", "topk", "stacfp", "keyscore"],
        help="names, separated by commas",
    )
    parser.add_argument(
        "--num-frames", type=_budgets, default=[1, 2, 4, 8, 16], help="budgets, such as 4,8,16"
    )
    parser.add_argument("--encoder", default="conse")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--config", default="{}", help='settings as JSON, such as {"select": {"policy": "top"}}'
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(tempfile.gettempdir(), "keyscore-needle"),
        help="folder that keeps the joined videos (31 MB for both splits)",
    )
    parser.add_argument("--out", type=Path, default=Path("runs", "needle.json"))
    return parser.parse_args(argv)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _budgets(text: str) -> list[int]:
    budgets = [int(part) for part in text.split(",")]
    if min(budgets) < 1:
        raise argparse.ArgumentTypeError(f"budgets must be >= 1, got {text}")
    return budgets


if __name__ == "__main__":
    sys.exit(main())
