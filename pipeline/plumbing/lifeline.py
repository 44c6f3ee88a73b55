"""A process that ends with those that called it: nobody waits for what it still computes."""

import os
import select
import threading


def end_with(*pids: int) -> None:
    """End this process, at once and without a word, when any of these processes does or if one has ended already.

    A kill of Snakemake reaches neither the shells of its jobs nor what these started; and a worker of a pool learns
    that its parent was killed when its task is done, which may take an hour.
    """
    callers = select.poll()
    for pid in pids:
        try:
            callers.register(os.pidfd_open(pid), select.POLLIN)
        except ProcessLookupError:
            os._exit(1)

    def watch() -> None:
        callers.poll()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
