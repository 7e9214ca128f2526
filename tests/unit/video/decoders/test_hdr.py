"""Laws of the tone map, on signals alone; the pixels of files are compared with FFmpeg's."""

import numpy as np
import pytest

from keyscore_plugin.video.decoders.hdr import ToneMap
from tests.support.clips import Image

PQ, HLG = 16, 18
BT709, BT2020, P3 = 1, 9, 12
WHITE = 255 << 8  # swscale's white of 16 bits


def grey(tone_map: ToneMap, *signals: float) -> Image:
    """``(n, 3)`` pixels of grey signals, 1 is white."""
    coded = np.array(signals)[None, :, None] * np.full(3, WHITE)
    levels: Image = tone_map.apply(coded.round().astype(np.uint16))[0]
    return levels


@pytest.mark.parametrize("primaries", [BT709, BT2020, P3])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_grey_stays_grey_and_what_is_brighter_is_never_darker(
    transfer: int, primaries: int
) -> None:
    levels = grey(ToneMap(transfer, primaries, peak=10), *np.linspace(0, 1, 2000)).astype(np.int64)
    assert np.ptp(levels, axis=1).max() <= 1
    assert (np.diff(levels, axis=0) >= 0).all()
    assert levels[0].tolist() == [0, 0, 0]
    assert levels[-1].tolist() == [255, 255, 255]


def test_light_of_the_peak_is_white() -> None:
    # SMPTE ST 2084: a signal of 0.7518 is 1,000 cd/m2, one of 0.5081 is 100.
    below, at = grey(ToneMap(PQ, BT2020, peak=10), 0.73, 0.7519)
    assert below.max() < 255
    assert at.tolist() == [255] * 3
    assert grey(ToneMap(PQ, BT2020, peak=1), 0.5082).tolist() == [[255] * 3]


def test_pq_and_hlg_agree_on_the_white_of_bt_2408() -> None:
    # Its reference white of 203 cd/m2 is 58 % of PQ and 75 % of HLG.
    (pq,) = grey(ToneMap(PQ, BT2020, peak=10), 0.5807)
    (hlg,) = grey(ToneMap(HLG, BT2020, peak=10), 0.75)
    assert np.abs(pq.astype(np.int64) - hlg).max() <= 1


def test_a_colour_of_the_same_light_in_other_primaries_moves_towards_what_bt709_can_show() -> None:
    red = np.array([[[0.5, 0.1, 0.1]]]) * WHITE
    coded = red.round().astype(np.uint16)
    wide, p3, narrow = (ToneMap(PQ, p, peak=10).apply(coded)[0, 0] for p in (BT2020, P3, BT709))
    assert wide[0] >= p3[0] >= narrow[0] > 2 * narrow[1] > 0
    assert wide[1] == 0 == p3[1]  # outside of BT.709: no light is less than none
