"""Laws of frames that are decoded once: their times, FFmpeg's guesses, and their labels."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin.video.decoders.decoded import DecodedFrames
from keyscore_plugin.video.decoders.decoding import label
from keyscore_plugin.video.decoders.frame_index import NO_TIME

_ = NO_TIME


def decoded(pts: list[int], dts: list[int]) -> DecodedFrames:
    count = np.arange(len(pts), dtype=np.int64)
    return DecodedFrames(np.array(pts), np.array(dts), count == 0, count)


@pytest.mark.parametrize(
    ("pts", "dts", "times", "n_reckoned"),
    [
        ([0, 40, 80], [0, 40, 80], [0, 40, 80], 0),
        # H.264 in AVI: no pts, and two frames that come out when the packets have ended.
        ([_, _, _, _, _], [2, 3, 4, _, _], [2, 3, 4, 5, 6], 2),
        # XviD with packed B-frames, as FFmpeg shows it: from when the first frame comes out.
        ([_, 4, _, _, 7, _], [3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8], 0),
        # MXF with B-frames: the pts fall, and FFmpeg goes over to the dts.
        ([0, 1, 4, 3, 5, 2], [2, 3, 4, 5, 6, 7], [0, 1, 4, 5, 6, 7], 0),
        # One time that lies beyond the next is reckoned anew.
        ([10, 20, 50, 40, 50], [_, _, _, _, _], [10, 20, 30, 40, 50], 1),
        # Nothing but the first time: on at the pace of the header.
        ([7, _, _], [_, _, _], [7, 47, 87], 2),
        ([_, _, 100], [_, _, _], [20, 60, 100], 2),
        # Between two times at the pace before, or evenly where that is too slow to be in time.
        ([0, _, _, 90], [_, _, _, _], [0, 40, 80, 90], 2),
        ([0, _, _, 75], [_, _, _, _], [0, 25, 50, 75], 2),
        ([0, 20, _, _, 75], [_, _, _, _, _], [0, 20, 40, 60, 75], 2),
    ],
)
def test_times_are_ffmpegs_guesses_and_what_lies_between(
    pts: list[int], dts: list[int], times: list[int], n_reckoned: int
) -> None:
    found = decoded(pts, dts).times(gap=40)
    assert found is not None
    assert (found[0].tolist(), found[1]) == (times, n_reckoned)


@pytest.mark.parametrize(
    ("pts", "dts"),
    [
        ([_, _, _], [_, _, _]),
        ([30, 20, 10], [_, _, _]),  # most fall
        ([0, _, _, 1], [_, _, _, _]),  # no tick is left for the two between
    ],
)
def test_where_no_times_rise_there_are_none(pts: list[int], dts: list[int]) -> None:
    assert decoded(pts, dts).times(gap=40) is None


ticks = st.one_of(st.just(NO_TIME), st.integers(-(2**50), 2**50), st.integers(0, 50))


@given(st.lists(st.tuples(ticks, ticks), min_size=1, max_size=40), st.integers(1, 1000))
def test_times_rise_whatever_the_file_says(told: list[tuple[int, int]], gap: int) -> None:
    pts, dts = (list(column) for column in zip(*told, strict=True))
    found = decoded(pts, dts).times(gap=gap)
    if found is not None:
        times, n_reckoned = found
        assert len(times) == len(told)
        assert bool((np.diff(times) > 0).all())
        kept = sum(t in (p, d) for t, p, d in zip(times.tolist(), pts, dts, strict=True))
        assert kept >= len(told) - n_reckoned


def test_packets_tell_frames_only_where_each_frame_has_its_packets_time() -> None:
    packets = np.array([0, 80, 40])
    shown = DecodedFrames(np.array([0, 40, 80]), packets, packets == 0, np.array([0, 2, 1]))
    assert shown.are_identified_by(packets)
    assert not shown.are_identified_by(np.array([0, 40, 80]))  # no composition times
    assert not shown.are_identified_by(np.array([0, 80, 40, 40]))  # two packets with one time
    unknown = DecodedFrames(shown.pts, packets, shown.keyframe, np.array([0, -1, 1]))
    assert not unknown.are_identified_by(packets)


def test_a_packet_keeps_its_label_when_that_of_another_video_is_gone() -> None:
    """PyAV forgets a label with the first packet that had the same object."""
    packet, of_another = av.Packet(1), av.Packet(1)
    label(packet, 7)
    label(of_another, 7)
    del of_another
    assert packet.opaque == (7,)
