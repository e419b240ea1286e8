#!/usr/bin/env bash
# Builds mclink on a fresh Debian 12, links a real C++ program with it through g++ and runs that program.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
missing=()
for package in g++ python3-dev python3-venv; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -q
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
fi
cd "$root"
[ -x build/venv/bin/python ] || "${PYTHON:-python3}" -m venv build/venv
build/venv/bin/python -m pip install -q .
work=build/first-link
mkdir -p "$work"
cat > "$work/words.cpp" <<'CPP'
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

thread_local int calls = 0;

static int count(const std::string &text, std::map<std::string, int> &words) {
  std::istringstream in(text);
  for (std::string word; in >> word; ++calls)
    ++words[word];
  if (words.empty())
    throw std::runtime_error("no words");
  return calls;
}

int main() {
  std::map<std::string, int> words;
  std::thread([&] { count("the linker that is fast the linker that explains itself", words); }).join();
  for (auto &[word, n] : words)
    std::cout << word << ' ' << n << '\n';
  try {
    std::map<std::string, int> none;
    count("", none);
  } catch (const std::exception &error) {
    std::cout << "caught: " << error.what() << '\n';
  }
}
CPP
g++ -std=c++17 -O2 -B "$(build/venv/bin/mclink --print-gcc-dir)" "$work/words.cpp" -o "$work/words" -pthread
readelf -p .comment "$work/words" | tail -n +2 | head -n 4
"$work/words"
echo "linked by: $(build/venv/bin/ld.mclink --version | head -n 1)"
