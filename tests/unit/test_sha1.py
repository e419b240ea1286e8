"""SHA-1 of build ids, against the interpreter's own."""

import hashlib
import random

import pytest

from mclink._core.sha1 import sha1


@pytest.mark.parametrize("size", [*range(0, 131), 1000, 4096, 100003])
def test_same_as_hashlib(size):
    data = random.Random(size).randbytes(size)
    assert sha1(data) == hashlib.sha1(data).digest()
