"""Frame selectors that others published, as baselines under our call and our budget.

They are written from the formulas of their papers and from what their code was seen to do; no code
was copied. Each file holds one of them: a pure function from scores or embeddings to rows, and a
thin sampler. What holds for all:

- They read the same grid through the same encoder as `keyscore`, so that a comparison concerns the
  choice alone. The papers take 1 frame a second (AKS, BOLT, FOCUS, WFS-SB, MaxInfo) or 128 even
  ones (Q-Frame, MDP3): ``SamplerConfig(grid=GridConfig(sample_fps=1))`` and
  ``EncodeConfig(max_encoded=128)`` give that.
- The score is the cosine of frame and text, even if the paper has a matching head (BLIP ITM), so
  that any encoder can be plugged in. A method that needs scores in [0, 1] stretches them over the
  video.
- The budget is kept: exactly min(k, n) different frames. If a method finds fewer, the sampler adds
  some and says in `Selection.notes` how many and by which rule.
- Equal scores go to the earlier frame; random draws come from a seed in the settings.
- SciPy, PyWavelets and scikit-image (extra ``baselines``) are loaded by the methods that need them.
"""
