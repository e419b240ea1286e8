#!/usr/bin/env bash
# Build real programs from Debian's source packages with the linker under test, from configure to their own tests:
#   tests/programs/run.sh [package ...]        (default: all of them)
# The linker is the installed mclink's (mclink --print-gcc-dir), or the folder with an `ld` named by MCLINK_TEST_GCC_DIR.
# Works in build/programs; every step's output goes to a log beside the sources. Needs the network for the sources, so
# this is no part of the test run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=${MCLINK_PROGRAMS_DIR:-$root/build/programs}
gcc_dir=${MCLINK_TEST_GCC_DIR:-$(mclink --print-gcc-dir)}
export CC="gcc -B$gcc_dir" CXX="g++ -B$gcc_dir" LD="$gcc_dir/ld" LC_ALL=C
jobs=${MCLINK_TEST_JOBS:-2}
mkdir -p "$work"
cd "$work"

fetch() {  # fetch PACKAGE: unpack the Debian source, patched, into ./PACKAGE
  [ -d "$1" ] && return
  if [ ! -d apt/lists/partial ]; then
    mkdir -p apt/lists/partial
    # the main archive only: the other suites do not keep the sources of every version
    cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.* 2>/dev/null | sed -E 's/^deb /deb-src /; s/^Types:.*/Types: deb-src/' > apt/all || true
    if grep -q '^Types:' apt/all; then awk -v RS= -v ORS='\n\n' '!/-security/' apt/all > apt/main; else grep -v -e -security apt/all > apt/main; fi
    mv apt/main apt/all
    if grep -q '^Types:' apt/all; then mv apt/all apt/debian.sources; else mv apt/all apt/debian.list; fi
  fi
  local options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/apt" -o "Dir::State::lists=$work/apt/lists" -o APT::Sandbox::User=root)
  local unpacked
  apt-get "${options[@]}" -q update > "$1.fetch.log" 2>&1 && apt-get "${options[@]}" -q source "$1" >> "$1.fetch.log" 2>&1 &&
    unpacked=$(find . -maxdepth 1 -type d -name "${1%%[0-9]*}*-[0-9]*" | grep .) && mv "$unpacked" "$1" || { tail -n 5 "$1.fetch.log"; return 1; }
}

build() {  # build PACKAGE CONFIGURE-ARGUMENTS...: configure, make, make check; says what the tests said
  local package=$1
  shift
  fetch "$package" || { echo "$package: FAILED (no source)"; return 1; }
  echo "== $package"
  (
    cd "$package"
    [ -x configure ] || autoreconf -fi
    ./configure "$@"
    make -j"$jobs"
    make -j"$jobs" check
  ) > "$package.log" 2>&1 || { tail -n 30 "$package.log"; echo "$package: FAILED"; return 1; }
  grep -E '^# (TOTAL|PASS|FAIL|ERROR):|All .*tests.*passed|OK \*\*\*' "$package.log" | sort | uniq -c
  echo "$package: its own tests passed"
}

status=0
for package in "${@:-xz-utils pcre2 libpng1.6 zlib}"; do
  for one in $package; do
    case $one in
      zlib) build zlib --shared || status=1 ;;
      pcre2) build pcre2 --enable-shared --enable-jit --enable-pcre2-16 || status=1 ;;
      xz-utils) build xz-utils --enable-shared --disable-static || status=1 ;;
      *) build "$one" --enable-shared || status=1 ;;
    esac
  done
done
exit "$status"
