"""KeyScore in LLaMA-Factory: rows name the frames that were chosen before.

A video of a row is a path that ends in its frames, ``"match.mp4#frames=3,40,101"``, from the
``indices`` of ``keyscore batch``. The training starts with::

    python -m keyscore_llamafactory train.yaml                        # one process
    torchrun --nproc-per-node 8 -m keyscore_llamafactory train.yaml   # several
"""

from keyscore_llamafactory.plugins import register

__all__ = ["register"]
