"""(d) a C++ program with full debug information, over 500 MB of input; (e) its variants.

Every unit instantiates the same library templates, half over types that all units share (their
strings are equal in every object, as headers make them) and half over types of its own.
"""

import os

from .case import Case, capture_line, compile_source, runs_and_prints

UNITS = 32

UNIT_TEXT = """\
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>

template <int N> struct Shared { int v[N + 1]; };

namespace unit_@ {
template <int N> struct Own { int v[N + 1]; };

template <int N> struct Node {
  std::map<std::string, Shared<N>> names;
  std::unordered_map<int, std::vector<Own<N>>> items;
  std::function<int(Shared<N>)> call;
  std::shared_ptr<Node<N - 1>> next;
  int run() {
    names["x"];
    items[N].push_back(Own<N>());
    next = std::make_shared<Node<N - 1>>();
    return (call ? call(Shared<N>()) : next->run()) + int(names.size() + items.size());
  }
};
template <> struct Node<-1> {
  int run() { return 0; }
};
}  // namespace unit_@

int run_@() { return unit_@::Node<31>().run(); }
"""


def prepare(work):
    """The debug-heavy link and its gc, strip and compress variants; objects are kept."""
    folder = os.path.join(work, "debug")
    objects = [compile_unit(folder, number) for number in range(UNITS)]
    words = capture_line(["g++", "-pie", compile_main(folder, UNITS), *objects, "-o", "a"], folder)
    check = runs_and_prints(f"{UNITS * 64}\n")
    plain = Case("debug", "C++ with full debug information", words, check, rounds=7)
    return [
        plain,
        plain.variant("debug-gc", "the same, --gc-sections", ["--gc-sections"], rounds=5),
        plain.variant("debug-strip", "the same, --strip-debug", ["--strip-debug"], rounds=5),
        plain.variant("debug-zstd", "the same, --compress-debug-sections=zstd",
                      ["--compress-debug-sections=zstd"], rounds=3),
    ]


def compile_unit(folder, number, compiler="g++"):
    """The object of one unit (about 18 MB and ten seconds of g++), compiled at most once."""
    source = os.path.join(folder, f"unit_{number}.cpp")
    write_if_changed(source, UNIT_TEXT.replace("@", str(number)))
    target = source[:-4] + ".o"
    compile_source(compiler, ["-std=c++17", "-g", "-O0", "-fno-eliminate-unused-debug-types"],
                   source, target)
    return target


def compile_main(folder, units, compiler="g++"):
    """The object of a `main` that adds up what `units` units return: 64 each."""
    source = os.path.join(folder, "main.cpp")
    declared = "".join(f"int run_{number}();\n" for number in range(units))
    total = " + ".join(f"run_{number}()" for number in range(units))
    write_if_changed(source, f'#include <cstdio>\n{declared}int main() {{ std::printf("%d\\n", {total}); }}\n')
    target = os.path.join(folder, "main.o")
    compile_source(compiler, ["-g", "-O0"], source, target)
    return target


def write_if_changed(path, text):
    """Write `text` to `path` unless it is there already, so that time stamps say something."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        with open(path) as file:
            if file.read() == text:
                return
    with open(path, "w") as file:
        file.write(text)
