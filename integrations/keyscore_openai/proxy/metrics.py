"""What the proxy counts, for Prometheus."""

from collections.abc import Callable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from keyscore_openai.proxy.bodies import ChatBodies
from keyscore_serving.jobs import Jobs

_SECONDS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """The counters of one proxy.

    Args:
        jobs: Jobs that choose frames, whose numbers are shown.
        fetches: Jobs that fetch videos, whose numbers are shown.
        bodies: Bodies whose size is shown.
    """

    def __init__(self, jobs: Jobs, fetches: Jobs, bodies: ChatBodies) -> None:
        self._registry = registry = CollectorRegistry()
        self._selections = Counter(
            "keyscore_selections",
            "Videos that frames were chosen of.",
            ["sampler"],
            registry=registry,
        )
        self._stages = Histogram(
            "keyscore_stage_seconds",
            "Seconds of each stage of a selection.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._hits = Counter(
            "keyscore_cache_hits", "Videos whose frames were found in the cache.", registry=registry
        )
        self._refusals = Counter(
            "keyscore_refusals", "Requests not forwarded.", ["status"], registry=registry
        )
        self._answers = Counter(
            "keyscore_answers", "Answers of the upstream server.", ["status"], registry=registry
        )
        self._show("jobs_running", "Selections at work.", lambda: jobs.running)
        self._show("jobs_waiting", "Selections that wait.", lambda: jobs.waiting)
        self._show("fetches_running", "Videos that are fetched.", lambda: fetches.running)
        self._show("fetches_waiting", "Videos that wait to be fetched.", lambda: fetches.waiting)
        self._show(
            "large_bodies_bytes",
            "Size of the chats above 1 MiB that are held.",
            lambda: bodies.held_bytes,
        )

    def _show(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Add a gauge, which asks for its value when it is read."""
        Gauge(f"keyscore_{name}", what, registry=self._registry).set_function(value)

    def selected(self, sampler: str, seconds: Mapping[str, float]) -> None:
        """Count a selection.

        Args:
            sampler: Name of the sampler.
            seconds: Seconds of each stage.
        """
        self._selections.labels(sampler).inc()
        for stage, duration in seconds.items():
            self._stages.labels(stage).observe(duration)

    def hit(self) -> None:
        """Count frames that were found in the cache."""
        self._hits.inc()

    def refused(self, status: int) -> None:
        """Count a request that is not forwarded."""
        self._refusals.labels(str(status)).inc()

    def answered(self, status: int) -> None:
        """Count an answer of the upstream server."""
        self._answers.labels(str(status)).inc()

    def text(self) -> bytes:
        """All counters, in the text format of Prometheus."""
        return generate_latest(self._registry)
