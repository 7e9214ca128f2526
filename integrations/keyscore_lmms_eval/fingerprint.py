"""Keys of lmms-eval's response cache that change with our settings and version."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from lmms_eval.caching import response_cache
from lmms_eval.utils import simple_parse_args_string

from keyscore_lmms_eval.arguments import SamplerArguments


class CreateWithSettings:
    """`ResponseCache.create` with our settings and version in the fingerprint of a model.

    The stock fingerprint is the text of model_args, which names files but not their content, and
    has no version: the cache would give one selection the answers of another. Model_args without a
    sampler keep the stock fingerprint.

    Args:
        stock: Method of lmms-eval.
    """

    def __init__(self, stock: Callable[..., Any]) -> None:
        self.stock = stock
        update_wrapper(self, stock)

    def __call__(
        self, cache_root: str, *, model_args: str | dict[str, Any] = "", **rest: Any
    ) -> Any:
        """Call the stock method."""
        return self.stock(cache_root, model_args=with_settings(model_args), **rest)


def install() -> None:
    """Put `CreateWithSettings` in the place of the method; a second call does nothing."""
    cache: Any = response_cache.ResponseCache
    if not isinstance(cache.create, CreateWithSettings):
        cache.create = CreateWithSettings(cache.create)


def with_settings(model_args: str | dict[str, Any]) -> str | dict[str, Any]:
    """The model_args, with the hash of our settings if they name a sampler."""
    values = simple_parse_args_string(model_args) if isinstance(model_args, str) else model_args
    arguments, _ = SamplerArguments.split(values or {})
    if arguments is None:
        return model_args
    return {**values, "keyscore_settings": arguments.config_hash()}
