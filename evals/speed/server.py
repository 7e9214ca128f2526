"""The cost of a question about a video to a server with the plugin and its encoder loaded."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import httpx

from evals.speed.clips import long_video
from evals.speed.measure import in_turns
from evals.speed.serving import chat
from evals.speed.table import Cell, Table
from evals.speed.whole import Clip, Setting
from keyscore_plugin.errors import InputError, shown

_TEXT = "a text alone"
_STOCK = "the server's own sampling"
_TITLE = "A question to a server with the plugin, which has its encoder loaded"
_NOTE = (
    "The times include the model's answer of one token; `of stock` compares what a video adds to "
    "a text alone."
)


def table(address: str | None, clip: Clip, setting: Setting) -> Table:
    """Milliseconds of a request, and what the video adds in units of the server's own sampling.

    Args:
        address: Address of the server, without ``/v1``. It may open the files in
            ``setting.folder``. None gives a table with only a note.
        clip: Video that is asked about.
        setting: Settings of the measurement.

    Raises:
        InputError: The server does not answer, or refuses the video.
    """
    key = ("clip", "what")
    if address is None:
        note = "left out: no server was given by --server (see evals/speed/README.md)"
        return Table("server", _TITLE, [], [note], key)
    minutes, height = clip
    video = long_video(setting.folder, seconds=60 * minutes, height=height)
    try:
        with httpx.Client(base_url=address, timeout=600) as client:
            done = in_turns(_jobs(client, video), repeats=setting.repeats, warm_up=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise InputError(
            f"--server {shown(address)} gave {shown(str(error))}; give the address of a server "
            f"with the plugin that may open the files in {setting.folder}"
        ) from error
    seconds = {name: cost.wall for name, (cost, _) in done.items()}
    added = {name: seconds[name] - seconds[_TEXT] for name in done}
    label: dict[str, Cell] = {"clip": f"{minutes:g} min, {height}p"}
    lines = [
        label | {"what": name, "ms": 1e3 * seconds[name], "of stock": added[name] / added[_STOCK]}
        for name in done
    ]
    return Table("server", _TITLE, lines, [_NOTE], key)


def _jobs(client: httpx.Client, video: Path) -> dict[str, Callable[[], None]]:
    """The questions, each of which asks something new but for the last one."""
    models = client.get("/v1/models").raise_for_status().json()
    asked = {"model": models["data"][0]["id"], "max_tokens": 1}
    numbers = count()

    def question(
        video: Path | None, sampler: str | None = None, text: str | None = None
    ) -> Callable[[], None]:
        def ask() -> None:
            body = chat(video, sampler, text or f"people riding bicycles {next(numbers)}") | asked
            client.post("/v1/chat/completions", json=body).raise_for_status()

        return ask

    return {
        _TEXT: question(None),
        _STOCK: question(video),
        "uniform: 8 frames": question(video, "uniform"),
        "keyscore: a new question": question(video, "keyscore"),
        "keyscore: the same question again": question(video, "keyscore", "a dog"),
    }
