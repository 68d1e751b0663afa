"""The precision that each kind of device gets; no such device is needed."""

from __future__ import annotations

import pytest
import torch

from visuals.configs.schema import load_settings
from visuals.pipeline.build.devices import device_and_dtype


@pytest.mark.parametrize(
    ("takes_bfloat16", "asked", "dtype"),
    [
        (True, "auto", torch.bfloat16),
        (False, "auto", torch.float32),
        (False, "float16", torch.float16),
    ],
)
def test_apple_s_gpu_computes_in_bfloat16_where_torch_allows_it(
    takes_bfloat16: bool, asked: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ones(*size: int, dtype: torch.dtype, device: str) -> None:
        assert (dtype, device) == (torch.bfloat16, "mps")
        if not takes_bfloat16:
            raise TypeError("BFloat16 is not supported on MPS")

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "is_available", lambda: True, raising=False)
    monkeypatch.setattr(torch.mps, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "ones", ones)
    settings = load_settings("mini", {"run.dtype": asked})
    assert device_and_dtype(settings) == ("mps", dtype)


def test_a_cpu_computes_in_float32() -> None:
    assert device_and_dtype(load_settings("mini", {"run.device": "cpu"})) == ("cpu", torch.float32)
