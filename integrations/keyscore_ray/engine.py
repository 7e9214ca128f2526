"""``keyscore batch --engine ray``: the lines of a manifest, answered by actors of a cluster."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from keyscore_plugin.errors import InputError, one_line
from keyscore_plugin.hosts import Budget, DownloadLimits, Item, Records, require
from keyscore_ray.actors import Actors
from keyscore_ray.answering import Answerer

_CONNECT_SECONDS = 10.0  # ours: for a head in another building


def answers_of_ray(
    items: Sequence[Item],
    make_sampler: Callable[[], Any],
    budget: Budget,
    *,
    n_workers: int | None,
    num_gpus: float,
    limit_seconds: float,
    address: str | None,
) -> Records:
    """Answer lines in actors of Ray, and yield the records in the order of the lines.

    An actor that dies, alone or with its node, is replaced, and its line is given to another one:
    each line is yielded once. A line that several actors died of gets an error.

    Args:
        items: Lines of the manifest; a video is a path that every node sees, or an fsspec address.
        make_sampler: Function that makes the sampler and loads its models.
        budget: Number of frames or threshold for each video.
        n_workers: Number of actors, of one core each; None takes as many as the cluster holds.
        num_gpus: Share of a GPU for each actor.
        limit_seconds: Time limit for one line in seconds, once the models are loaded.
        address: Address of the cluster; None takes the one of the environment, or starts one here.

    Raises:
        InputError: The cluster cannot be reached, or does not hold the actors.
        KeyScoreError: A line cannot be answered for a reason other than its video, or no actor
            starts.
    """
    ray: Any = require("ray", extra="ray")

    def make() -> Answerer:
        return Answerer(make_sampler, budget, limit_seconds=limit_seconds, limits=DownloadLimits())

    with _cluster(ray, address):
        wanted = None if n_workers is None else min(n_workers, max(1, len(items)))
        n_actors = number_of_actors(ray.cluster_resources(), wanted, num_gpus=num_gpus)
        actors = Actors(ray, make, num_gpus=num_gpus)
        yield from actors.answer(items, n_actors=min(n_actors, max(1, len(items))))


def number_of_actors(resources: Mapping[str, float], wanted: int | None, *, num_gpus: float) -> int:
    """How many actors to start. One without a place would get a line and never answer it.

    Args:
        resources: Resources of the cluster, by the names of Ray.
        wanted: Number of actors; None takes as many as there are places.
        num_gpus: Share of a GPU for each actor, or a number of GPUs.

    Raises:
        InputError: The cluster has fewer places, or none.
    """
    n_places = int(resources.get("CPU", 0))
    if num_gpus:
        n_gpus = int(resources.get("GPU", 0))
        of_gpus = n_gpus * int(1 / num_gpus) if num_gpus <= 1 else int(n_gpus / num_gpus)
        n_places = min(n_places, of_gpus)
    n_actors = n_places if wanted is None else wanted
    if not 1 <= n_actors <= n_places:
        raise InputError(
            f"{max(1, n_actors)} workers of one core and {num_gpus:g} GPUs each do not fit into "
            f"the cluster, which has places for {n_places}; give fewer --workers, or a smaller "
            "--gpus-per-worker"
        )
    return n_actors


@contextmanager
def _cluster(ray: Any, address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start one here; leave it afterwards, unless it was joined before."""
    joined = ray.is_initialized()
    if not joined:
        address = address or os.environ.get("RAY_ADDRESS")
        try:
            _require_listener(address)
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except Exception as error:  # Ray raises errors of no class of its own
            where = "on this machine" if address is None else f"at {address}"
            raise InputError(
                f"no Ray cluster {where}: {one_line(str(error), most=150)}; give --address "
                "HOST:PORT of its head, or leave it out to join or start one here"
            ) from error
    try:
        yield
    finally:
        if not joined:
            ray.shutdown()


def _require_listener(address: str | None) -> None:
    """Check that a process listens at an address; Ray itself gives up after minutes only.

    Raises:
        OSError: None does.
    """
    host, _, port = (address or "").rpartition(":")
    if port.isdecimal() and "/" not in host:  # not ray://HOST:PORT, "auto" or "local"
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
