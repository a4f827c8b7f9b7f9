"""Settings of the whole suite."""

import signal

import hypothesis
import pytest

hypothesis.settings.register_profile("rewardloom", deadline=None, derandomize=True)
hypothesis.settings.load_profile("rewardloom")


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread():
    """Workers of a parallel test run must not fight over the cores."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


@pytest.fixture
def _ctrl_c_raises():
    """A shell starts what runs in its background with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
