"""What the entry point gives lmms-eval: manifests that put our classes before the stock ones."""

from typing import Any

from keyscore_lmms_eval import refusal
from keyscore_lmms_eval.model_table import HOSTS, REFUSED, Kind

MODELS = "keyscore_lmms_eval.models"


def manifests() -> list[Any]:
    """One manifest for each id of `HOSTS` and `REFUSED`; every other class is to refuse samplers.

    lmms-eval calls this while its own model package is half imported, so no model of it may be
    imported here; `MODELS` makes each class when it is first asked for.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    refusal.install()
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
