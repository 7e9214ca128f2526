"""The classes as texts, and the texts as one vector for each class."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from keyscore_plugin import Encoder
from keyscore_plugin.errors import InputError

DEFAULT_TEMPLATES = ("a video of a person {c}.",)
_SLOT = "{c}"


def read_templates(given: Sequence[str]) -> tuple[str, ...]:
    """Read the templates of ``--templates``.

    Args:
        given: Templates, which hold ``{c}``, and files with one template per line.

    Raises:
        InputError: A file cannot be read, a line in it has no ``{c}``, or a template occurs twice.

    Example:
        >>> read_templates(["a video of {c}"])
        ('a video of {c}',)
    """
    templates = [one for each in given for one in ([each] if _SLOT in each else _read(Path(each)))]
    twice = [one for one in dict.fromkeys(templates) if templates.count(one) > 1]
    if twice:
        raise InputError(f"the template {twice[0]!r} was given twice; leave one of them out")
    return tuple(templates)


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--templates {path}: neither a template with {_SLOT} for the class nor a file that "
            f"can be read ({error})"
        ) from error
    templates = [line.strip() for line in lines if line.strip()]
    wrong = [repr(line) for line in templates if _SLOT not in line]
    if wrong or not templates:
        raise InputError(
            f"{path} holds {wrong[0] if wrong else 'no template'}; expected one template per "
            f"line, with {_SLOT} in place of the class"
        )
    return templates


def prompt(template: str, label: str) -> str:
    """A template filled with a class.

    Example:
        >>> prompt("a video of a person {c}.", "kick_ball")
        'a video of a person kick ball.'
    """
    return template.replace(_SLOT, label.replace("_", " "))


class ClassPrompts:
    """The embeddings of the classes, averaged over templates (CLIP, arXiv 2103.00020, sec. 3.1.4).

    Args:
        classes: Names of the classes.
        templates: Templates, each with ``{c}`` in place of the class.
    """

    def __init__(self, classes: Sequence[str], templates: Sequence[str]) -> None:
        self._texts = [[prompt(template, label) for template in templates] for label in classes]
        self._latest: tuple[Encoder, Tensor] | None = None

    def vectors(self, encoder: Encoder) -> Tensor:
        """``(n_classes, d)`` unit vectors, computed once for each encoder.

        The vector of a class is the normalised mean of the unit vectors of its texts.
        """
        if self._latest is None or self._latest[0] is not encoder:
            self._latest = encoder, torch.stack([_mean(encoder, texts) for texts in self._texts])
        return self._latest[1]


def _mean(encoder: Encoder, texts: Sequence[str]) -> Tensor:
    vectors = torch.stack([encoder.encode_text(text).vector for text in texts])
    return F.normalize(vectors.mean(0), dim=0)
