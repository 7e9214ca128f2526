"""Contract of damaged videos: the frames that damage spares are the sound video's own, to the bit.

The clips are real ones, of which single packets are changed.
"""

import random
from collections.abc import Callable, Collection
from pathlib import Path

import av
import pytest
import torch
from av.video.stream import VideoStream

from keyscore_plugin.errors import VideoError
from keyscore_plugin.video.decoders import decoding
from keyscore_plugin.video.decoders.frame_reader import FrameReader
from keyscore_plugin.video.decoders.scan import scan
from keyscore_plugin.video.samples import sample_video
from keyscore_plugin.video.source import VideoSource, open_video
from tests.fuzz.mutate import mutate
from tests.support.clips import X265_QUIET, Clip
from tests.support.requires import require_or_skip

pytestmark = pytest.mark.timeout(120)

N_PACKETS = 60  # of "bikes": keyframes are packets 0 and 30
HIT = 13  # a packet whose frame others refer to, up to the next keyframe
SHADOW = slice(HIT, 30)  # packets whose frames may be smeared for it
Damage = Callable[[bytes], bytes]


def flip(data: bytes, *, n_bits: int = 30) -> bytes:
    """Change some bits past the header of a slice."""
    chance, changed = random.Random(0), bytearray(data)
    for _ in range(n_bits):
        changed[chance.randrange(10, len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def write(path: Path, *, hit: Collection[int] = (), damage: Damage = flip) -> Path:
    """The first packets of a real clip, those of ``hit`` damaged."""
    with av.open(str(sample_video("bikes"))) as source, av.open(str(path), "w") as copy:
        stream = source.streams.video[0]
        written = copy.add_stream_from_template(stream)
        assert isinstance(written, VideoStream)
        for place, packet in zip(range(N_PACKETS), source.demux(stream), strict=False):
            out = av.Packet(damage(bytes(packet)) if place in hit else bytes(packet))
            out.pts, out.dts, out.time_base = packet.pts, packet.dts, packet.time_base
            out.is_keyframe, out.stream = packet.is_keyframe, written
            copy.mux(out)
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sound") / "sound.mkv")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("damaged") / "damaged.mkv", hit=[HIT])


def shadow(path: Path) -> set[int]:
    """Indices of the frames that may be smeared."""
    place = scan(str(path)).index.position
    return {i for i, p in enumerate(place.tolist()) if SHADOW.start <= p < SHADOW.stop}


def read_alone(video: VideoSource, index: int) -> torch.Tensor | None:
    try:
        return video.read([index]).pixels[0]
    except VideoError:
        return None


def test_the_frames_that_damage_spares_are_the_sound_videos_own(sound: Path, damaged: Path) -> None:
    with open_video(sound) as right, open_video(damaged) as video:
        spared = [i for i in range(N_PACKETS) if i not in shadow(damaged)]
        assert len(spared) == N_PACKETS - (SHADOW.stop - SHADOW.start)
        assert video.read(spared).pixels.equal(right.read(spared).pixels)
        assert (right.notes, video.notes) == ((), ())


def test_frames_that_may_be_smeared_are_read_and_noted(damaged: Path) -> None:
    expected = shadow(damaged)
    with open_video(damaged) as video:
        assert len(video.read(range(N_PACKETS))) == N_PACKETS
        (note,) = video.notes
        assert note.startswith(
            f"{len(expected)} frames that were decoded, the first of them frame {min(expected)}, "
            "may be smeared"
        )


def test_the_decoder_knows_which_frames_are_clean(damaged: Path) -> None:
    reader = FrameReader(str(damaged), scan(str(damaged)).index, stream=0, speed="exact")
    decoded = list(reader.frames(torch.arange(N_PACKETS).numpy()))
    reader.close()
    assert [frame.index for frame in decoded] == list(range(N_PACKETS))
    assert {frame.index for frame in decoded if not frame.is_clean} == shadow(damaged)


@pytest.mark.parametrize("n_threads", [2, 5])
def test_a_frame_of_a_damaged_video_is_the_same_however_it_is_read(
    n_threads: int, damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_n_threads", 1)
    with open_video(damaged) as video:
        right = video.read(range(N_PACKETS)).pixels
        small = torch.cat([f.pixels for f in video.thumbnails(range(N_PACKETS), short_side=64)])
    monkeypatch.setattr(decoding, "_n_threads", n_threads)
    with open_video(damaged) as video:
        assert video.read(range(N_PACKETS)).pixels.equal(right)
        for index in (29, 14, 40, 13, 20, 12, 30):
            assert video.read([index]).pixels[0].equal(right[index])
        again = torch.cat([f.pixels for f in video.thumbnails(range(N_PACKETS), short_side=64)])
        assert again.equal(small)


@pytest.mark.parametrize("seed", range(6))
def test_a_clip_that_is_damaged_at_random_gives_the_same_frames_on_any_threads(
    seed: int,
    sound: Path,
    tmp_path: Path,
    clip_path: Callable[[Clip], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = (
        Clip("mpeg4.avi", codec="mpeg4"),
        Clip("hevc.mp4", codec="libx265", b_frames=3, encoder=X265_QUIET),
    )
    files = [(path.name, path.read_bytes()) for path in (sound, *map(clip_path, others))]
    name, data = mutate(seed, files)
    path = tmp_path / name
    path.write_bytes(data)
    answers = []
    for n_threads, step in ((1, 1), (5, -1)):
        monkeypatch.setattr(decoding, "_n_threads", n_threads)
        try:
            with open_video(path) as video:
                rows = range(0, video.n_frames, 7)[::step]
                answers.append({row: read_alone(video, row) for row in rows})
        except VideoError:
            answers.append({})
    first, second = answers
    assert first.keys() == second.keys()
    for row, pixels in first.items():
        other = second[row]
        assert pixels is None if other is None else pixels is not None and pixels.equal(other)


def test_a_clean_neighbour_stands_in_for_a_smeared_frame(damaged: Path) -> None:
    smeared = sorted(shadow(damaged))
    last, first = smeared[-1], smeared[0]
    with open_video(damaged) as video:
        grid = [5, first, last, last + 20]
        batches = list(video.thumbnails(grid, short_side=64))
        chosen = torch.cat([batch.indices for batch in batches]).tolist()
        assert not set(chosen) & set(smeared)
        assert all(abs(a - b) <= (last - first) / 2 for a, b in zip(chosen, grid, strict=True))
        assert video.notes == ()


def test_a_smeared_frame_is_shown_where_no_clean_one_is_near(damaged: Path) -> None:
    with open_video(damaged) as video:
        grid = range(0, N_PACKETS, 3)
        batches = list(video.thumbnails(grid, short_side=64))
        chosen = torch.cat([batch.indices for batch in batches]).tolist()
        n_smeared = len(set(chosen) & shadow(damaged))
        assert len(chosen) == len(grid)
        assert n_smeared > 1
        assert video.notes[0].startswith(f"{n_smeared} frames that were decoded")


def test_packets_that_the_container_calls_damaged_are_counted_and_for_pyav_alone(
    tmp_path: Path,
) -> None:
    path = Clip("transport.ts").write(tmp_path)
    data = bytearray(path.read_bytes())
    packets = [place for place in range(0, len(data), 188) if data[place + 1] & 0x1F == 1]
    data[packets[len(packets) // 2] + 1] |= 0x80  # ISO/IEC 13818-1: transport_error_indicator
    path.write_bytes(data)
    with open_video(path) as video:
        assert video.notes[0].startswith("1 of its 48 packets are damaged")
    for decoder in ("torchcodec", "decord"):
        require_or_skip(decoder)
        with pytest.raises(VideoError, match="packets are damaged") as error:
            open_video(path, decoder)
        assert error.value.remedy == "use decoder='pyav'"
