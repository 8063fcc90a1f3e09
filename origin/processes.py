"""The processes that compaction runs its steps in: on every processor, or where there is little to do, none."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any


class Workers:
    """Runs functions of a module: on every processor, or where there is little to do, here and now."""

    def __init__(self, *, is_small: bool) -> None:
        self._pool: Executor | None = None
        if not is_small:
            self._pool = ProcessPoolExecutor(
                os.cpu_count(), mp_context=get_context("spawn"), initializer=_prepare_worker
            )

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """The results of all calls, in order. Raises what the first that failed raised."""
        if self._pool is None:
            return [function(*call) for call in calls]
        futures: list[Future[Any]] = [self._pool.submit(function, *call) for call in calls]
        return [future.result() for future in futures]


def _prepare_worker() -> None:
    gc.disable()  # what is decoded holds no cycles, and looking for some takes a third of the time
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
