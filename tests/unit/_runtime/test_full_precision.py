"""What the program around has allowed a GPU is put aside for our work, and put back as it was.

The settings belong to torch, not to a GPU: all of this holds without one.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import torch

from keyscore_plugin._runtime.full_precision import _by_flags, exact_arithmetic

GPU = torch.device("cuda", 0)
CONVOLUTIONS: Any = getattr(torch.backends.cudnn, "conv", None)
PRODUCTS: Any = torch.backends.cuda.matmul
EVERYWHERE: Any = torch.backends
if CONVOLUTIONS is None:
    pytest.skip("torch 2.9 was the first to name a precision", allow_module_level=True)


def settings() -> tuple[object, ...]:
    cudnn = torch.backends.cudnn
    precisions = [CONVOLUTIONS, PRODUCTS, cudnn, EVERYWHERE]
    return cudnn.deterministic, cudnn.benchmark, *(one.fp32_precision for one in precisions)


def is_exact() -> bool:
    return settings()[:4] == (True, False, "ieee", "ieee")


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    yield
    torch.backends.cudnn.benchmark = False
    EVERYWHERE.fp32_precision = torch.backends.cudnn.fp32_precision = "none"
    torch.backends.cudnn.allow_tf32 = True  # what torch begins with
    torch.set_float32_matmul_precision("highest")


def old_flags() -> None:
    PRODUCTS.allow_tf32 = True


def medium() -> None:
    torch.set_float32_matmul_precision("medium")


def exact_everywhere() -> None:
    EVERYWHERE.fp32_precision = "ieee"


def fast_everywhere() -> None:
    EVERYWHERE.fp32_precision = "tf32"


def fast_on_a_gpu() -> None:
    EVERYWHERE.fp32_precision = "ieee"
    torch.backends.cudnn.fp32_precision = CONVOLUTIONS.fp32_precision = "tf32"
    torch.backends.cudnn.benchmark = True


@pytest.mark.parametrize(
    "program", [old_flags, medium, exact_everywhere, fast_everywhere, fast_on_a_gpu]
)
def test_inside_all_is_exact_and_afterwards_as_it_was(program: Callable[[], None]) -> None:
    program()
    before = settings()
    with suppress(KeyboardInterrupt), exact_arithmetic(GPU):
        assert is_exact()
        with exact_arithmetic(GPU):
            assert is_exact()
        assert is_exact()
        raise KeyboardInterrupt
    assert settings() == before


def test_the_old_flags_still_answer_a_program_that_set_them() -> None:
    torch.set_float32_matmul_precision("medium")
    with exact_arithmetic(GPU):
        pass
    assert torch.get_float32_matmul_precision() == "medium"
    assert PRODUCTS.allow_tf32 is True
    assert torch.backends.cudnn.allow_tf32 is True


def test_an_older_torch_has_its_flags_put_aside() -> None:
    torch.set_float32_matmul_precision("medium")
    before = settings()
    with _by_flags():
        assert torch.backends.cudnn.allow_tf32 is PRODUCTS.allow_tf32 is False
    assert settings() == before
    assert torch.get_float32_matmul_precision() == "medium"


def test_threads_that_overlap_leave_the_settings_of_the_program() -> None:
    fast_on_a_gpu()
    before = settings()
    inside, go_on = threading.Event(), threading.Event()
    seen: list[bool] = []

    def work_longer() -> None:
        with exact_arithmetic(GPU):
            inside.set()
            assert go_on.wait(timeout=30)
            seen.append(is_exact())

    with ExitStack() as first:
        first.enter_context(exact_arithmetic(GPU))
        other = threading.Thread(target=work_longer)
        other.start()
        assert inside.wait(timeout=30)
    go_on.set()
    other.join()
    assert seen == [True]
    assert settings() == before


def test_on_the_cpu_nothing_happens() -> None:
    fast_on_a_gpu()
    before = settings()
    with exact_arithmetic(torch.device("cpu")):
        assert settings() == before


_LATER = """
import torch
from keyscore_plugin._runtime.full_precision import exact_arithmetic
with exact_arithmetic(torch.device("cuda", 0)):
    pass
torch.backends.fp32_precision = "ieee"
cudnn = torch.backends.cudnn
print(cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision, cudnn.fp32_precision)
"""


@pytest.mark.slow
def test_what_a_program_sets_for_all_afterwards_still_counts() -> None:
    python = [sys.executable, "-c", _LATER]
    done = subprocess.run(python, capture_output=True, text=True, check=True)
    assert done.stdout == "ieee ieee ieee\n"
