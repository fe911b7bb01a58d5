"""End a long command at once on Ctrl-C, whatever it is doing.

Python runs a signal handler only between instructions of the main thread, so that a
handler waits for native code such as TensorFlow's, and an exception in it may end in
the error of a library. What a run, a search or an emulation has finished is kept, as
after `kill -9`; children end with this process.
"""

from __future__ import annotations

import os
import signal
import threading

EXIT_STOPPED = 130
CONTINUES = "Stopped; the same command goes on from here."
_SHOW_CURSOR = "\x1b[?25h\r\x1b[2K"


def stop_at_once(message: str = CONTINUES) -> None:
    """Let Ctrl-C end this process with a message and exit status 130.

    The message goes to what is standard error now, also if that is redirected later. A
    process that was started with Ctrl-C ignored, as a shell's background job, goes on
    ignoring it.

    Args:
        message: What becomes of the work.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return
    terminal = os.dup(2)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGINT, lambda number, frame: None)
    # The C handler writes the signal's number at once, whatever the main thread does.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(
        target=_end_on_interrupt, args=(reader, terminal, message), daemon=True
    ).start()


def _end_on_interrupt(reader: int, terminal: int, message: str) -> None:
    while signal.SIGINT not in os.read(reader, 1):
        pass
    clear = _SHOW_CURSOR if os.isatty(terminal) else ""
    os.write(terminal, f"{clear}graft: {message}\n".encode())
    os._exit(EXIT_STOPPED)
