"""The command line: ``keyscore demo | select | compare | batch | index | proxy | list | doctor``.

Exit codes: 0 done; 2 bad usage, or something is not installed; 3 the video cannot be read; 4 some
lines of a batch hold an error; 130 stopped by Ctrl-C; 141 the reader of standard output is gone.
An error is one line on standard error; standard output is then empty.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from keyscore_plugin._runtime.names import hint, unknown
from keyscore_plugin._runtime.version import VERSION
from keyscore_plugin.cli.streams import open_closed_streams, say, speaking
from keyscore_plugin.errors import MOST_CHARACTERS, KeyScoreError, VideoError, one_line

_MOST_SAID = MOST_CHARACTERS - 60  # of argparse's message; the rest is for the command's name
EXIT_USAGE = 2
EXIT_VIDEO = 3
EXIT_INTERRUPTED = 128 + 2  # the shell's code for SIGINT
EXIT_BROKEN_PIPE = 128 + 13  # and for SIGPIPE

_EXIT_CODES = (
    "Exit codes: 0 done; 2 bad usage, or something is not installed; 3 the video cannot be read; "
    "4 some lines of a batch hold an error. An error is one line on standard error."
)

# Module and description of each command. Only the command that is run is imported; most need torch.
_COMMANDS = {
    "demo": ("demo", "choose frames of a video with a known answer; needs no download"),
    "select": ("select", "choose the frames of one video that matter"),
    "compare": ("compare", "show what several samplers choose at one budget, in one picture"),
    "batch": (
        "batch",
        "choose frames of every video of a folder, a list or a table; resumable",
    ),
    "index": ("index", "look at videos once, so that questions about them are answered at once"),
    "proxy": (
        "proxy",
        "choose frames for the clients of an OpenAI-compatible server, and forward their requests",
    ),
    "list": ("listing", "list the samplers, encoders, captioners and decoders"),
    "doctor": ("doctor", "show what is installed, what auto means here, and the hooks of hosts"),
}


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line; argparse prints the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        said = one_line(message, most=_MOST_SAID)  # what was given may be long or hold a line break
        self.exit(EXIT_USAGE, f"{self.prog}: {said} ({self.prog} --help says more)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after ``keyscore``; None takes those of the process.

    Returns:
        The exit code.
    """
    open_closed_streams()
    args = _parsed(sys.argv[1:] if argv is None else argv)
    with speaking(args.verbosity):
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    """Run the command that was parsed; report an error in one line."""
    try:
        code: int = args.run(args)
    except VideoError as error:
        say(one_line(f"keyscore: {error}"))
        return EXIT_VIDEO
    except KeyScoreError as error:
        say(one_line(f"keyscore: {error}"))
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    return code


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; a command or an option that does not exist ends the process."""
    named = next((word for word in words if not word.startswith("-")), None)
    parser, of_command = _parsers(named)
    if named is not None and named not in _COMMANDS:
        parser.error(unknown("command", named, _COMMANDS))
    args, rest = parser.parse_known_args(words)
    if rest:
        options = re.findall(r"--[a-z][a-z-]*", of_command.format_usage())
        of_command.error(f"unrecognized arguments: {' '.join(rest)}{hint(rest[0], options)}")
    return args


def _parsers(named: str | None) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return a parser of all commands, and the parser of the named one, which has its options."""
    parser = of_command = _Parser(
        prog="keyscore", description="The frames of a video that matter.", epilog=_EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"keyscore {VERSION}")
    commands = parser.add_subparsers(required=True, metavar=" | ".join(_COMMANDS))
    for name, (module, description) in _COMMANDS.items():
        command_parser = commands.add_parser(
            name, help=description, description=description, epilog=_EXIT_CODES, allow_abbrev=False
        )
        if name == named:
            command = import_module(f"keyscore_plugin.cli.{module}")
            command.add_arguments(command_parser)
            _add_verbosity(command_parser)
            command_parser.set_defaults(run=command.run, verbosity=0)
            of_command = command_parser
    return parser, of_command


def _add_verbosity(parser: argparse.ArgumentParser) -> None:
    """Add the options that set the verbosity for `speaking`."""
    options = parser.add_mutually_exclusive_group()
    options.add_argument(
        *("-q", "--quiet"),
        dest="verbosity",
        action="store_const",
        const=-1,
        help="print only errors to standard error: no progress, no notes",
    )
    options.add_argument(
        *("-v", "--verbose"),
        dest="verbosity",
        action="store_const",
        const=1,
        help="also print what is loaded, and the outcome of each video",
    )
