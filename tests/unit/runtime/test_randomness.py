"""Random bytes are nobody else's, whichever thread or process draws them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from libs.runtime.ids import is_id, new_id
from libs.runtime.randomness import random_bytes


def test_pieces_have_their_length_and_differ() -> None:
    for count in (1, 8, 11, 12, 16, 64):
        assert {len(random_bytes(count)) for _ in range(600)} == {count}
    assert len({random_bytes(16) for _ in range(5000)}) == 5000
    assert all(map(is_id, {new_id() for _ in range(300)}))


def test_only_short_pieces_are_given() -> None:
    for count in (0, 65, -1):
        with pytest.raises(ValueError, match="pieces of 1 to 64"):
            random_bytes(count)


def test_threads_get_different_ones() -> None:
    with ThreadPoolExecutor(8) as pool:
        drawn = [
            piece for part in pool.map(lambda _: [random_bytes(12) for _ in range(2000)], range(16)) for piece in part
        ]
    assert len(set(drawn)) == 32_000


def test_a_forked_process_draws_its_own() -> None:
    random_bytes(16)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"".join(random_bytes(16) for _ in range(256)))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 4096)
    os.close(reader)
    os.close(writer)
    ours = {random_bytes(16) for _ in range(256)}
    assert len(theirs) == 4096
    assert not ours & {theirs[at : at + 16] for at in range(0, 4096, 16)}
