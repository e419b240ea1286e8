"""(a) C and C++ hello, dynamic and static: what a build does thousands of times."""

import os

from .case import Case, capture_line, compile_source, runs_and_prints

HERE = os.path.dirname(os.path.abspath(__file__))


def prepare(work):
    """The four cases; objects go to `work`/hello."""
    folder = os.path.join(work, "hello")
    cases = []
    for name, compiler, source in (("c", "gcc", "hello.c"), ("cxx", "g++", "hello.cpp")):
        item = os.path.join(folder, name + ".o")
        compile_source(compiler, ["-O2"], os.path.join(HERE, source), item)
        for kind, flags in (("dynamic", ["-pie"]), ("static", ["-static"])):
            words = capture_line([compiler, *flags, name + ".o", "-o", "a"], folder)
            title = f"{'C' if name == 'c' else 'C++'} hello, {kind}"
            cases.append(Case(f"hello-{name}-{kind}", title, words,
                              runs_and_prints("hello, world\n"), rounds=40))
    return cases
