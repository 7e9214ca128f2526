"""The model classes that the manifests name, ``<model id>_<simple|chat>``, made on demand.

Each one is a stock class of lmms-eval with a base of ours before it.
"""

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from keyscore_lmms_eval.arguments import SamplerArguments
from keyscore_lmms_eval.model_table import HOSTS, REFUSED, Host, Kind
from keyscore_lmms_eval.run import SampledRun, check_arguments
from keyscore_plugin.errors import InputError


def __getattr__(name: str) -> type[Any]:
    model_id, _, kind = name.rpartition("_")
    for known in (*HOSTS, *REFUSED):
        if known == (model_id, kind):
            return derived(*known)
    raise AttributeError(f"module {__name__!r} has no class {name!r}")


@cache
def derived(model_id: str, kind: Kind) -> type[Any]:
    """The class of an id: its stock class with `KeyScoreModel` or `RefusingModel` before it."""
    stock = stock_class(model_id, kind)
    own: dict[str, Any] = {"__module__": stock.__module__, "__doc__": stock.__doc__}
    if (model_id, kind) in REFUSED:
        return type(
            stock.__name__, (RefusingModel, stock), {**own, "_reason": REFUSED[model_id, kind]}
        )
    return type(stock.__name__, (KeyScoreModel, stock), {**own, "_host": HOSTS[model_id, kind]})


def stock_class(model_id: str, kind: Kind) -> type[Any]:
    """The class that lmms-eval itself has for an id."""
    models = importlib.import_module("lmms_eval.models")
    names: dict[Kind, dict[str, str]] = {
        "simple": models.AVAILABLE_SIMPLE_MODELS,
        "chat": models.AVAILABLE_CHAT_TEMPLATE_MODELS,
    }
    module = importlib.import_module(f"lmms_eval.models.{kind}.{model_id}")
    stock: type[Any] = getattr(module, names[kind][model_id])
    return stock


class KeyScoreModel:
    """Base of the classes that a sampler serves; the stock class comes after it.

    Without a sampler every call goes straight to the stock class.
    """

    _host: Host
    _keyscore: SampledRun | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the stock class; the arguments of `SamplerArguments` are taken out before."""
        stock: Any = super()
        arguments, rest = SamplerArguments.split(kwargs)
        if arguments is None:
            stock.__init__(*args, **rest)
            return
        arguments = check_arguments(arguments, self._host, rest)
        if arguments.num_frames is not None:
            rest[self._host.budget] = arguments.num_frames
        stock.__init__(*args, **rest)
        self._keyscore = SampledRun(self, arguments, self._host)

    def generate_until(self, requests: Sequence[Any]) -> list[Any]:
        """Answer as the stock class, from the frames that the sampler chose."""
        stock: Any = super()
        if self._keyscore is None:
            answers: list[Any] = stock.generate_until(requests)
            return answers
        return self._keyscore.generate(requests, stock.generate_until)

    def loglikelihood(self, requests: Sequence[Any]) -> list[Any]:
        """Call the stock method; with a sampler this raises an `InputError`."""
        return self._without_sampler("loglikelihood", requests)

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[Any]:
        """Call the stock method; with a sampler this raises an `InputError`."""
        return self._without_sampler("generate_until_multi_round", requests)

    def _without_sampler(self, name: str, requests: Sequence[Any]) -> list[Any]:
        if self._keyscore is not None:
            raise InputError(
                f"a sampler serves tasks that generate an answer, and this task asks for {name}; "
                "leave sampler= out for it"
            )
        stock: Any = super()
        answers: list[Any] = getattr(stock, name)(requests)
        return answers


class RefusingModel:
    """Base of the classes that no sampler can serve; without a sampler they are stock."""

    _reason: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the stock class.

        Raises:
            InputError: A sampler is given.
        """
        arguments, rest = SamplerArguments.split(kwargs)
        if arguments is not None:
            raise InputError(
                f"sampler={arguments.sampler} cannot serve this model of lmms-eval: {self._reason}"
            )
        stock: Any = super()
        stock.__init__(*args, **rest)
