"""The classes that the manifests name, ``<model id>_<simple|chat>``, made when asked for."""

import importlib
from functools import cache
from typing import Any

from keyscore_lmms_eval.adapter import KeyScoreModel, RefusingModel
from keyscore_lmms_eval.model_table import HOSTS, REFUSED, Kind


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
