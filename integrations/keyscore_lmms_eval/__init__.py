"""KeyScore in lmms-eval: ``--model_args pretrained=...,sampler=keyscore``.

Found through the entry-point group ``lmms_eval.models``; nothing has to be imported or set. See
`SamplerArguments` for what else model_args may hold.
"""

from keyscore_lmms_eval.arguments import SamplerArguments
from keyscore_lmms_eval.registry import manifests

__all__ = ["SamplerArguments", "manifests"]
