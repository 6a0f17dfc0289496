"""Numbers of the kernels: counts and metres in one code, and h^(−1/3) from the bits of h."""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

# Not "reassoc": where it is allowed, a kernel's copies in other kernels add up in another order, and
# the process that compiled them then differs in the last digit from those that load them.
FAST = {"contract", "nsz", "arcp"}


@intrinsic
def _bits32(context, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int32))

    return types.int32(types.float32), codegen


@intrinsic
def _float32(context, i):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.int32), codegen


@intrinsic
def _bits64(context, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


@intrinsic
def _float64(context, i):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _root32(h):
    """h^(−1/3): a first guess from the bits, then a polynomial; relative error 3e-7."""
    f = np.float32
    y = _float32(np.int32(f(0x54A1F800) - f(_bits32(h)) * f(1.0 / 3.0)))
    e = f(1.0) - (h * y) * (y * y)
    p = f(0.22221522) + e * (f(0.17447944) + e * f(0.1457773))
    return y * (f(1.0) + e * (f(0.33332905) + e * p))


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _root64(h):
    """The same to the round-off of float64: two rounds."""
    y = _float64(np.int64(0x553EF00000000000) - np.int64(np.float64(_bits64(h)) * (1.0 / 3.0)))
    e = 1.0 - h * y * y * y
    y = y * (1.0 + e * (1 / 3 + e * (2 / 9 + e * (14 / 81 + e * (35 / 243 + e * (91 / 729))))))
    e = 1.0 - h * y * y * y
    return y * (1.0 + e * (1 / 3 + e * (2 / 9)))


def inverse_cube_root(h):
    """h^(−1/3) of a positive number."""
    raise NotImplementedError


@overload(inverse_cube_root, inline="always")
def _inverse_cube_root(h):
    if h == types.float32:
        return lambda h: _root32(h)
    return lambda h: _root64(h)


def plus(a, b):
    """a + b of one type: numba would widen int32 to int64."""
    raise NotImplementedError


@overload(plus, inline="always")
def _plus(a, b):
    if isinstance(a, types.Integer):
        return lambda a, b: np.int32(a + b)
    return lambda a, b: a + b


def minus(a, b):
    """a − b of one type."""
    raise NotImplementedError


@overload(minus, inline="always")
def _minus(a, b):
    if isinstance(a, types.Integer):
        return lambda a, b: np.int32(a - b)
    return lambda a, b: a - b


def counted(x, like):
    """The real x as a count of the type of `like`: rounded where counts are integers."""
    raise NotImplementedError


@overload(counted, inline="always")
def _counted(x, like):
    if isinstance(like, types.Integer):
        return lambda x, like: np.int32(x + (np.float32(0.5) if x > 0 else np.float32(-0.5)))
    return lambda x, like: x


def type_of(x, like):
    """x as a number of the type of `like`."""
    raise NotImplementedError


@overload(type_of, inline="always")
def _type_of(x, like):
    if like == types.float32:
        return lambda x, like: np.float32(x)
    return lambda x, like: np.float64(x)


def counted_depth(x, like):
    """A float64 as a count of the type of `like`, rounded towards zero."""
    raise NotImplementedError


@overload(counted_depth, inline="always")
def _counted_depth(x, like):
    if isinstance(like, types.Integer):
        return lambda x, like: np.int32(x)
    return lambda x, like: x


def whole(x, like):
    """x, or the whole number below it where counts are integers."""
    raise NotImplementedError


@overload(whole, inline="always")
def _whole(x, like):
    if isinstance(like, types.Integer):
        return lambda x, like: np.int64(np.floor(x))
    return lambda x, like: x


def rank(x):
    """An integer that grows with x ≥ 0, NaN above all: LLVM makes no vectors of extremes of floats."""
    raise NotImplementedError


@overload(rank, inline="always")
def _rank(x):
    if isinstance(x, types.Integer):
        return lambda x: x
    if x == types.float32:
        return lambda x: _bits32(x)
    return lambda x: _bits64(x)


def valued(x, like):
    """The number of the type of `like` whose rank is x."""
    raise NotImplementedError


@overload(valued, inline="always")
def _valued(x, like):
    if isinstance(like, types.Integer):
        return lambda x, like: x
    if like == types.float32:
        return lambda x, like: _float32(x)
    return lambda x, like: _float64(x)
