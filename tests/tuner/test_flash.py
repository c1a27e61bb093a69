"""What flash attention of transformers is told beside a mask: windows, packed sequences, padding within a row."""

from __future__ import annotations

import pytest
import torch

from closeness import assert_close
from hificl.errors import InputError
from tuner.implementations import CLOSE, LENGTHS, adapted, attend_through, attention_of, packed, padding, tokens


def test_lengths_of_packed_sequences_are_kept_apart() -> None:
    """As a collator for flash attention gives them, beside positions that say nothing."""
    ends = torch.tensor([0, *torch.tensor(LENGTHS).cumsum(0)], dtype=torch.int32)
    lengths = {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": 9, "max_length_k": 9}
    model, ids = adapted("flash_attention_2"), tokens(1, sum(LENGTHS))
    with torch.no_grad():
        places = torch.cat([torch.arange(length) for length in LENGTHS])[None]
        found = model(input_ids=ids, position_ids=places, use_cache=False, **lengths).logits
        assert_close(found, packed(adapted("sdpa")), CLOSE * 100, "logits")
        with pytest.raises(InputError, match=r"packed sequences must stand in one row.*query of \[3, 6, 17, 8\]"):
            model(input_ids=tokens(3, sum(LENGTHS)), use_cache=False, **lengths)


def test_ends_of_keys_move_on_where_those_of_queries_stay() -> None:
    """One token after another for three packed sequences: the queries end where they did, the keys further on."""
    attention, ends = attention_of(adapted("flash_attention_2", None)), torch.arange(4, dtype=torch.int32)
    for last in ([0, 5, 14, 17], [0, 6, 15, 18], [0, 7, 16, 19]):
        query, key = torch.randn(1, 6, 3, 8).double(), torch.randn(1, 2, last[-1], 8).double()
        told = {"cu_seq_lens_k": torch.tensor(last, dtype=torch.int32), "max_length_q": 1, "max_length_k": 9}
        found, wanted = (
            attend_through(attention, query, key, None, cu_seq_lens_q=queries, **told)
            for queries in (ends, ends.clone())
        )
        assert_close(found, wanted, CLOSE, "output")


def test_several_rows_are_not_packed() -> None:
    """As in transformers, positions that begin anew in the rows of a batch tell of no other sequence."""
    ids, places = tokens(3, 17), (torch.arange(17) % 6).expand(3, -1)
    earlier = torch.ones(17, 17, dtype=torch.bool).tril()[None, None]
    with torch.no_grad():
        wanted = adapted("sdpa", None)(input_ids=ids, attention_mask=earlier, position_ids=places, use_cache=False)
        found = adapted("flash_attention_2", None)(input_ids=ids, position_ids=places, use_cache=False)
    assert_close(found.logits, wanted.logits, CLOSE * 100, "logits")


def test_padding_within_a_row_does_not_count_into_the_window() -> None:
    """Flash attention cuts padding out before it applies a window; so does a row without that padding."""
    ids, mask = tokens(1), torch.ones(1, 11, dtype=torch.long)
    mask[0, 4:7] = 0
    model = adapted("flash_attention_2")
    places = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        found = model(input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False).logits
        alone = model(input_ids=ids[mask.bool()][None], use_cache=False).logits
    assert_close(found[mask.bool()][None], alone, CLOSE * 100, "logits")


def test_queries_that_are_padding_see_the_pairs_alone() -> None:
    """Nobody reads what they get, but it must be finite, and it is the same as under SDPA."""
    query, key = torch.randn(3, 6, 11, 8).double(), torch.randn(3, 2, 11, 8).double()
    mask, found = padding("left"), []
    earlier = torch.ones(11, 11, dtype=torch.bool).tril()
    for implementation, seen in (("sdpa", mask[:, None, None].bool() & earlier), ("flash_attention_2", mask)):
        attention = attention_of(adapted(implementation))
        found.append(attend_through(attention, query, key, seen))
    assert_close(found[1], found[0], CLOSE, "output")


def test_a_mask_of_another_form_is_refused_under_flash() -> None:
    attention = attention_of(adapted("flash_attention_2"))
    query, key = torch.randn(1, 6, 7, 8).double(), torch.randn(1, 2, 7, 8).double()
    with pytest.raises(InputError, match=r"takes masks of \[batch keys\], not of \[1, 1, 7, 7\]"):
        attend_through(attention, query, key, torch.ones(1, 1, 7, 7, dtype=torch.bool))
