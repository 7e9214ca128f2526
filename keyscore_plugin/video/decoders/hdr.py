"""High dynamic range to standard: the pixels of PQ and HLG videos as an ordinary screen shows them.

The chain is FFmpeg's usual one, and the numbers are those of its filters:
``zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,``
``zscale=t=bt709:m=bt709:r=tv``. FFmpeg's scaler alone knows no transfer curves: it would show the
coded values as if they were those of BT.709, pale and dark.
"""

import struct
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from keyscore_plugin.video.decoders.decoding import side_data

Floats = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint16]
Pixels = npt.NDArray[np.uint8]

CURVES = {16: "PQ", 18: "HLG"}  # transfer characteristics, ITU-T H.273
# CIE x and y of red, green and blue by the number of the primaries in H.273; all have D65 white.
_BT2020 = 9
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    _BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_D65 = (0.3127, 0.3290)
_REFERENCE_WHITE = 100.0  # cd/m2 that count as 1, `npl` of zscale and REFERENCE_WHITE of tonemap
_UNKNOWN_PEAK = 10.0  # the guess of tonemap where the file does not say how bright it gets
_WHITE = 255 << 8  # what swscale makes of white in 16 bits
_SHADES = 1 << 12  # ours: steps of the square root of light, a quarter of a level at most
_BLOCK_PIXELS = 1 << 16  # ours: worked on at once, so that it stays in the processor's cache


@dataclass(frozen=True, slots=True)
class ToneMap:
    """How the light of one video is mapped to that of an ordinary screen.

    One map holds for the whole video, by its first frame, so that a frame looks the same whatever
    was read before it.

    Attributes:
        transfer: Transfer characteristics, a key of `CURVES`.
        primaries: Number of the primaries in H.273.
        peak: Brightest light in the video; 1 is 100 cd/m2.
    """

    transfer: int
    primaries: int
    peak: float

    @property
    def curve(self) -> str:
        """Usual name of the transfer."""
        return CURVES[self.transfer]

    @property
    def note(self) -> str:
        """What is done, in one line."""
        nits = self.peak * _REFERENCE_WHITE
        return f"HDR ({self.curve}) tone-mapped to SDR by Hable's curve, from {nits:.0f} cd/m2"

    def apply(self, coded: Words) -> Pixels:
        """``(height, width, 3)`` BT.709 pixels of 8 bits.

        Args:
            coded: ``(height, width, 3)`` RGB of the video's own curve and primaries, as swscale
                returns it in 16 bits.
        """
        rgb = coded.reshape(-1, 3)
        pixels = np.empty(rgb.shape, dtype=np.uint8)
        for start in range(0, len(rgb), _BLOCK_PIXELS):
            block = slice(start, start + _BLOCK_PIXELS)
            pixels[block] = self._map(rgb[block])
        return pixels.reshape(coded.shape)

    def _map(self, coded: Words) -> Pixels:
        """``(n, 3)`` pixels, a channel at a time: numpy is slow along an axis of three."""
        own = [_light_of(self.transfer)[coded[:, channel]] for channel in range(3)]
        light = [r * own[0] + g * own[1] + b * own[2] for r, g, b in _to_bt709(self.primaries)]
        # tonemap's rule: the brightest channel goes along the curve, the others keep their share.
        brightest = np.maximum(np.maximum(*light[:2]), light[2])
        np.maximum(brightest, np.float32(1e-6), out=brightest)
        gain = _hable(brightest) / (_hable(np.float32(self.peak)) * brightest)
        return np.stack([_level(channel * gain) for channel in light], axis=1)


def tone_map_of(frame: VideoFrame, codec: VideoCodecContext) -> ToneMap | None:
    """The tone map for a video; None for one that is not HDR.

    Args:
        frame: First frame of the video.
        codec: Decoder that it came from.
    """
    if codec.color_trc not in CURVES:
        return None
    primaries = codec.color_primaries if codec.color_primaries in _PRIMARIES else _BT2020
    return ToneMap(codec.color_trc, primaries, _peak(frame))


def _peak(frame: VideoFrame) -> float:
    """The brightest light by the metadata (CTA-861.3, SMPTE ST 2086), in the order of tonemap."""
    content = side_data(frame, "CONTENT_LIGHT_LEVEL")
    if content is not None:
        brightest: int = struct.unpack_from("=I", content)[0]
        if brightest > 0:
            return brightest / _REFERENCE_WHITE
    screen = side_data(frame, "MASTERING_DISPLAY_METADATA")
    if screen is not None:
        # AVMasteringDisplayMetadata: chromaticities and the least light as 9 fractions before it.
        numbers: tuple[int, ...] = struct.unpack_from("=4i", screen, 9 * 8)
        most, unit, _, is_given = numbers
        if is_given and most > 0 and unit > 0:
            return most / unit / _REFERENCE_WHITE
    return _UNKNOWN_PEAK


@cache
def _light_of(transfer: int) -> Floats:
    """``(65536,)`` light, 1 is 100 cd/m2, of each coded value of 16 bits."""
    signal = np.arange(1 << 16) / _WHITE
    nits = _pq(signal) if CURVES[transfer] == "PQ" else _hlg(signal)
    return (nits / _REFERENCE_WHITE).astype(np.float32)


def _pq(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """SMPTE ST 2084, equation 4.1: cd/m2 of a coded signal."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1))


def _hlg(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """ARIB STD-B67: cd/m2 of a coded signal on a screen of 1,000 cd/m2.

    The system's gamma of 1.2 is applied to each channel, as in zscale, not to the luminance.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(1_000 * scene**1.2)


def _hable(light: Floats | np.float32) -> Floats:
    """J. Hable, "Uncharted 2: HDR Lighting" (GDC 2010), with his constants."""
    a, b, c, d, e, f = (np.float32(x) for x in (0.15, 0.50, 0.10, 0.20, 0.02, 0.30))
    top = light * (light * a + b * c) + d * e
    return np.asarray(top / (light * (light * a + b) + d * f) - e / f)


def _level(light: Floats) -> Pixels:
    """The level that shows this light."""
    shade = np.sqrt(np.clip(light, 0, 1))
    return _level_of_shade()[(shade * (_SHADES - 1) + np.float32(0.5)).astype(np.uint16)]


@cache
def _level_of_shade() -> Pixels:
    """``(_SHADES,)`` level of each square root of light, by the curve of BT.1886."""
    light = np.square(np.arange(_SHADES) / (_SHADES - 1))
    return np.asarray((light ** (1 / 2.4) * 255).round().astype(np.uint8))


@cache
def _to_bt709(primaries: int) -> Floats:
    """``(3, 3)``: light in the given primaries to light in those of BT.709."""
    matrix = np.linalg.solve(_to_xyz(_PRIMARIES[1]), _to_xyz(_PRIMARIES[primaries]))
    return np.asarray(matrix.astype(np.float32))


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> npt.NDArray[np.float64]:
    """``(3, 3)``: light in the given primaries to CIE XYZ (SMPTE RP 177)."""
    corners = np.array([(x, y, 1 - x - y) for x, y in primaries]).T
    x, y = _D65
    white = np.array([x / y, 1.0, (1 - x - y) / y])
    return np.asarray(corners * np.linalg.solve(corners, white))
