"""Tensors in one safetensors file with a checksum of all its bytes; no pickle."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from keyscore_plugin.errors import InputError

_MARK = b'"seal":"'  # in JSON texts inside of the header its quotation marks are escaped
_BLANK = b"0" * 64
_LENGTH_BYTES = 8  # of the header's length, at the start of a safetensors file


def pack(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    """Write tensors and facts as one safetensors file, sealed by a SHA-256 in its header.

    Args:
        tensors: Tensors on any device.
        facts: Plain JSON values.
    """
    text = json.dumps(facts, allow_nan=False)
    metadata = {"facts": text, "check": _check(text), "seal": _BLANK.decode()}
    content = save({name: one.cpu().contiguous() for name, one in tensors.items()}, metadata)
    place = content.index(_MARK) + len(_MARK)
    return content[:place] + _seal(content, place) + content[place + len(_BLANK) :]


def unpack(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file that `pack` wrote; the tensors of a file that was changed are not read.

    Raises:
        InputError: The file was cut or changed, or `pack` did not write it.
    """
    place = content.find(_MARK, _LENGTH_BYTES, _LENGTH_BYTES + _header_bytes(content))
    place += len(_MARK)
    if place < len(_MARK) or content[place : place + len(_BLANK)] != _seal(content, place):
        raise InputError("the file was cut or changed since it was written; delete it")
    try:
        return load(content), facts_of(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError("the file holds no tensors that can be read; delete it") from error


def facts_of(content: bytes) -> dict[str, Any]:
    """The facts of a file, or of its beginning that holds the whole header.

    Raises:
        InputError: There is no such header, or the facts were changed.
    """
    header = content[_LENGTH_BYTES : _LENGTH_BYTES + _header_bytes(content)]
    try:
        metadata = json.loads(header)["__metadata__"]
        if metadata["check"] != _check(metadata["facts"]):
            raise ValueError("the facts were changed")
        facts: dict[str, Any] = json.loads(metadata["facts"])
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError("the file has no header of an index; delete it") from error
    return facts


def _check(text: str) -> str:
    """A checksum of the facts alone, which are read without the rest of the file."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _header_bytes(content: bytes) -> int:
    return int.from_bytes(content[:_LENGTH_BYTES], "little")


def _seal(content: bytes, place: int) -> bytes:
    """The checksum of the file with a blank seal, as hexadecimal digits."""
    view = memoryview(content)
    digest = hashlib.sha256(view[:place])
    digest.update(_BLANK)
    digest.update(view[place + len(_BLANK) :])
    return digest.hexdigest().encode()
