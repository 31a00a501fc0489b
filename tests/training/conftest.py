from contextlib import contextmanager

import pytest
import torch


@contextmanager
def single_thread():
    """Tiny networks are faster without threads, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with single_thread():
        yield
