"""KeyScore for SGLang: ``sampler="keyscore"`` in a server, once this package is installed.

    sglang serve --model-path Qwen/Qwen3-VL-8B-Instruct

Clients then say ``"sampler": "keyscore"`` in a chat request. Requests that do not take SGLang's own
path. ``SGLANG_PLUGINS`` chooses among the plugins of an environment; this one is ``keyscore``.
"""

from keyscore_sglang.plugin import register

__all__ = ["register"]
