"""Imports every module of the product once, so that its bytecode, and that of all it uses, lies there."""

# ruff: noqa: INP001 - a program by itself, in no package

import importlib
import pkgutil

import ops
import services
import shared


def main() -> None:
    """Import them all; those that start something when imported are named __main__."""
    for package in (ops, services, shared):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


if __name__ == "__main__":
    main()
