"""The kernel that nbval runs a notebook in: one whose death is seen at once, and that answers questions besides."""

import json
import os
import tempfile
import time
from pathlib import Path
from queue import Empty

from nbval.kernel import RunningKernel, start_new_kernel

from tools.notebooks.canonical import NotebookError

_LOOK = 1.0  # seconds between two looks at whether the kernel still lives


class WatchedKernel(RunningKernel):
    """nbval's kernel, but who waits for a message learns within a second that none can come any more."""

    def __init__(self, kernel_name: str, cwd: str | None = None, startup_timeout: float = 60) -> None:
        with open(os.devnull, "w") as nowhere:  # nbval leaves it open
            self.km, self.kc = start_new_kernel(startup_timeout, kernel_name, stderr=nowhere, cwd=cwd)
        self._ensure_iopub_up()

    def get_message(self, stream: str, timeout: float | None = None) -> dict:
        """The next message. Raises Empty after `timeout` seconds, RuntimeError when the kernel has died."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _LOOK if end is None else min(_LOOK, end - time.monotonic())
            try:
                return super().get_message(stream, timeout=max(0.0, left))
            except Empty:
                if not self.is_alive():
                    raise RuntimeError("the kernel died while this cell ran") from None
                if end is not None and time.monotonic() >= end:
                    raise

    def ask(self, program: Path, call: str, *, timeout: float, **arguments: object) -> object:
        """What a function of `program` returns when it is called inside the kernel with these arguments.

        The program's text is run in a namespace of its own, so the chapter's names stay as they are. Arguments and
        answer are what JSON can carry. Raises NotebookError when the call fails there or takes too long.
        """
        handle, answer = tempfile.mkstemp(prefix="kernel-answer-")
        os.close(handle)
        try:
            namespace = {"__name__": program.stem, "ARGUMENTS": json.dumps(arguments), "ANSWER": answer}
            text = program.read_text(encoding="utf-8") + _CODA.format(call=call)
            self._run_hidden(f"exec(compile({text!r}, {program.name!r}, 'exec'), {namespace!r})", timeout)
            return json.loads(Path(answer).read_text(encoding="utf-8"))
        finally:
            Path(answer).unlink()

    def _run_hidden(self, code: str, timeout: float) -> None:
        asked = self.kc.execute(code, silent=True, store_history=False, allow_stdin=False, stop_on_error=False)
        end = time.monotonic() + timeout
        while True:
            try:
                reply = self.get_message("shell", timeout=end - time.monotonic())
            except Empty:
                raise NotebookError(f"the kernel did not answer within {timeout:g} seconds") from None
            if reply["parent_header"].get("msg_id") == asked:
                break
        if reply["content"]["status"] != "ok":
            raise NotebookError("\n".join(reply["content"].get("traceback", [])) or "the kernel refused to answer")


_CODA = """
with open(ANSWER, "w", encoding="utf-8") as _file:
    import json
    json.dump({call}(**json.loads(ARGUMENTS)), _file)
"""
