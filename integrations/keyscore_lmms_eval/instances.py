"""The requests of lmms-eval, which its two kinds of models place differently."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keyscore_lmms_eval.documents import Shown, shown_in_messages, shown_in_visuals, task_of


@dataclass(frozen=True, slots=True)
class Request:
    """One request of lmms-eval, whose arguments are placed differently in its two kinds of models.

    Attributes:
        instance: Of lmms-eval.
        is_simple: The kind.
    """

    instance: Any
    is_simple: bool

    @property
    def place(self) -> tuple[int, str, str]:
        """doc_id, task and split."""
        doc_id, task, split = self.instance.args[3:6]
        return doc_id, task, split

    @property
    def function_at(self) -> int:
        """Position of ``doc_to_visual`` or ``doc_to_messages``."""
        return 2 if self.is_simple else 1

    def shown(self, doc: Mapping[str, Any]) -> list[Shown]:
        """The videos that the model would get of the document."""
        function = self.instance.args[self.function_at]
        if self.is_simple:
            return shown_in_visuals(function(doc), self.instance.args[0], task_of(function))
        return shown_in_messages(function(doc), task_of(function))

    def with_function(self, function: Callable[..., Any]) -> tuple[Any, ...]:
        """The arguments with another function."""
        arguments = list(self.instance.args)
        arguments[self.function_at] = function
        return tuple(arguments)
