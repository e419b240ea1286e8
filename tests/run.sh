#!/usr/bin/env bash
# Install what the tests need and run them all: tests/run.sh [pytest arguments].
# Made for a fresh Debian 12; packages that are there already are left alone. MCLINK_TEST_VENV names the environment
# (default: build/test-venv); MCLINK_TEST_LD another linker to run the tests against (see tests/harness/linker.py).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

mapfile -t wanted < <(grep -v '^#' tests/requirements-apt.txt)
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -q
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

venv=${MCLINK_TEST_VENV:-build/test-venv}
python=${PYTHON:-python3}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install -q -r tests/requirements.txt
if [ -z "${MCLINK_TEST_LD:-}" ]; then
  "$venv/bin/python" -m pip uninstall -q -y mclink 2>/dev/null || true
  "$venv/bin/python" -m pip install -q .
fi

exec "$venv/bin/python" -I -m pytest -c tests/pytest.ini --rootdir tests -n "${MCLINK_TEST_JOBS:-2}" "${@:-tests}"
