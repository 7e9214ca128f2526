"""``keyscore proxy``: choose frames in front of an OpenAI-compatible server."""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.cli.options import add_settings_options, make_config
from keyscore_plugin.cli.words import amount, one_of, whole_number
from keyscore_plugin.config import IndexConfig
from keyscore_plugin.errors import CacheError, shown
from keyscore_plugin.hosts.download import DownloadLimits
from keyscore_plugin.registries import names

_PORT = 8010  # ours: next to 8000, where vLLM listens
_URLS = ("public", "any", "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.add_argument(
        "--upstream",
        required=True,
        metavar="URL",
        help="address of the server that answers, such as http://localhost:8000",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument(
        "--port",
        type=_port,
        default=_PORT,
        help=f"port to listen on; 0 takes a free one (default: {_PORT})",
    )
    _add_choosing(parser)
    _add_sources(parser)
    _add_bounds(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until the process is stopped.

    Raises:
        MissingDependencyError: The extra ``serve`` is not installed.
        InputError: An option cannot be used, or the port is taken.
        CacheError: The folder of the index cannot be used.
        ModelError: The encoder cannot be loaded.
    """
    require("starlette", extra="serve")
    _require_index(make_config(args).index)
    # The proxy is part of an integration, and those lie above the core: the core names it, and
    # imports it only here.
    serve = resolve_name("keyscore_openai.proxy.server:serve")
    serve(_settings(args), host=args.host, port=args.port)
    return 0


def _add_choosing(parser: argparse.ArgumentParser) -> None:
    """Add the options of what no client can change."""
    parser.add_argument(
        "--encoder",
        default="auto",
        metavar="NAME",
        help="encoder: conse (no download), or a model id or folder (default: auto, SigLIP 2)",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        metavar="D",
        help="device of the encoder (default: cpu, which leaves the GPU to the server)",
    )
    parser.add_argument(
        "--decoder",
        type=one_of("decoder", ["auto", *names("decoder")]),
        default="auto",
        metavar="NAME",
        help="decoder of the videos (default: auto)",
    )
    parser.add_argument(
        "--captioner",
        metavar="NAME",
        help="model that describes frames for llmvs and names clips for kframes: the model id or "
        "folder of a Video-LLM; for llmvs also labels (default: none)",
    )
    add_settings_options(parser)
    parser.add_argument(
        "--default",
        type=_json_object,
        metavar="JSON",
        help='request for clients that make none, such as {"sampler": "keyscore", "num_frames": '
        "16}; without it, frames are chosen only where a client asks for it",
    )


def _add_sources(parser: argparse.ArgumentParser) -> None:
    """Add the options of which videos clients may name."""
    parser.add_argument(
        "--allow-folder",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder whose files clients may name by path; may be given several times (default: "
        "none, paths are refused)",
    )
    parser.add_argument(
        "--urls",
        type=one_of("kind of URL", _URLS),
        default="public",
        metavar="public|any|none",
        help="addresses that are downloaded for clients: public ones only, also private ones "
        "(localhost, 10.0.0.1 ...), or none (default: public)",
    )
    parser.add_argument(
        "--max-download-bytes",
        type=whole_number,
        default=DownloadLimits().max_bytes,
        metavar="N",
        help="largest video that is downloaded (default: 2 GiB)",
    )


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    """Add the options that bound what clients can use."""
    seconds = partial(amount, unit="seconds")
    parser.add_argument(
        "--max-frames",
        type=whole_number,
        default=256,
        metavar="K",
        help="largest number of frames of one video (default: 256)",
    )
    parser.add_argument(
        "--max-body-bytes",
        type=whole_number,
        default=512 << 20,
        metavar="N",
        help="largest body of a chat request, and largest size of its chosen frames (default: "
        "512 MiB)",
    )
    parser.add_argument(
        "--jobs",
        type=whole_number,
        default=2,
        metavar="N",
        help="videos that frames are chosen of at once, each in a process with its own encoder "
        "(default: 2)",
    )
    parser.add_argument(
        "--max-waiting",
        type=whole_number,
        default=32,
        metavar="N",
        help="further videos that wait for that, and as many that wait for their download; one "
        "more is answered with 429 (default: 32)",
    )
    parser.add_argument(
        "--select-seconds",
        type=seconds,
        default=120.0,
        metavar="S",
        help="longest time for the frames of one video, its download and the waiting included "
        "(default: 120)",
    )
    parser.add_argument(
        "--answer-seconds",
        type=seconds,
        default=600.0,
        metavar="S",
        help="longest silence of the server that answers, longest time until a chat has arrived, "
        "and longest time for running answers when the proxy is stopped (default: 600)",
    )


def _settings(args: argparse.Namespace) -> Any:
    """Return the `keyscore_openai.proxy.settings.ProxySettings` of the options."""
    serving: Any = resolve_name("keyscore_serving")
    limits = DownloadLimits(
        max_bytes=args.max_download_bytes,
        max_seconds=args.select_seconds,
        public_only=args.urls == "public",
    )
    return resolve_name("keyscore_openai.proxy.settings:ProxySettings")(
        upstream=args.upstream,
        choosing=serving.ServerSettings(
            encoder=args.encoder,
            device=args.device,
            decoder=args.decoder,
            captioner=args.captioner,
            config=make_config(args),
            limits=serving.RequestLimits(max_frames=args.max_frames),
            default=args.default,
        ),
        sources=serving.VideoSources(
            folders=args.allow_folder, limits=None if args.urls == "none" else limits
        ),
        max_body_bytes=args.max_body_bytes,
        n_jobs=args.jobs,
        n_waiting=args.max_waiting,
        select_seconds=args.select_seconds,
        answer_seconds=args.answer_seconds,
    )


def _require_index(config: IndexConfig | None) -> None:
    """Refuse a folder that cannot be used now, and not in each answer.

    Raises:
        CacheError: The folder of the index cannot be used.
    """
    if config is None:
        return
    from keyscore_plugin.index.video_index import index_folder  # it imports torch

    folder = index_folder(config).path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CacheError(
            f"the index {folder} cannot be written ({error.strerror or error}); give another "
            "folder with --index"
        ) from error


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {shown(text)}")
    return int(text)


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, got {shown(text)}")
    return value
