"""Say in one sentence what is wrong with the machine, for errors that are no bug."""

from __future__ import annotations

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_TEXTS = ("No space left on device", "database or disk is full")
_READ_ONLY_TEXTS = ("attempt to write a readonly database",)


def describe_fault(error: BaseException) -> str | None:
    """Return a sentence for the user, or None if the error is of another kind.

    Args:
        error: Any error. Those that caused it count, too.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        sentence = _describe_one(current)
        if sentence is not None:
            return sentence
        current = current.__cause__ or current.__context__
    return None


def _describe_one(error: BaseException) -> str | None:
    number = error.errno if isinstance(error, OSError) else None
    path = error.filename if isinstance(error, OSError) else None
    where = f" for {str(path)!r}" if path else ""
    text = str(error)
    if number in _FULL or any(part in text for part in _FULL_TEXTS):
        return (
            f"No space is left on the disk{where}. Free some, and run the same command "
            "again."
        )
    if number == errno.EROFS or any(part in text for part in _READ_ONLY_TEXTS):
        return (
            f"The disk is read-only{where}. Make it writable, or name another folder."
        )
    if number in (errno.EACCES, errno.EPERM):
        return (
            f"Permission denied{where}. Change the permissions, or name another file "
            "or folder."
        )
    if number in (errno.EMFILE, errno.ENFILE):
        return "Too many files are open. Raise the limit: `ulimit -n 4096`."
    if number == errno.EIO:
        return f"The disk reports an error{where} (input/output error). Check the disk."
    return None
