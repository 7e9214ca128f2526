"""A sampler for a model of lmms-eval that none can serve is an error, and never ignored."""

import inspect
from functools import wraps
from typing import Any

from keyscore_lmms_eval.model_table import HOSTS
from keyscore_plugin.errors import InputError


def install() -> None:
    """Check the arguments of every model class that is made by name; twice is fine.

    A third of the classes of lmms-eval pass over arguments that they do not know, and would answer
    from evenly spaced frames.
    """
    from lmms_eval.api.model import lmms

    base: Any = lmms
    stock = base.create_from_arg_string.__func__
    if hasattr(stock, "__wrapped__"):
        return

    @wraps(stock)
    def create(cls: type[Any], arg_string: str, additional_config: Any = None) -> Any:
        _refuse_unserved(cls, arg_string)
        return stock(cls, arg_string, additional_config)

    base.create_from_arg_string = classmethod(create)


def _refuse_unserved(model_class: type[Any], arg_string: str) -> None:
    from lmms_eval.utils import simple_parse_args_string

    from keyscore_lmms_eval.adapter import KeyScoreModel, RefusingModel

    sampler = simple_parse_args_string(arg_string).get("sampler")
    is_theirs = "sampler" in inspect.signature(model_class).parameters
    if (
        sampler in (None, "none")
        or is_theirs
        or issubclass(model_class, KeyScoreModel | RefusingModel)
    ):
        return
    served = sorted({model_id for model_id, _ in HOSTS})
    raise InputError(
        f"sampler={sampler} cannot serve {model_class.__name__} of lmms-eval, whose frames are "
        f"taken where no sampler can reach; leave it out, or take one of {', '.join(served)}"
    )
