"""runwell: do my task runs run well?

The folders are the stages of one flow: bytes enter at `receive`, are acknowledged once `journal` holds
them, become rows in `store`, runs in `analyse`, answers in `api` and pages in the `dashboard` package.
`ARCHITECTURE.md` says why; import-linter holds the walls.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("runwell")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
