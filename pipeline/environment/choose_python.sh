#!/bin/sh
# Print the interpreter that `.venv` is to be made from; exit 1 with the remedy if none.
#
#   choose_python.sh [PYTHON]
#
# Order: the one that was named; the one that `.venv` was made from; the first of python3,
# python3.13 ... python3.11 that starts and is in range (a shim may exist and fail). It is
# the base interpreter that is printed, also when a virtual environment is active.
set -u
cd "$(dirname "$0")/../.." || exit 1

# Valid in any Python; prints nothing, and fails, where the version is out of range.
PROBE='import os, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(1)
base = os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2])
print(base if os.path.exists(base) else sys.executable)'

# Print the base interpreter of $1; nothing, and fail, when it can't be used.
base_of() {
    base=$("$1" -I -c "$PROBE" 2>/dev/null) && echo "$base"
}

if [ -n "${1:-}" ]; then
    base_of "$1" && exit 0
    echo "setup: PYTHON=$1 does not start, or is not Python 3.11 to 3.13" >&2
    exit 1
fi
made_from=$(sed -n 's/^ *"python": "\(.*\)".*/\1/p' .venv/made-by-graft 2>/dev/null)
for candidate in "$made_from" python3 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] && base_of "$candidate" && exit 0
done
found=$(python3 --version 2>/dev/null || echo "no python3")
echo "setup: found $found, and Python 3.11 to 3.13 is needed." \
    "Install one (apt-get install python3 python3-venv) or name it:" \
    "make setup PYTHON=/path/to/python3.12" >&2
exit 1
