"""What answers can be, and the scores that judge them: every file here is read, for scores are found by lying here."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
