"""The three steps of the method by hand: propose frames, score them, select some.

python examples/score_by_hand.py
"""

from keyscore_plugin import load_encoder, open_video, propose, sample_video, score, select

encoder = load_encoder("conse")
with open_video(sample_video("bikes")) as video:
    step = round(video.average_fps / 2)  # a grid of two frames per second
    grid = video.read(range(0, video.n_frames, step), size=(136, 320))
    duration_seconds = video.duration_seconds

candidates = propose(grid)  # STACFP, Algorithm 1
print(f"{len(candidates)} of {len(grid)} frames stand for the video")

frames = encoder.encode_frames(grid)
text = encoder.encode_text("people riding bicycles")
scores = score(frames, text, {"alpha": 0.6, "beta": 0.1, "gamma": 0.3})  # eq. 1-4
rows = select(
    scores,
    frames.pts_seconds,
    num_frames=4,
    duration_seconds=duration_seconds,
)
for row in rows.tolist():
    print(f"{frames.pts_seconds[row]:6.2f} s  KeyScore {scores.total[row]:.2f}")
