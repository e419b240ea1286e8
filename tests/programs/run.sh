#!/usr/bin/env bash
# Build real programs from Debian's source packages with the linker under test, from configure to their own tests:
#   tests/programs/run.sh [package ...]        (default: all that the target builds)
# MCLINK_PROGRAMS_TARGET names a GNU triple (aarch64-linux-gnu) to cross-compile for; its programs then run under
# qemu-user where the host cannot run them (packages g++-TRIPLE and qemu-user; cmake and tclsh for some).
# The linker is the installed mclink's (mclink --print-gcc-dir), or the folder with an `ld` named by MCLINK_TEST_GCC_DIR.
# Works in build/programs; every step's output goes to a log beside the sources. Needs the network for the sources, so
# this is no part of the test run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=${MCLINK_PROGRAMS_DIR:-$root/build/programs}
gcc_dir=${MCLINK_TEST_GCC_DIR:-$(mclink --print-gcc-dir)}
triple=${MCLINK_PROGRAMS_TARGET:-}
prefix=${triple:+$triple-}
export triple CC="${prefix}gcc -B$gcc_dir" CXX="${prefix}g++ -B$gcc_dir" LD="$gcc_dir/ld" AR="${prefix}ar" RANLIB="${prefix}ranlib" LC_ALL=C
export host= runner= jobs=${MCLINK_TEST_JOBS:-2}
default="xz-utils pcre2 libpng1.6 zlib sqlite3 fmtlib"
if [ -n "$triple" ]; then
  export QEMU_LD_PREFIX=/usr/$triple
  host=--host=$triple
  case $triple in
    i?86-*) ;;
    powerpc*) runner=qemu-ppc${triple#powerpc} runner=${runner%%-linux*} ;;
    *) runner=qemu-${triple%%-*} ;;
  esac
  default="zlib sqlite3 fmtlib"   # the others want libraries of the target
fi
mkdir -p "$work/${triple:-native}"
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

steps_autoconf() {  # configure arguments: the usual three steps
  [ -x configure ] || autoreconf -fi
  ./configure ${host:+"$host"} "$@"
  make -j"$jobs"
  make -j"$jobs" check
}

steps_zlib() {
  CHOST=$triple ./configure
  make -j"$jobs"
  if [ -z "$runner" ]; then
    make check
  else   # what `make check` does, under the emulator
    local kind
    for kind in "" sh 64; do
      [ "$(echo hello | LD_LIBRARY_PATH=. $runner ./minigzip$kind | LD_LIBRARY_PATH=. $runner ./minigzip$kind -d)" = hello ]
      LD_LIBRARY_PATH=. $runner ./example$kind tmp.gz
      echo "*** zlib$kind test OK ***"
    done
  fi
}

# Its suite in Tcl runs inside the build; what needs no Tcl on the target is the checker of recorded cases, the exerciser of
# threads and the speed test, which verifies itself.
steps_sqlite3() {
  ./configure ${host:+"$host"} --build="$(gcc -dumpmachine)" BUILD_CC=gcc --disable-tcl --disable-readline CFLAGS="-O1 -g"
  gcc -o lemon tool/lemon.c   # the Makefile makes this generator for the target
  cp tool/lempar.c .
  make -j"$jobs" sqlite3.c sqlite3.h sqlite3 fuzzcheck threadtest3 speedtest1
  $runner ./fuzzcheck --limit-mem 100M ../../sqlite3/test/fuzzdata[1-3].db
  $runner ./threadtest3 walthread1
  $runner ./speedtest1 --size 5 --verify :memory:
  LD_LIBRARY_PATH=.libs $runner .libs/sqlite3 :memory: "create table t(a,b); insert into t values(1,'x'),(2,'y'); select group_concat(b), sum(a) from t;" | grep -x 'x,y|3'
  echo "# PASS: sqlite"
}

# A C++ library through CMake: exceptions, streams, threads, a shared library and googletest, whose copy is in the source.
steps_fmtlib() {
  local compilers=(-DCMAKE_C_COMPILER="${CC%% *}" -DCMAKE_CXX_COMPILER="${CXX%% *}" -DCMAKE_CXX_FLAGS="-O0 -g ${CXX#* }" -DCMAKE_C_FLAGS="${CC#* }")
  if [ -n "$host" ]; then compilers+=(-DCMAKE_SYSTEM_NAME=Linux); fi
  cmake -S . -B made -DBUILD_SHARED_LIBS=ON -DFMT_DOC=OFF "${compilers[@]}"
  local tests="args-test core-test format-test ostream-test os-test std-test" one
  # shellcheck disable=SC2086
  make -C made -j"$jobs" $tests
  for one in $tests; do $runner made/bin/"$one"; done
  echo "# PASS: fmt"
}

export -f steps_autoconf steps_zlib steps_sqlite3 steps_fmtlib

build() {  # build PACKAGE STEPS [ARGUMENTS]: the steps in a copy of the source; says what the tests said
  local package=$1
  shift
  fetch "$package" || { echo "$package: FAILED (no source)"; return 1; }
  local copy=${triple:-native}/$package
  echo "== $copy"
  rm -rf "$copy"
  cp -a "$package" "$copy"
  # A shell of its own, because `set -e` is off in what stands before ||.
  (cd "$copy" && exec bash -euo pipefail -c '"$@"' steps "$@") > "$copy.log" 2>&1 || { tail -n 30 "$copy.log"; echo "$copy: FAILED"; return 1; }
  grep -E '^# (TOTAL|PASS|FAIL|ERROR):|All .*tests.*passed|OK \*\*\*' "$copy.log" | sort | uniq -c
  echo "$copy: its own tests passed"
}

status=0
for package in "${@:-$default}"; do
  for one in $package; do
    case $one in
      zlib) build zlib steps_zlib || status=1 ;;
      sqlite3) build sqlite3 steps_sqlite3 || status=1 ;;
      fmtlib) build fmtlib steps_fmtlib || status=1 ;;
      pcre2) build pcre2 steps_autoconf --enable-shared --enable-jit --enable-pcre2-16 || status=1 ;;
      xz-utils) build xz-utils steps_autoconf --enable-shared --disable-static || status=1 ;;
      *) build "$one" steps_autoconf --enable-shared || status=1 ;;
    esac
  done
done
exit "$status"
