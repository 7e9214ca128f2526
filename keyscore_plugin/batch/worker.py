"""A worker process of a batch: makes its sampler once, then answers the lines it is handed.

Both ways over the pipe go JSON lines, no pickle: a video that takes over a decoder must not reach
the process that writes the output. The worker says ``{"ready": true}``, then for each line
``{"record": {...}}``, or ``{"stop": message}`` where no line can be answered (a missing model).
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any

import torch

from keyscore_plugin.batch.asked import Budget
from keyscore_plugin.batch.manifest import Item
from keyscore_plugin.batch.run import answer
from keyscore_plugin.errors import KeyScoreError
from keyscore_plugin.samplers.base import Sampler
from keyscore_plugin.video.decoders.decoding import decode_on_one_thread


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker does.

    Attributes:
        make_sampler: Makes the sampler and loads its models; a function of a module, so that a
            new process can import it.
        budget: Of each video.
    """

    make_sampler: Callable[[], Sampler]
    budget: Budget


def encode_item(item: Item) -> bytes:
    """A line of the manifest as a line for a worker."""
    return _line({**asdict(item), "path": str(item.path)})


def work(channel: socket, job: Job) -> None:
    """Answer until the other end of the channel closes; the body of a worker process."""
    _end_with_parent()
    # What native libraries print is no result.
    os.dup2(2, 1)
    # Sums over more threads differ in their last digit, and so do the frames of a damaged video:
    # the output would depend on the number of workers if they shared out the cores. As many workers
    # as cores use them better, too.
    torch.set_num_threads(1)
    decode_on_one_thread()
    with channel, channel.makefile("rb") as lines:
        try:
            sampler = job.make_sampler()
        except KeyScoreError as error:
            channel.sendall(_line({"stop": str(error)}))
            return
        channel.sendall(_line({"ready": True}))
        for line in lines:
            channel.sendall(_line(_outcome(_decode_item(line), sampler, job.budget)))


def _outcome(item: Item, sampler: Sampler, budget: Budget) -> dict[str, Any]:
    try:
        return {"record": answer(item, sampler, budget)}
    except KeyScoreError as error:
        return {"stop": str(error)}


def _line(message: dict[str, Any]) -> bytes:
    # As ASCII, JSON carries file names that are no UTF-8, and holds no line break.
    return json.dumps(message, allow_nan=False).encode("ascii") + b"\n"


def _decode_item(line: bytes) -> Item:
    values = json.loads(line)
    return Item(**{**values, "path": Path(values["path"])})


def _end_with_parent() -> None:
    """Let this process end when its parent is gone, however that went."""
    import fcntl

    parent = parent_process()
    if parent is None:
        return
    # The far end of this pipe closes with the parent. On Linux the kernel then sends SIGIO, which
    # ends us even while a decoder holds the GIL; elsewhere the thread does, when it gets its turn.
    pipe = parent.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | fcntl.FASYNC)
    Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
