"""A web process loads no module that it does not need, and keeps no memory of photos that it has answered."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

# Takes 8 MB and frees them, so that glibc keeps blocks up to that size. Tells whether the next 4 MB are
# returned, too: whether they are a block of their own (hblks, the fourth number of mallinfo2).
TAKE = """
import ctypes
from hashtags_site.front.worker import return_large_blocks
return_large_blocks()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.mallinfo2.restype = type("Info", (ctypes.Structure,), {"_fields_": [("numbers", ctypes.c_size_t * 10)]})
libc.free(libc.malloc(8_000_000))
before = libc.mallinfo2().numbers[3]
libc.malloc(4_000_000)
print(libc.mallinfo2().numbers[3] - before)
"""
# The import of onnxruntime starts two threads. A process forked from one that has them crashes at its end.
NOT_NEEDED = (
    *("torch", "scipy", "sklearn", "statsmodels", "pandas", "plotly", "nltk", "crowdkit", "onnx"),
    "onnxruntime",
)
START = f"""
import hashtags_site.wsgi, sys
from django.urls import get_resolver
get_resolver().reverse_dict
print(*(name for name in {NOT_NEEDED} if name in sys.modules))
"""


def answer(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc 2.33 or newer")
def test_a_large_block_goes_back_to_the_system_when_it_is_free() -> None:
    assert answer(TAKE) == "1"


def test_a_web_process_with_all_its_addresses_has_loaded_nothing_that_it_does_not_need() -> None:
    assert answer(START) == ""
