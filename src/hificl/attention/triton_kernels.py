"""The Triton kernels that join virtual pairs to attention; :mod:`hificl.attention.triton_merge` launches them.

Forward reads queries and outputs once and writes outputs once. All is computed in float32; ``precision`` is how Triton
makes its products. Heads are walked through in chunks, so that any size fits into registers. Strides are those of
[batch heads rows columns].
"""
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _head(tensor, strides, batch, head):
    """Give the address of one batch row and head; 64 bits, as a batch may hold more numbers than 32 can count."""
    return tensor + batch.to(tl.int64) * strides[0] + head.to(tl.int64) * strides[1]


@triton.jit
def _down(address, strides, rows):
    """Give the address that many rows further down."""
    return address + rows.to(tl.int64) * strides[2]


@triton.jit
def _addresses(address, strides, start, rows, columns, tile: tl.constexpr, chunk: tl.constexpr):
    """Give the addresses of [tile chunk] from column ``start`` on, and which of them lie within [rows columns]."""
    row, column = tl.arange(0, tile), start + tl.arange(0, chunk)
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    return address + row[:, None] * strides[2] + column[None, :] * strides[3], inside


@triton.jit
def _load(address, strides, start, rows, columns, tile: tl.constexpr, chunk: tl.constexpr):
    """Load [tile chunk] in float32, 0 outside."""
    addresses, inside = _addresses(address, strides, start, rows, columns, tile, chunk)
    return tl.load(addresses, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _store(address, strides, start, rows, columns, numbers, tile: tl.constexpr, chunk: tl.constexpr):
    addresses, inside = _addresses(address, strides, start, rows, columns, tile, chunk)
    tl.store(addresses, numbers.to(address.dtype.element_ty), mask=inside)


@triton.jit
def _add(address, strides, start, rows, columns, numbers, is_first, tile: tl.constexpr, chunk: tl.constexpr):
    """Add to what this program has summed, alone; the first time there is nothing."""
    addresses, inside = _addresses(address, strides, start, rows, columns, tile, chunk)
    tl.store(addresses, numbers + tl.load(addresses, mask=inside & (is_first == 0), other=0.0), mask=inside)


@triton.jit
def _product(left, right, precision: tl.constexpr):
    return tl.dot(left, right, input_precision=precision)


@triton.jit
def _scores(
    query, query_strides, key, key_strides, offset, offset_strides, number, scale, rows, virtual, head_dim,
    tile: tl.constexpr, pairs: tl.constexpr, chunk: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Score the pairs for a tile of queries, [tile pairs]; -inf beyond the last pair."""
    scores = tl.zeros([tile, pairs], tl.float32)
    for start in range(0, head_dim, chunk):
        queries = _load(query, query_strides, start, rows, head_dim, tile, chunk)
        keys = _load(key, key_strides, start, virtual, head_dim, pairs, chunk)
        scores += _product(queries, tl.trans(keys), precision)
    scores = scores * scale - number
    if offset is not None:
        scores -= _load(offset, offset_strides, 0, rows, virtual, tile, pairs)
    return tl.where((tl.arange(0, pairs) < virtual)[None, :], scores, float("-inf"))


@triton.jit
def forward(
    query, output, real_mass, joint, key, value, offset,
    query_strides, output_strides, mass_strides, joint_strides, key_strides, value_strides, offset_strides,
    heads, queries, virtual, head_dim, value_dim, number, scale,
    tile: tl.constexpr, pairs: tl.constexpr, chunk: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Join the pairs to one tile of queries; ``output`` is overwritten. One program for each tile and head."""
    tiles = (queries + tile - 1) // tile
    program = tl.program_id(0)
    head, batch = program % heads, program // heads // tiles
    first = (program // heads % tiles) * tile
    rows = queries - first
    row = tl.arange(0, tile)

    key, value = _head(key, key_strides, batch, head), _head(value, value_strides, batch, head)
    query = _down(_head(query, query_strides, batch, head), query_strides, first)
    output = _down(_head(output, output_strides, batch, head), output_strides, first)
    real_mass = _down(_head(real_mass, mass_strides, batch, head), mass_strides, first)
    joint = _down(_head(joint, joint_strides, batch, head), joint_strides, first)
    if offset is not None:
        offset = _down(_head(offset, offset_strides, batch, head), offset_strides, first)

    scores = _scores(
        query, query_strides, key, key_strides, offset, offset_strides, number, scale, rows, virtual, head_dim,
        tile, pairs, chunk, precision,
    )  # fmt: skip
    mass = tl.load(real_mass + row * mass_strides[2], mask=row < rows, other=float("-inf"))
    top = tl.maximum(tl.max(scores, axis=1), mass)
    top = tl.where(top == float("-inf"), 0.0, top)
    weights, share = tl.exp(scores - top[:, None]), tl.exp(mass - top)
    total = tl.sum(weights, axis=1) + share
    total = tl.where(total == 0.0, 1.0, total)
    weights, share = weights / total[:, None], share / total

    for start in range(0, value_dim, chunk):
        values = _load(value, value_strides, start, virtual, value_dim, pairs, chunk)
        real = _load(output, output_strides, start, rows, value_dim, tile, chunk)
        joined = real * share[:, None] + _product(weights, values, precision)
        _store(output, output_strides, start, rows, value_dim, joined, tile, chunk)
    log_sum_exp = tl.where(mass == float("-inf"), float("inf"), tl.log(total) + top)
    tl.store(joint + row * joint_strides[2], log_sum_exp, mask=row < rows)


@triton.jit
def _weights(scores, log_sum_exp):
    """Compute the weights anew; where no real key is visible (+inf), the pairs share the mass among themselves."""
    top = tl.max(scores, axis=1)
    top = tl.where(top == float("-inf"), 0.0, top)
    total = tl.sum(tl.exp(scores - top[:, None]), axis=1)
    alone = top + tl.log(tl.where(total == 0.0, 1.0, total))
    return tl.exp(scores - tl.where(log_sum_exp == float("inf"), alone, log_sum_exp)[:, None])


@triton.jit
def backward(
    query, grad, output, joint, key, value, offset, grad_query, grad_key, grad_value, grad_offset,
    query_strides, grad_strides, output_strides, joint_strides, key_strides, value_strides, offset_strides,
    grad_query_strides, grad_key_strides, grad_value_strides, grad_offset_strides,
    heads, queries, virtual, head_dim, value_dim, number, scale, splits, tiles,
    tile: tl.constexpr, pairs: tl.constexpr, chunk: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Add to ``grad_query``, and sum over the queries of ``tiles`` tiles what the pairs get.

    One program for each split of the queries and head. It alone writes to its part of the sums, [batch * splits, heads,
    virtual, ...], so that their order is always the same.
    """
    program = tl.program_id(0)
    head, batch = program % heads, program // heads // splits
    split = program // heads % splits
    part = batch * splits + split
    row, pair = tl.arange(0, tile), tl.arange(0, pairs)

    key, value = _head(key, key_strides, batch, head), _head(value, value_strides, batch, head)
    query, grad_query = _head(query, query_strides, batch, head), _head(grad_query, grad_query_strides, batch, head)
    grad, output = _head(grad, grad_strides, batch, head), _head(output, output_strides, batch, head)
    joint = _head(joint, joint_strides, batch, head)
    grad_key = _head(grad_key, grad_key_strides, part, head)
    grad_value = _head(grad_value, grad_value_strides, part, head)
    if offset is not None:
        offset = _head(offset, offset_strides, batch, head)
    offset_sum = tl.zeros([pairs], tl.float32)

    for index in range(tiles):
        first = (split * tiles + index) * tile
        rows = queries - first
        here, grad_here = _down(query, query_strides, first), _down(grad, grad_strides, first)
        output_here, added_here = _down(output, output_strides, first), _down(grad_query, grad_query_strides, first)
        offset_here = offset
        if offset is not None:
            offset_here = _down(offset, offset_strides, first)
        scores = _scores(
            here, query_strides, key, key_strides, offset_here, offset_strides, number, scale, rows, virtual, head_dim,
            tile, pairs, chunk, precision,
        )  # fmt: skip
        joint_here = _down(joint, joint_strides, first) + row * joint_strides[2]
        weights = _weights(scores, tl.load(joint_here, mask=row < rows, other=float("inf")))

        grad_scores, delta = tl.zeros([tile, pairs], tl.float32), tl.zeros([tile], tl.float32)
        for start in range(0, value_dim, chunk):
            grads = _load(grad_here, grad_strides, start, rows, value_dim, tile, chunk)
            values = _load(value, value_strides, start, virtual, value_dim, pairs, chunk)
            delta += tl.sum(grads * _load(output_here, output_strides, start, rows, value_dim, tile, chunk), axis=1)
            grad_scores += _product(grads, tl.trans(values), precision)
            share = _product(tl.trans(weights), grads, precision)
            _add(grad_value, grad_value_strides, start, virtual, value_dim, share, index == 0, pairs, chunk)
        grad_scores = weights * (grad_scores - delta[:, None])

        for start in range(0, head_dim, chunk):
            queries_here = _load(here, query_strides, start, rows, head_dim, tile, chunk)
            keys = _load(key, key_strides, start, virtual, head_dim, pairs, chunk)
            share = scale * _product(tl.trans(grad_scores), queries_here, precision)
            _add(grad_key, grad_key_strides, start, virtual, head_dim, share, index == 0, pairs, chunk)
            whole = _load(added_here, grad_query_strides, start, rows, head_dim, tile, chunk)
            whole += scale * _product(grad_scores, keys, precision)
            _store(added_here, grad_query_strides, start, rows, head_dim, whole, tile, chunk)
        offset_sum -= tl.sum(grad_scores, axis=0)
        tl.debug_barrier()  # the next tile reads the sums that other threads of this program have written

    if grad_offset is not None:
        grad_offset = _head(grad_offset, grad_offset_strides, part, head)
        tl.store(grad_offset + pair * grad_offset_strides[2], offset_sum, mask=pair < virtual)
