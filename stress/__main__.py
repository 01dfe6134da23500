"""``python -m stress [NAME …]``: run checks by name, all of a kind by ``stress`` (default) or ``bench``.

A check is a module of this package with ``KIND`` (``"stress"`` or ``"bench"``) and ``main() -> int``. Exit code 0 if
every check passed.
"""

import importlib
import pkgutil
import sys
import time

import stress


def main(names: list[str]) -> int:
    """Run the checks that are named; how many failed, at most 1."""
    modules = {
        info.name: importlib.import_module(f"stress.{info.name}")
        for info in pkgutil.iter_modules(stress.__path__)
        if not info.name.startswith("_")
    }
    checks = {name: module for name, module in modules.items() if hasattr(module, "KIND")}
    wanted = names or ["stress"]
    chosen = [name for name, module in checks.items() if name in wanted or module.KIND in wanted]
    if not set(wanted) <= {*checks, *(module.KIND for module in checks.values())}:
        print(f"usage: python -m stress [NAME …]\nnames: stress, bench, {', '.join(sorted(checks))}")
        return 2
    failed = []
    for name in chosen:
        print(f"── {name}: {(checks[name].__doc__ or '').splitlines()[0]}", flush=True)
        began = time.monotonic()
        code = checks[name].main()
        print(
            f"   {'ok' if code == 0 else f'FAILED ({code})'} after {time.monotonic() - began:.1f} s",
            flush=True,
        )
        if code:
            failed.append(name)
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
