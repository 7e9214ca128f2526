"""Chooses frames in a UDF of Daft, as docs/hosts/ray.md shows it, in a separate process.

    python -m tests.support.daft.choose VIDEO...

Prints one JSON list: what the UDF gave for each video.
"""

import json
import sys
from importlib import import_module
from typing import Any

from keyscore_ray import SelectFrames


def frames(self: Any, video: Any) -> list[dict[str, Any]]:
    """What was chosen for each video of a batch; a method of the UDF."""
    rows = self.select({"video": video.to_pylist()})
    names = ("indices", "seconds", "error")
    return [{name: rows[name][i] for name in names} for i in range(len(video))]


def udf(daft: Any) -> Any:
    """The UDF: a method of a class, whose object is made once in each process."""
    kind = daft.DataType
    chosen = kind.struct(
        {
            "indices": kind.list(kind.int64()),
            "seconds": kind.list(kind.float64()),
            "error": kind.string(),
        }
    )

    class Choose:
        def __init__(self) -> None:
            self.select = SelectFrames("uniform", num_frames=4)

        frames: Any = daft.method.batch(return_dtype=chosen)(frames)

    return daft.cls(Choose)().frames


def main(videos: list[str]) -> None:
    """Run the UDF over the videos."""
    daft: Any = import_module("daft")
    table = daft.from_pydict({"video": videos})
    found = table.with_column("chosen", udf(daft)(table["video"])).to_pydict()
    print(json.dumps(found["chosen"]))


if __name__ == "__main__":
    main(sys.argv[1:])
