"""Processes that can be stopped before and after every `await` of the product, as SIGKILL and SIGSTOP stop them.

While `checkpoints` is open, every `await`, `async with` and `async for` of the watched modules reports to the life that
it runs in (a context variable, which tasks inherit) before and after it is carried out. The functions keep their
identity, only their code is exchanged: nothing has to be imported anew, and afterwards all is as it was.
"""

import ast
import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, TracebackType
from typing import Any

#: The life that the running code belongs to; none: a bystander, whom nothing stops.
LIFE: ContextVar["Life | None"] = ContextVar("life", default=None)

_PRODUCT = ("services", "shared")
_ROOT = Path(__file__).parents[2]
_POINT, _AROUND, _EACH = "__point__", "__around__", "__each__"


@dataclass(frozen=True, slots=True)
class Await:
    """One place of the source where the product waits for something."""

    module: str
    function: str
    line: int
    column: int
    #: What is waited for, as it is written.
    text: str

    def __str__(self) -> str:
        return f"{self.module.replace('.', '/')}.py:{self.line} ({self.function})"


class Life:
    """One process, and where it is to stop: `at` is the number of the point, in the order in which they are reached."""

    def __init__(self, name: str, at: int | None = None) -> None:
        self.name = name
        self.at = at
        #: Every point that was reached, in order.
        self.reached: list[str] = []
        self.awaits: set[Await] = set()
        #: Set when the process has come to its point.
        self.stopped = asyncio.Event()
        self._going_on = asyncio.Event()
        self._going_on.set()
        self._over = False

    @property
    def halted(self) -> bool:
        """Whether the process is dead or frozen: it does nothing any more, or nothing for now."""
        return not self._going_on.is_set()

    async def reach(self, point: str) -> None:
        """Come to the next point; a process that has stopped goes no further, whatever wakes it."""
        await self._gate()
        number = len(self.reached)
        self.reached.append(point)
        if number == self.at:
            self.halt()
            await self._gate()

    def halt(self) -> None:
        """Stop where it stands, every task of it: no `except` and no `finally` runs."""
        self._going_on.clear()
        self.stopped.set()

    def thaw(self) -> None:
        """Let a frozen process go on; what it was called off from meanwhile, it hears now."""
        self._going_on.set()

    def end(self) -> None:
        """The test is over: what is left is cleared away and does nothing on its way out."""
        self._over = True
        self._going_on.clear()

    async def _gate(self) -> None:
        called_off: asyncio.CancelledError | None = None
        while self.halted:
            if self._over:
                raise asyncio.CancelledError
            try:
                await self._going_on.wait()
            except asyncio.CancelledError as cancellation:
                if self._over:
                    raise
                called_off = cancellation
        if called_off is not None:
            raise called_off


async def reach(point: str) -> None:
    """Come to a point of whatever process this code runs in."""
    life = LIFE.get()
    if life is not None:
        await life.reach(point)


@cache
def product_modules(*packages: str) -> tuple[ModuleType, ...]:
    """Every module of these packages that waits for anything; of the product where none is named."""
    names = [
        found.name
        for package in packages or _PRODUCT
        for found in pkgutil.walk_packages([str(_ROOT / package)], f"{package}.")
        if not found.name.endswith("__main__")
    ]
    modules = [importlib.import_module(name) for name in sorted(names)]
    return tuple(module for module in modules if _rewriting(module).awaits)


def awaits_of(modules: Sequence[ModuleType]) -> list[Await]:
    """Every place in these modules where something is waited for, read from their source."""
    return [place for module in modules for place in _rewriting(module).awaits]


@contextmanager
def checkpoints(modules: Sequence[ModuleType]) -> Iterator[None]:
    """Let every await of these modules report, while this is open; inside another one it changes nothing.

    Raises:
        LookupError: an await stands where it cannot be reached: the harness must be taught about it.
    """
    exchanged: list[tuple[FunctionType, CodeType]] = []
    modules = [module for module in modules if _POINT not in vars(module)]
    try:
        for module in modules:
            rewriting = _rewriting(module)
            code = dict(_code_by_place(rewriting.code))
            functions = {_place(f.__code__): f for f in _functions(module)}
            if missing := [place for place, c in code.items() if _reports(c) and place not in functions]:
                raise LookupError(f"{module.__name__}: {missing} wait for something and cannot be watched")
            vars(module).update({_POINT: rewriting.point, _AROUND: rewriting.around, _EACH: rewriting.each})
            for place, function in functions.items():
                if place in code and _reports(code[place]):
                    exchanged.append((function, function.__code__))
                    function.__code__ = code[place]
        yield
    finally:
        for function, original in exchanged:
            function.__code__ = original
        for module in modules:
            for name in (_POINT, _AROUND, _EACH):
                vars(module).pop(name, None)


class _Rewriting(ast.NodeTransformer):
    """One module's source, with a point before and after each await."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._file = inspect.getsourcefile(module) or ""
        self._names: list[str] = []
        self.awaits: list[Await] = []
        tree = self.visit(ast.parse(Path(self._file).read_text()))
        #: The code of the whole module, rewritten.
        self.code: CodeType = compile(ast.fix_missing_locations(tree), self._file, "exec")

    async def point(self, number: int, when: str) -> None:
        """Before, or after, one of the awaits."""
        life = LIFE.get()
        if life is not None:
            life.awaits.add(self.awaits[number])
            await life.reach(_named(when, self.awaits[number]))

    def around(self, number: int, entered: AbstractAsyncContextManager[Any]) -> "_Around":
        """An `async with`."""
        return _Around(entered, lambda when: self.point(number, when))

    async def each(self, number: int, items: AsyncIterable[Any]) -> AsyncIterator[Any]:
        """An `async for`."""
        iterator = aiter(items)
        while True:
            await self.point(number, "before the next of")
            try:
                item = await anext(iterator)
            except StopAsyncIteration:
                await self.point(number, "after the last of")
                return
            await self.point(number, "after the next of")
            yield item

    def visit_Await(self, node: ast.Await) -> ast.AST:
        number = self._noted(node)
        self.generic_visit(node)
        steps: list[ast.expr] = [self._point(number, "before"), node, self._point(number, "after")]
        return ast.copy_location(ast.Subscript(ast.Tuple(steps, ast.Load()), ast.Constant(1), ast.Load()), node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        for item in node.items:
            number = self._noted(item.context_expr)
            item.context_expr = _call(_AROUND, ast.Constant(number), item.context_expr)
        self.generic_visit(node)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        node.iter = _call(_EACH, ast.Constant(self._noted(node.iter)), node.iter)
        self.generic_visit(node)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        if node.is_async:
            node.iter = _call(_EACH, ast.Constant(self._noted(node.iter)), node.iter)
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._named(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._named(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._named(node)

    def _named(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self._names.append(node.name)
        self.generic_visit(node)
        self._names.pop()
        return node

    def _noted(self, node: ast.expr) -> int:
        place = (self._module.__name__, ".".join(self._names), node.lineno, node.col_offset)
        self.awaits.append(Await(*place, ast.unparse(node)))
        return len(self.awaits) - 1

    @staticmethod
    def _point(number: int, when: str) -> ast.Await:
        return ast.Await(_call(_POINT, ast.Constant(number), ast.Constant(when)))


@cache
def _named(when: str, place: Await) -> str:
    return f"{when} {place}"


@cache
def _rewriting(module: ModuleType) -> _Rewriting:
    return _Rewriting(module)


class _Around:
    """A context manager with points before and after it is entered, and before and after it is left."""

    def __init__(self, entered: AbstractAsyncContextManager[Any], point: Callable[[str], Awaitable[None]]) -> None:
        self._entered = entered
        self._point = point

    async def __aenter__(self) -> Any:
        await self._point("before entering")
        value = await self._entered.__aenter__()
        await self._point("after entering")
        return value

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        await self._point("before leaving")
        swallowed = await self._entered.__aexit__(kind, failure, trace)
        await self._point("after leaving")
        return swallowed


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


_Place = tuple[str, int]


def _place(code: CodeType) -> _Place:
    return code.co_qualname, code.co_firstlineno


def _code_by_place(code: CodeType) -> Iterator[tuple[_Place, CodeType]]:
    """The functions of a module and of its classes; what is made inside a function comes with that function's code."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & inspect.CO_OPTIMIZED:
                yield _place(inner), inner
            else:  # a class
                yield from _code_by_place(inner)


def _reports(code: CodeType) -> bool:
    own = {_POINT, _AROUND, _EACH} & set(code.co_names)
    return bool(own) or any(_reports(inner) for inner in code.co_consts if isinstance(inner, CodeType))


def _functions(owner: ModuleType | type) -> Iterator[FunctionType]:
    module = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
    for value in list(vars(owner).values()):
        candidate: Any = value
        if isinstance(value, staticmethod | classmethod):
            candidate = value.__func__
        elif isinstance(value, property):
            candidate = value.fget
        candidate = inspect.unwrap(candidate) if callable(candidate) else candidate
        if isinstance(candidate, FunctionType) and candidate.__module__ == module:
            yield candidate
        elif isinstance(value, type) and value.__module__ == module and value is not owner:
            yield from _functions(value)
