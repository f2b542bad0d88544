import pytest
import torch

from offkey.errors import DeviceError, ParameterError
from offkey.models.network.device import Compute, full_float32, resolve_device, resolve_precision, seeded

CPU = torch.device("cpu")


def test_the_cpu_is_always_there():
    assert resolve_device("cpu") == CPU


def test_auto_takes_cuda_where_there_is_any():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_cuda_without_cuda_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"device 'cuda': .*use device 'cpu', or 'auto'"):
        resolve_device("cuda")
    assert resolve_device("auto") == CPU


def test_another_name_is_refused():
    for name in ("tpu", "cuda:", "cuda:x", "cuda1", "gpu:0", 0):
        with pytest.raises(ParameterError, match="expected auto, cpu, cuda, or one GPU such as cuda:0"):
            resolve_device(name)


def test_a_gpu_by_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(DeviceError, match="device 'cuda:2': this machine has 2 GPUs, counted from 0"):
        resolve_device("cuda:2")


def test_seeded_blocks_repeat_and_leave_the_callers_generator_alone():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with seeded(3, CPU):
        first = torch.rand(4)
    with seeded(3, CPU):
        assert torch.equal(torch.rand(4), first)
    with seeded(4, CPU):
        assert not torch.equal(torch.rand(4), first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_seeded_blocks_repeat_on_cuda():
    device = resolve_device("cuda")
    before = torch.cuda.get_rng_state(device)
    with seeded(3, device):
        first = torch.rand(4, device=device)
    with seeded(3, device):
        assert torch.equal(torch.rand(4, device=device), first)
    assert torch.equal(torch.cuda.get_rng_state(device), before)


def test_on_a_gpu_nothing_is_rounded_to_tf32_and_the_callers_switches_stay(monkeypatch):
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "deterministic", True)
    for callers in (True, False):
        monkeypatch.setattr(cudnn, "allow_tf32", callers)
        with full_float32(CPU):
            assert cudnn.allow_tf32 is callers
        with pytest.raises(ZeroDivisionError), full_float32(torch.device("cuda")):
            assert not cudnn.allow_tf32
            assert cudnn.deterministic
            1 / 0  # noqa: B018
        assert cudnn.allow_tf32 is callers


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="a torch without the newer switches")
def test_switches_of_the_newer_kind_stand():
    convolutions = torch.backends.cudnn.conv
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        with full_float32(torch.device("cuda")):
            assert convolutions.fp32_precision == "ieee"
    finally:
        convolutions.fp32_precision = before
    assert torch.backends.cudnn.allow_tf32  # the older switch can be read again


def test_precision_is_chosen_by_what_the_processor_has(monkeypatch):
    monkeypatch.setattr("offkey._native.bfloat16_in_hardware", lambda: True)
    assert resolve_precision("auto", CPU) == "bfloat16"
    monkeypatch.setattr("offkey._native.bfloat16_in_hardware", lambda: False)
    assert resolve_precision("auto", CPU) == "float32"
    assert resolve_precision("bfloat16", CPU) == "bfloat16"
    assert not Compute.of("cpu", "float32").autocast


def test_another_precision_is_refused():
    with pytest.raises(ParameterError, match="precision = 'half': expected auto, float32 or bfloat16"):
        resolve_precision("half", CPU)
