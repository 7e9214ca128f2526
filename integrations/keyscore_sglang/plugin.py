"""The entry point: hooks of SGLang's own registry, and the middleware of its HTTP server.

SGLang calls `register` in each of its processes, and processes videos in the first. If a hook
cannot be applied, it logs that and goes on, and would answer a client's request from uniform
frames; here the start ends instead.
"""

import sys
from collections.abc import Callable
from multiprocessing import parent_process
from pkgutil import resolve_name
from typing import Any

_PROCESSOR = "sglang.srt.multimodal.processors.qwen_vl"
_HTTP = "sglang.srt.entrypoints.http_server"
# What is wrapped, and the function of ours that wraps it.
_AROUND = {
    "sglang.srt.utils.common.load_video": "keyscore_sglang.hooks:load_video",
    f"{_PROCESSOR}.preprocess_video": "keyscore_sglang.hooks:preprocess_video",
    f"{_PROCESSOR}.QwenVLImageProcessor.process_mm_data_async": (
        "keyscore_sglang.hooks:process_video_request"
    ),
}
_SERVE = f"{_HTTP}._setup_and_run_http_server"


def register() -> None:
    """Register the hooks, in the process that processes videos.

    Raises:
        SystemExit: This version of SGLang lacks a function that has to be wrapped.
    """
    if parent_process() is not None:
        return
    from sglang.srt.plugins.hook_registry import HookRegistry, HookType

    for target, hook in _AROUND.items():
        _require(target)
        HookRegistry.register(target, _lazy(hook), HookType.AROUND)
    _require(_SERVE)
    HookRegistry.register(_SERVE, _before_serving, HookType.BEFORE)


def _before_serving(server_args: Any, *_: Any, **__: Any) -> None:
    """Add the middleware, and check that SGLang applied each hook.

    Raises:
        SystemExit: It did not, or a setting cannot be used.
    """
    from sglang.srt.plugins.hook_registry import HookRegistry

    from keyscore_plugin.errors import KeyScoreError, one_line
    from keyscore_serving import FrameRequestMiddleware, ServerSettings
    from keyscore_serving.service import frame_service

    if server_args.tokenizer_worker_num > 1:
        sys.exit(
            "keyscore: --tokenizer-worker-num starts processes that plugins do not reach; leave it "
            "out, or leave the plugin out by SGLANG_PLUGINS"
        )
    for target in _AROUND:
        if target not in HookRegistry._patched:
            sys.exit(f"keyscore: SGLang did not apply the hook of {target}; {_REMEDY}")
    try:
        frame_service()  # the encoder is loaded now, so that no request waits for it
        settings = ServerSettings.from_environment()
    except KeyScoreError as error:
        sys.exit(one_line(f"keyscore: {error}"))
    resolve_name(f"{_HTTP}:app").add_middleware(FrameRequestMiddleware, settings=settings)


_REMEDY = (
    "install a version of SGLang that this plugin was tested with (0.5.23), or leave the plugin "
    "out by SGLANG_PLUGINS"
)


def _require(target: str) -> None:
    try:
        resolve_name(target)
    except (ImportError, AttributeError) as error:
        sys.exit(f"keyscore: this version of SGLang has no {target} ({error}); {_REMEDY}")


def _lazy(place: str) -> Callable[..., Any]:
    """The hook at a place; SGLang imports this module in processes that never call it."""

    def call(*args: Any, **more: Any) -> Any:
        return resolve_name(place)(*args, **more)

    return call
