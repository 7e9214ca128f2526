"""What the entry point gives lmms-eval: manifests that put our classes before the stock ones."""

import inspect
from functools import wraps
from typing import Any

from keyscore_lmms_eval.model_table import HOSTS, REFUSED, Kind
from keyscore_plugin.errors import InputError

MODELS = "keyscore_lmms_eval.models"


def manifests() -> list[Any]:
    """One manifest for each id of `HOSTS` and `REFUSED`; every other class refuses a sampler.

    lmms-eval calls this while its own model package is half imported, so no model of it may be
    imported here; `MODELS` makes each class when it is first asked for.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    refuse_samplers_elsewhere()
    ids = sorted({model_id for model_id, _ in (*HOSTS, *REFUSED)})
    return [
        ModelManifest(
            model_id,
            simple_class_path=_class_path(model_id, "simple"),
            chat_class_path=_class_path(model_id, "chat"),
        )
        for model_id in ids
    ]


def _class_path(model_id: str, kind: Kind) -> str | None:
    known = (model_id, kind) in HOSTS or (model_id, kind) in REFUSED
    return f"{MODELS}.{model_id}_{kind}" if known else None


def refuse_samplers_elsewhere() -> None:
    """Check the arguments of every model class that is made by name; a second call does nothing.

    A third of the classes of lmms-eval ignore arguments that they do not know. With a sampler they
    would silently answer from evenly spaced frames.
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

    from keyscore_lmms_eval.models import KeyScoreModel, RefusingModel

    sampler = simple_parse_args_string(arg_string).get("sampler")
    is_theirs = "sampler" in inspect.signature(model_class).parameters
    is_ours = issubclass(model_class, KeyScoreModel | RefusingModel)
    if sampler in (None, "none") or is_theirs or is_ours:
        return
    served = sorted({model_id for model_id, _ in HOSTS})
    raise InputError(
        f"sampler={sampler} cannot serve {model_class.__name__} of lmms-eval, whose frames are "
        f"taken where no sampler can reach; leave it out, or take one of {', '.join(served)}"
    )
