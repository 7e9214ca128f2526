"""What is put before a model class of lmms-eval."""

from collections.abc import Sequence
from typing import Any

from keyscore_lmms_eval.arguments import SamplerArguments
from keyscore_lmms_eval.model_table import Host
from keyscore_lmms_eval.run import SampledRun, check_arguments
from keyscore_plugin.errors import InputError


class KeyScoreModel:
    """Base of the derived classes; the stock class comes after it.

    Without a sampler every call goes straight to the stock class.
    """

    _host: Host
    _keyscore: SampledRun | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As the stock class, with the arguments of `SamplerArguments` beside its own."""
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
        """As the stock class, from the frames that the sampler chose."""
        stock: Any = super()
        if self._keyscore is None:
            answers: list[Any] = stock.generate_until(requests)
            return answers
        return self._keyscore.generate(requests, stock.generate_until)

    def loglikelihood(self, requests: Sequence[Any]) -> list[Any]:
        """As the stock class; refused with a sampler."""
        return self._without_sampler("loglikelihood", requests)

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[Any]:
        """As the stock class; refused with a sampler."""
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
    """Base of the classes that no sampler can serve; without one they are stock."""

    _reason: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As the stock class.

        Raises:
            InputError: There is a sampler.
        """
        arguments, rest = SamplerArguments.split(kwargs)
        if arguments is not None:
            raise InputError(
                f"sampler={arguments.sampler} cannot serve this model of lmms-eval: {self._reason}"
            )
        stock: Any = super()
        stock.__init__(*args, **rest)
