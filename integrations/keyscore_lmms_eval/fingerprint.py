"""The response cache of lmms-eval must not take one selection's answers for another's."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from lmms_eval.caching import response_cache
from lmms_eval.utils import simple_parse_args_string

from keyscore_lmms_eval.arguments import SamplerArguments


class CreateWithSettings:
    """`ResponseCache.create`, whose fingerprint of a model holds our version and settings.

    The stock one is the text of model_args, which names files but not what is in them, and no
    version. Model_args without a sampler keep the stock fingerprint.

    Args:
        stock: The method of lmms-eval.
    """

    def __init__(self, stock: Callable[..., Any]) -> None:
        self.stock = stock
        update_wrapper(self, stock)

    def __call__(
        self, cache_root: str, *, model_args: str | dict[str, Any] = "", **rest: Any
    ) -> Any:
        """As the stock method."""
        return self.stock(cache_root, model_args=with_settings(model_args), **rest)


def install() -> None:
    """Put `CreateWithSettings` in its place; twice is fine."""
    cache: Any = response_cache.ResponseCache
    if not isinstance(cache.create, CreateWithSettings):
        cache.create = CreateWithSettings(cache.create)


def with_settings(model_args: str | dict[str, Any]) -> str | dict[str, Any]:
    """The model_args and the hash of our settings, if they name a sampler; else as they are."""
    values = simple_parse_args_string(model_args) if isinstance(model_args, str) else model_args
    arguments, _ = SamplerArguments.split(values or {})
    if arguments is None:
        return model_args
    return {**values, "keyscore_settings": arguments.config_hash()}
