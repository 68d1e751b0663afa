"""Puts off imports that the model libraries make and seldom use, until something of them is used.

Python 3.15 does the same with its lazy imports (PEP 810). It acts on the whole process, so it is
for programs and not for library calls; and not for a process that compiles models, where
torch._dynamo must learn of each mark at once. Figures: docs/decisions/2026-11-27-start-time.md.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from types import ModuleType
from typing import Any

SELDOM_USED = (
    *("accelerate", "bitsandbytes", "boto3", "peft", "scipy", "torch._dynamo"),
    *("torch.distributed._composable", "torch.distributed.checkpoint", "torch.distributed.fsdp"),
    *("torch.distributed.tensor", "torchvision.datasets", "torchvision.models"),
    *("transformers.distributed.expert_parallel", "transformers.distributed.tensor_parallel"),
)
"""Packages of which their importers only call functions and ask for classes, and that later."""


@contextlib.contextmanager
def late_imports(packages: Sequence[str] = SELDOM_USED) -> Iterator[None]:
    """Within this context, import these packages and what is in them only on use.

    Packages that are imported already, or not installed, stay so. What is imported within the
    context works on after it; later imports are plain.
    """
    finder = _Finder([name for name in packages if name not in sys.modules])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for package in list(finder.packages):
            finder.give_way(package)


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of `packages` and makes a `_LateModule` of each."""

    def __init__(self, packages: list[str]) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if self._package(name) is None:
            return None
        found = PathFinder.find_spec(name, path)
        if found is None:
            return None
        spec = ModuleSpec(name, self, origin=found.origin)
        spec.submodule_search_locations = found.submodule_search_locations
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LateModule(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is executed before its use."""

    def give_way(self, name: str) -> None:
        """Leave the package of a module to plain imports from now on."""
        package = self._package(name)
        if package is None:
            return
        self.packages.remove(package)
        for name, module in list(sys.modules.items()):
            if isinstance(module, _LateModule) and f"{name}.".startswith(f"{package}."):
                del sys.modules[name]

    def holds(self, name: str) -> bool:
        """Return whether a module is not imported before its use."""
        return self._package(name) is not None

    def _package(self, name: str) -> str | None:
        return next((p for p in self.packages if f"{name}.".startswith(f"{p}.")), None)


class _LateModule(ModuleType):
    """Stands for a module that is not imported yet; has a `_LateName` for each name asked of it."""

    def __init__(self, name: str, finder: _Finder) -> None:
        super().__init__(name)
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return version(self.__name__)
        if name.startswith("__"):  # Python asks for these of its own accord
            raise AttributeError(name)
        if not self._finder.holds(self.__name__):  # as an attribute of its parent
            return getattr(importlib.import_module(self.__name__), name)
        mark = _MARKS.get(f"{self.__name__}.{name}")
        return mark or _LateName(self._finder, self.__name__, name)


class _LateName:
    """Stands for a function or class of a module that is imported when it is called, inherited from
    or asked for a name; nothing is an instance of a class that is not imported."""

    def __init__(self, finder: _Finder, module: str, name: str) -> None:
        self._finder, self._module, self._name = finder, module, name

    def _imported(self) -> Any:
        self._finder.give_way(self._module)
        module = importlib.import_module(self._module)
        return functools.reduce(getattr, self._name.split("."), module)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._imported()(*args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or _is_imported(self._module):
            return getattr(self._imported(), name)
        return _LateName(self._finder, self._module, f"{self._name}.{name}")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._imported(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return _is_imported(self._module) and isinstance(instance, self._imported())

    def __subclasscheck__(self, subclass: type) -> bool:
        return _is_imported(self._module) and issubclass(subclass, self._imported())

    def __or__(self, other: Any) -> Any:  # in an annotation
        return self

    __ror__ = __or__


def _is_imported(module: str) -> bool:
    return not isinstance(sys.modules.get(module), _LateModule | None)


def _disable(function: Callable[..., Any] | None = None, *args: Any, **options: Any) -> Any:
    """`torch._dynamo.disable` that asks it when the function is called, once it is imported."""
    if function is None:
        return functools.partial(_disable, **options)

    @functools.wraps(function)
    def call(*inputs: Any, **named: Any) -> Any:
        if not _is_imported("torch._dynamo"):
            return function(*inputs, **named)
        dynamo = sys.modules["torch._dynamo"]
        return dynamo.disable(function, *args, **options)(*inputs, **named)

    return call


def _assume_constant_result(function: Any) -> Any:
    function._dynamo_marked_constant = True  # as it does
    return function


_MARKS: dict[str, Callable[..., Any]] = {
    "torch._dynamo.allow_in_graph": lambda marked: marked,
    "torch._dynamo.assume_constant_result": _assume_constant_result,
    "torch._dynamo.disable": _disable,
}
"""Decorators, which are called at once: they say how to compile what is marked."""
