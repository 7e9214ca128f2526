"""The command line: ``keyscore demo | select | compare | batch | list``.

Exit codes: 0 done; 2 bad usage, or something is not installed; 3 the video cannot be read; 130
stopped by Ctrl-C; 141 the reader of standard output went away. An error is one line on standard
error, and then nothing stands on standard output.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from keyscore_plugin.commands.streams import open_closed_streams, say
from keyscore_plugin.errors import KeyScoreError, VideoError
from keyscore_plugin.version import VERSION

EXIT_USAGE = 2
EXIT_VIDEO = 3
EXIT_INTERRUPTED = 128 + 2  # the shell's code for SIGINT
EXIT_BROKEN_PIPE = 128 + 13  # and for SIGPIPE

# Module and description. Only the command that is run is imported: most need torch.
_COMMANDS = {
    "demo": ("demo", "see it work: a video with a known answer, no download"),
    "select": ("select", "choose the frames of one video that matter"),
    "compare": ("compare", "what several samplers choose at one budget, in one picture"),
    "batch": ("batch", "do so for every line of a manifest, resumable"),
    "list": ("listing", "what samplers, encoders, captioners and decoders there are"),
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; argparse would print the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        said = " ".join(message.split())  # what was given may hold a line break
        self.exit(EXIT_USAGE, f"{self.prog}: {said} ({self.prog} --help says more)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after ``keyscore``; None reads them from the process.

    Returns:
        The exit code.
    """
    open_closed_streams()
    words = sys.argv[1:] if argv is None else argv
    args = _parser(words).parse_args(words)
    try:
        code: int = args.run(args)
    except VideoError as error:
        say(f"keyscore: {error}")
        return EXIT_VIDEO
    except KeyScoreError as error:
        say(f"keyscore: {error}")
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """A parser of all commands that knows the options of the one which ``words`` name."""
    parser = _Parser(prog="keyscore", description="The frames of a video that matter.")
    parser.add_argument("--version", action="version", version=f"keyscore {VERSION}")
    commands = parser.add_subparsers(required=True, metavar=" | ".join(_COMMANDS))
    named = next((word for word in words if not word.startswith("-")), None)
    for name, (module, description) in _COMMANDS.items():
        command_parser = commands.add_parser(
            name, help=description, description=description, allow_abbrev=False
        )
        if name == named:
            command = import_module(f"keyscore_plugin.commands.{module}")
            command.add_arguments(command_parser)
            command_parser.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
