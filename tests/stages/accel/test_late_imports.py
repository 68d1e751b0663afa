"""Late imports: the libraries' modules are imported when something of them is used, and work."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from visuals.stages.accel.late_imports import late_imports

SAMPLE = Path(__file__).resolve().parents[3] / "samples" / "photos" / "04-teal-mug.jpg"


def _in_a_process(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_name_is_imported_when_it_is_used(tmp_path: Path) -> None:
    package = tmp_path / "seldom"
    package.mkdir()
    (package / "__init__.py").write_text("class Base:\n    kind = 'base'\n")
    (package / "sums.py").write_text("def double(x):\n    return 2 * x\n\nclass Sum:\n    pass\n")
    out = _in_a_process(
        f"""
        import importlib.util, sys
        sys.path.insert(0, {str(tmp_path)!r})
        from visuals.stages.accel.late_imports import late_imports
        with late_imports(["seldom", "not_installed"]):
            import seldom
            from seldom.sums import Sum, double
            from seldom import Base
            assert importlib.util.find_spec("not_installed") is None
            try:
                import seldom.nothing
                raise SystemExit("a module that is not there was found")
            except ModuleNotFoundError:
                pass
            def annotated(x: Sum | None) -> None: ...
            assert not isinstance(3, (Sum, str)) and not isinstance(3, seldom.sums.Sum)
            assert type(sys.modules["seldom"]).__name__ == "_LateModule"
        assert "seldom" not in sys.modules and "seldom.sums" not in sys.modules
        assert double(21) == 42 == seldom.sums.double(21)
        import seldom.sums
        assert isinstance(Sum(), seldom.sums.Sum) and isinstance(seldom.sums.Sum(), Sum)
        assert not isinstance(3, Sum)
        class Derived(Base): ...
        assert Derived.__mro__[1] is seldom.Base and Base.kind == "base"
        """
    )
    assert out == ""


def test_what_is_imported_already_stays() -> None:
    before = sys.modules["subprocess"]
    with late_imports(["subprocess"]):
        import subprocess as again

        assert again is before
    assert sys.modules["subprocess"] is before


def test_commands_import_what_they_use_and_what_they_left_out_works_after_them(
    tmp_path: Path, mini_is_trained: bool
) -> None:
    """One process: two commands, then a compiled function, SciPy and a PEFT layer."""
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    out = _in_a_process(
        """
        import sys
        from click.testing import CliRunner
        from visuals.pipeline.cli import main

        def imported(command, out, *more):
            result = CliRunner().invoke(main, [command, *sys.argv[1:4], "--out", out, *more])
            assert result.exit_code == 0, result.output
            left = ["torch._dynamo", "torch.distributed.tensor", "scipy.optimize", "bitsandbytes"]
            return [n for n in [*left, "accelerate", "peft", "diffusers"] if n in sys.modules]

        assert imported("filter", sys.argv[4]) == []
        assert not {"torch._dynamo", "bitsandbytes"} & {*imported("run", sys.argv[5], "--steps=2")}
        from transformers.utils.import_utils import create_import_structure_from_path as listing
        assert listing.cache_info().hits > 300, "the folders of the models are listed once"
        import torch
        assert torch.distributed.tensor.DTensor.__name__ == "DTensor"  # asked of its parent
        compiled = torch.compile(lambda x: x * 2 + 1, backend="eager", fullgraph=True)
        assert compiled(torch.ones(2)).tolist() == [3, 3]
        from transformers.loss import loss_for_object_detection as loss
        if hasattr(loss, "linear_sum_assignment"):
            assert loss.linear_sum_assignment([[1, 0], [0, 1]])[1].tolist() == [1, 0]
        import peft
        model = torch.nn.Sequential(torch.nn.Linear(2, 2))
        peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["0"], r=1), model)
        assert model(torch.ones(1, 2)).shape == (1, 2)
        """,
        *(str(SAMPLE), "--class", "mug", str(tmp_path / "filter"), str(tmp_path / "run")),
    )
    assert out == ""
