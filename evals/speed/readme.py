"""``python -m evals.speed.readme runs/speed.json``: put the figures of a run into the README.

The results are copied to last.json, and the part of README.md between two marks is made from it.
"""

import sys
from pathlib import Path

from evals.speed.results import Results
from keyscore_plugin.errors import InputError

FOLDER = Path(__file__).parent
LAST = FOLDER / "last.json"
README = FOLDER / "README.md"
_BEGIN, _END = "<!-- measured: python -m evals.speed.readme -->\n", "<!-- end of measured -->\n"


def with_figures(readme: str, results: Results) -> str:
    """The README with the results between its marks."""
    before, _, rest = readme.partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}\n{results.to_markdown()}\n{_END}{after}"


def main(argv: list[str]) -> int:
    """Copy the results and rewrite the README; returns the exit code."""
    path = Path(argv[0]) if argv else LAST
    if not path.is_file():
        print(f"speed.readme: no results in {path}; run python -m evals.speed", file=sys.stderr)
        return 2
    try:
        results = Results.load(path)
    except InputError as error:
        print(f"speed.readme: {error}", file=sys.stderr)
        return 2
    LAST.write_text(results.to_json())
    README.write_text(with_figures(README.read_text(), results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
