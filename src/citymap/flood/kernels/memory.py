"""How the kernels reach memory: rows without an owner, and lines of the cache asked for ahead of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINE_BYTES = 64
PAGE_BYTES = 4096
LARGE_PAGE_BYTES = 2 << 20


def side_by_side(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Copies of the arrays in one piece of memory that begins where a large page does.

    Linux backs large pieces with pages of 2 MB where numpy asks for them; a grid of 1000 × 1000 counts
    is just too small to be asked for alone, and a step over it then waits for a fifth of its time.
    """
    sizes = [-(-a.nbytes // PAGE_BYTES) * PAGE_BYTES for a in arrays]
    memory = np.zeros(sum(sizes) + LARGE_PAGE_BYTES, np.uint8)
    at = -memory.ctypes.data % LARGE_PAGE_BYTES
    placed = []
    for a, size in zip(arrays, sizes, strict=True):
        view = memory[at : at + a.nbytes].view(a.dtype).reshape(a.shape)
        view[...] = a
        placed.append(view)
        at += size
    return placed


@intrinsic
def unowned(context, array):
    """The same array without its owner: slices of it are not counted, which costs more than small rows."""

    def codegen(context, builder, signature, args):
        view = context.make_array(signature.args[0])(context, builder, args[0])
        view.meminfo = ir.Constant(view.meminfo.type, None)
        return view._getvalue()

    return array(array), codegen


@intrinsic
def _fetch(context, array, at):
    """Ask for the line of the cache that holds an item; no answer to wait for."""

    def codegen(context, builder, signature, args):
        view = context.make_array(signature.args[0])(context, builder, args[0])
        item = builder.bitcast(builder.gep(view.data, [args[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [item.type, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [item.type], kind)
        builder.call(prefetch, [item, number(0), number(2), number(1)])  # to read, level 2, data
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@njit(cache=True)
def fetch(a, b, c, d):
    """Ask for four rows that are needed soon: the processor's own guesses end with every page of 4 kB."""
    in_line = LINE_BYTES // a.itemsize
    for line in range(a.size // in_line + 1):
        at = line * in_line
        _fetch(a, at)
        _fetch(b, at)
        _fetch(c, at)
        _fetch(d, at)
