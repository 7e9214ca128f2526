"""A process that uses FFmpeg's decoders again and again, as a reader that seeks at random does.

Arguments: rounds, seed, ``chosen`` or ``all`` (the threads that we choose, or all that FFmpeg has),
files. Standard output: a line a file, of its name and a JSON object that counts what went wrong.
"""

import json
import random
import sys
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from keyscore_plugin.video.decoders.container import demux, open_stream
from keyscore_plugin.video.decoders.decoding import decode_packet, packets_of, set_up

_N_THREADS = 5  # more than cores: frames wait for each other in many orders
_LENGTHS = (1, 2, 3, 5, 9, 14, 40)  # packets that are decoded in a row

Frames = dict[int | None, bytes]  # a hash of each picture, by the place of its packet


class Decoders:
    """Decoders of one file, and what a new one on one thread makes of it from each keyframe."""

    def __init__(self, path: str) -> None:
        self._path = path
        container, stream = open_stream(path)
        with closing(container):
            packets = [(bytes(p), p.is_keyframe) for p in packets_of(demux(container, stream))]
        self._data = [data for data, _ in packets]
        self.n_packets = len(packets)
        self._expected: dict[int, Frames] = {}
        # Those that the container calls so, and that are: a decoder can start there.
        told = [i for i, (_, is_key) in enumerate(packets) if is_key or i == 0]
        whole = self.expected_from(0)
        self.keyframes = [i for i in told if self.expected_from(i).get(i) == whole.get(i)]

    def expected_from(self, first: int) -> Frames:
        """The frames of all packets from a keyframe on."""
        if first not in self._expected:
            container, stream = open_stream(self._path)
            with closing(container):
                set_up(stream.codec_context, "exact", careful=True)
                frames = self.frames(stream.codec_context, first, self.n_packets, drains=True)
            self._expected[first] = frames
        return self._expected[first]

    def frames(self, codec: VideoCodecContext, first: int, end: int, *, drains: bool) -> Frames:
        """The frames of some packets; without the last ones unless the decoder is drained."""
        found: Frames = {}
        for place in range(first, end):
            packet = av.Packet(self._data[place])
            packet.pts = packet.dts = place
            found.update((frame.pts, _hash(frame)) for frame in decode_packet(codec, packet))
        if drains:
            found.update((frame.pts, _hash(frame)) for frame in decode_packet(codec, None))
        return found


def faults(path: str, *, rounds: int, seed: int, all_threads: bool) -> dict[str, int]:
    """How many frames were wrong, and how many did not come, of a decoder that is flushed."""
    chance, decoders = random.Random(seed), Decoders(path)
    n_wrong = n_lost = 0
    container, stream = open_stream(path)
    with closing(container):
        codec = stream.codec_context
        set_up(codec, "exact", careful=True)  # but for the threads as the new one is
        codec.thread_count = _N_THREADS
        if all_threads:
            codec.thread_type = "AUTO"
        for _ in range(rounds):
            first = chance.choice(decoders.keyframes)
            end = min(decoders.n_packets, first + chance.choice(_LENGTHS))
            drains = chance.random() < 0.6
            expected = decoders.expected_from(first)
            found = decoders.frames(codec, first, end, drains=drains)
            # A decoder may also give pictures from before the keyframe, which no reader takes.
            n_wrong += sum(found[place] != expected[place] for place in found.keys() & expected)
            if drains:
                n_lost += sum(p is not None and p < end for p in expected.keys() - found.keys())
            codec.flush_buffers()
    return {"wrong": n_wrong, "lost": n_lost}


def _hash(frame: VideoFrame) -> bytes:
    return blake2b(frame.to_ndarray(format="rgb24").tobytes(), digest_size=8).digest()


def main() -> None:
    """Answer for each file in turn."""
    rounds, seed, threads, *paths = sys.argv[1:]
    for path in paths:
        print(Path(path).name, end=" ", flush=True)  # who crashes is named
        found = faults(path, rounds=int(rounds), seed=int(seed), all_threads=threads == "all")
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
