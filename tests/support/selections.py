"""A selection as small as one can be: `dataclasses.replace` what a test is about."""

from keyscore_plugin.types import Selection

SELECTION = Selection(
    video="a.mp4",
    sampler="uniform",
    config={},
    num_frames=1,
    indices=[0],
    pts_seconds=[0.0],
    scores=None,
    decoder="pyav",
    duration_seconds=1.0,
    average_fps=10.0,
    n_frames=10,
    n_frames_counted=True,
    n_grid=0,
    seconds={"total": 0.0},
)
