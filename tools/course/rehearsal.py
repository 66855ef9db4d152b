"""A student who writes nothing: run inside a chapter's kernel, just before a starter, in a forked copy of the kernel.

The text of this file is sent to the kernel (`WatchedKernel.ask`), so it imports nothing of the book.
"""

import json
import os
import signal

from IPython import get_ipython
from IPython.utils.capture import capture_output


def rehearse(cells: list[str], patience: int) -> dict:
    """Run the cells until one fails, in a copy of this process; which one it was, and how.

    The copy has its own memory, so the kernel goes on as if nothing had happened; what it prints and draws is caught.
    One thread a process (OMP_NUM_THREADS=1) makes the fork safe. A copy that ends without an answer, or not within
    `patience` seconds, leaves `status`, its wait status.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(patience)
        os.write(writer, json.dumps(_play(cells)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(told) if told else {"status": status}


def _play(cells: list[str]) -> dict:
    shell = get_ipython()
    shell._showtraceback = lambda *_: None  # the kernel's own would send it to whoever listens
    with capture_output():
        for position, source in enumerate(cells):
            result = shell.run_cell(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
            if error:
                return {"failed": position, "error": f"{type(error).__name__}: {error}"[:2000]}
    return {"failed": None, "error": ""}
