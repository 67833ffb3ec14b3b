"""C++ loops, compiled once by what Brian2 compiles its own code with, and kept in Brian2's cache."""

from __future__ import annotations

from functools import cache
from threading import RLock
from typing import Any

from brian2 import get_logger
from brian2.codegen.cpp_prefs import get_compiler_and_args
from brian2.codegen.runtime.cython_rt.extension_manager import cython_extension_manager

__all__ = ["compiled"]

logger = get_logger(__name__)

# Without contraction and reordering, so that results do not depend on the processor.
FLAGS = {
    "unix": ["-O3", "-march=native", "-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"],
    "msvc": ["/O2", "/std:c++17", "/fp:precise"],
}

# Otherwise each index in the loops is checked, and Cython says so where stderr is no file, as in notebooks.
UNCHECKED = "# cython: boundscheck=False, wraparound=False\n"


# While Brian2 compiles, it redirects standard output; two threads that do so at once leave it redirected.
_ONE_AT_A_TIME = RLock()


def compiled(text: str) -> Any:
    """Return the module of a Cython text, compiled or from Brian2's cache; None where it cannot be made.

    Indices of memoryviews are not checked, and must not be negative.

    Notes
    -----
    Cython: Behnel et al. 2011, doi:10.1109/MCSE.2010.118.

    Examples
    --------
    >>> compiled("def double(x): return 2 * x").double(4)
    8
    """
    with _ONE_AT_A_TIME:
        return _compiled(text)


@cache
def _compiled(text: str) -> Any:
    try:
        compiler, _ = get_compiler_and_args()
        return cython_extension_manager.create_extension(
            UNCHECKED + text, extra_compile_args=FLAGS["msvc" if compiler == "msvc" else "unix"], owner_name="lnpbrian"
        )
    except Exception as error:  # whatever a compiler does not like
        logger.info(f"nothing is compiled for lnpbrian here, Brian2 and NumPy run instead: {error}", once=True)
        return None
