import pytest
import torch

from satsynth.training.device import (
    arithmetic,
    autocast,
    choose_device,
    describe_device,
    memory_errors,
    memory_in_words,
    seconds_a_step,
)
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import ResourceError

SWITCHES = ("flash", "mem_efficient", "cudnn")


@pytest.fixture(autouse=True)
def _settings_of_torch_are_put_back():
    switches = {name: getattr(torch.backends.cuda, f"{name}_sdp_enabled")() for name in SWITCHES}
    strict = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    yield
    for name, on in switches.items():
        getattr(torch.backends.cuda, f"enable_{name}_sdp")(on)
    torch.use_deterministic_algorithms(strict[0], warn_only=strict[1])
    torch.utils.deterministic.fill_uninitialized_memory = filled


def test_cuda_asked_for_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ResourceError, match="no CUDA GPU") as caught:
        choose_device(ComputeSettings(device="cuda"))
    assert "compute.device=cpu" in caught.value.remedy


@pytest.mark.parametrize(("there", "expected"), [(False, "cpu"), (True, "cuda")])
def test_auto_takes_cuda_where_there_is_one(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device(ComputeSettings(device="auto")).type == expected
    assert choose_device(ComputeSettings(device="cpu")).type == "cpu"


@pytest.mark.parametrize(("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_of_networks(precision, expected):
    device = torch.device("cpu")
    layer = torch.nn.Linear(2, 2)
    with autocast(device, ComputeSettings(device="cpu", precision=precision)):
        assert layer(torch.ones(1, 2)).dtype == expected
    assert layer(torch.ones(1, 2)).dtype == torch.float32


def test_device_in_words(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert describe_device(torch.device("cpu")) == "CPU, 7 threads"


def test_as_many_threads_as_cores_are_granted_unless_a_number_is_given(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {2, 5, 7}, raising=False)
    assert ComputeSettings().threads == 3
    assert ComputeSettings(workers=2).threads == 2


def test_a_gpu_repeats_its_results_and_fills_no_memory_for_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    choose_device(ComputeSettings(device="cuda"))
    assert torch.are_deterministic_algorithms_enabled()
    assert not any(getattr(torch.backends.cuda, f"{name}_sdp_enabled")() for name in SWITCHES)
    assert not torch.utils.deterministic.fill_uninitialized_memory


def test_memory_that_does_not_suffice_names_the_parameter_to_lower():
    with pytest.raises(ResourceError, match="Tried to allocate 2 GiB") as caught, memory_errors("Lower `a.b`."):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has 1 GiB. See more.")
    assert "`a.b`" in caught.value.remedy


def test_memory_that_was_needed_counts_what_was_freed_again():
    needed = [float(memory_in_words(torch.device("cpu")).split()[0])]
    torch.ones(2**28).sum()
    needed.append(float(memory_in_words(torch.device("cpu")).split()[0]))
    assert needed[1] >= max(1.0, needed[0])


def test_memory_of_a_gpu_is_counted_from_the_first_step_that_is_timed(monkeypatch):
    reset = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 3 * 2**30)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 80 * 2**30))
    device = torch.device("cuda", 1)
    assert seconds_a_step(lambda step: reset.append(step), device, 2) > 0
    assert reset == [device, 0, 1, 2] and memory_in_words(device) == "3.0 of 80.0 GiB of GPU memory"


def test_what_decides_the_last_digits(monkeypatch):
    """The number of threads shares out sums on a CPU, so it belongs to what identifies results there."""
    found = []
    for threads in (1, 7):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(arithmetic(ComputeSettings(device="cpu", precision="bf16")))
    assert found[0] == {"precision": "bf16", "device": "cpu", "threads": 1}
    assert found[1] == {**found[0], "threads": 7}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert arithmetic(ComputeSettings()) == {"precision": "fp32", "device": "cuda", "threads": None}
