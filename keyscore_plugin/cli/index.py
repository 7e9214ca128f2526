"""``keyscore index``: look at videos once, and list or prune what was kept of them."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from keyscore_plugin.cli.meter import stage_bars
from keyscore_plugin.cli.options import add_choice_options, make_config, make_sampler
from keyscore_plugin.cli.streams import own_stdout, tell
from keyscore_plugin.errors import CacheError, InputError, VideoError
from keyscore_plugin.index.folder import Entry, IndexFolder
from keyscore_plugin.index.video_index import index_folder, is_of_this_version
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.video.copies import is_unnamed

EXIT_VIDEOS = 4  # the others are kept, and some cannot be read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="a video file to look at")
    parser.add_argument(
        "--sampler",
        default="keyscore",
        metavar="NAME",
        help="sampler whose grid is looked at; keyscore and clips share one, and so do those that "
        "compare every frame with the text (default: keyscore)",
    )
    add_choice_options(parser)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="list what the index holds")
    instead.add_argument(
        "--prune",
        action="store_true",
        help="delete files that are damaged or of another version, and the least recently used "
        "ones beyond --set index.max_gb=GB",
    )


def run(args: argparse.Namespace) -> int:
    """Look at the videos, or list or prune the index.

    Returns:
        0, or `EXIT_VIDEOS` if some videos cannot be read.

    Raises:
        InputError: No video is given, or one together with --list or --prune.
        VideoError: The only video cannot be read.
        CacheError: The folder cannot be used.
    """
    if bool(args.videos) == (args.list or args.prune):
        raise InputError(
            "keyscore index takes videos to look at, or one of --list and --prune; give either"
        )
    if make_config(args).index is None:
        args.index = "auto"
    config = make_config(args).index
    assert config is not None  # the line above has named one
    folder = index_folder(config)
    with own_stdout() as print_result:
        if args.videos:
            return _look(args, folder)
        lines = list(_listed(folder) if args.list else _pruned(folder))
        print_result("\n".join(lines))
    return 0


def _look(args: argparse.Namespace, folder: IndexFolder) -> int:
    """Look at each video; one that cannot be read costs only itself."""
    n_failed = 0
    with stage_bars():
        sampler = make_sampler(args, load_models=True)
        if not isinstance(sampler, SamplerTemplate):
            raise InputError(f"the sampler {sampler.name} keeps no index; give one of KeyScore")
        for video in args.videos:
            start = time.perf_counter()
            try:
                notes = sampler.fill_index(video)
            except VideoError as error:
                if len(args.videos) == 1:
                    raise
                n_failed += 1
                tell(str(error))
                continue
            for note in notes:
                tell(f"note: {note}")
            tell(f"{video}: looked at in {time.perf_counter() - start:.1f} s")
    tell(f"{folder.path}: {_megabytes(folder.entries())}")
    return EXIT_VIDEOS if n_failed else 0


def _listed(folder: IndexFolder) -> Iterator[str]:
    """One line for each file, the most recently used one first, and a line of their sum."""
    entries = folder.entries()
    for entry in entries:
        yield _line(entry)
    yield f"{folder.path}: {_megabytes(entries)}"


def _pruned(folder: IndexFolder) -> Iterator[str]:
    """One line for each file that was deleted, and a line of what is left."""
    try:
        deleted = folder.prune(is_of_this_version)
    except OSError as error:
        raise CacheError(
            f"cannot prune the index {folder.path}: {error.strerror or error}; check that you may "
            "write there"
        ) from error
    for entry in deleted:
        yield f"deleted {_line(entry)}"
    yield f"{folder.path}: {_megabytes(folder.entries())}"


def _line(entry: Entry) -> str:
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
    size = f"{entry.n_bytes / 1e6:.1f} MB"
    if entry.facts is None:
        return f"{entry.path.name}  damaged  {size}  used {used}"
    facts = entry.facts
    encoder = facts["encoder"] or "no encoder"
    embedded = f"{facts['n_embedded']} of {facts['n_grid']} frames embedded"
    video: str = facts["video"]
    name = "(from a URL or data)" if is_unnamed(video) else Path(video).name
    version = "" if is_of_this_version(facts) else f"  of version {facts['version']}"
    return f"{name}  {encoder}  {facts['grid'][0]}  {embedded}  {size}  used {used}{version}"


def _megabytes(entries: list[Entry]) -> str:
    n_bytes = sum(entry.n_bytes for entry in entries)
    return f"{len(entries)} files, {n_bytes / 1e6:.1f} MB"
