"""The rules of the house (docs/design.md) that a machine can hold: rooms, levels, sizes, names, words."""

import ast
import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mclink"
PHASES = ("inputs", "graph", "layout", "output")

#: modules of _core that others may cimport although they have code of their own
CORE_SHARED = {"parallel", "fault", "tables", "ops", "names", "pieces"}


def tracked(*suffixes):
    """Files that git knows (or would add), by suffix."""
    said = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in said.splitlines() if line.endswith(suffixes or "") and (ROOT / line).exists()]


def sources(*suffixes):
    return [p for p in tracked(*suffixes) if PACKAGE in p.parents]


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def python_imports(path):
    """Modules that a .py file imports, anywhere in it, as absolute names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            found |= {f"{node.module}.{a.name}" for a in node.names}
    return found


def cython_imports(path):
    """Modules that a .pyx or .pxd file imports or cimports."""
    text = re.sub(r'""".*?"""', "", path.read_text(), flags=re.S)
    found = set(re.findall(r"^\s*from\s+([\w.]+)\s+c?import\b", text, re.M))
    for line in re.findall(r"^\s*c?import\s+([\w., ]+)", text, re.M):
        found |= {w.strip().split(" ")[0] for w in line.split(",")}
    return found


def imports(path):
    return python_imports(path) if path.suffix == ".py" else cython_imports(path)


def room(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "mclink" and len(parts) > 1 else None


# -- who may know whom

def test_there_is_something_to_hold():
    assert len(sources(".py")) > 20 and len(sources(".pyx")) > 5


def test_phases_do_not_know_each_other():
    wrong = []
    for path in sources(".py", ".pyx"):
        mine = room(name_of(path))
        if mine in PHASES:
            wrong += [f"{path.relative_to(ROOT)} imports {m}" for m in imports(path) if room(m) in PHASES and room(m) != mine]
    assert not wrong, "\n".join(sorted(wrong))


def test_only_the_driver_knows_the_order():
    """What is not a phase imports no pass; the driver, its doors and reports of their own may."""
    allowed = {"driver", "__main__", "__init__", "api"}
    wrong = []
    for path in sources(".py"):
        mine = room(name_of(path)) or path.stem
        if mine in PHASES or mine in allowed:
            continue
        wrong += [f"{path.relative_to(ROOT)} imports {m}" for m in imports(path) if m == "mclink.driver" and mine not in ("_launcher", "special")]
        wrong += [f"{path.relative_to(ROOT)} imports {m}" for m in imports(path) if room(m) in ("graph", "layout", "output")]
    assert not wrong, "\n".join(sorted(wrong))


def test_core_imports_nothing_of_the_package():
    wrong = [f"{p.relative_to(ROOT)}: {m}" for p in sources(".pyx", ".pxd") for m in imports(p)
             if m.split(".")[0] == "mclink" and not m.startswith("mclink._core")]
    wrong += [f"{p.relative_to(ROOT)}: {m}" for p in sources(".py") if "_core" in p.parts for m in imports(p) if m.startswith("mclink") and "_core" not in m]
    assert not wrong, "\n".join(wrong)


def test_core_levels():
    """A module with code cimports headers and the shared level, never another module of its own level; only ops leads to arch."""
    coded = {name_of(p).removeprefix("mclink._core.") for p in sources(".pyx")}
    wrong = []
    for path in sources(".pyx", ".pxd"):
        mine = name_of(path).removeprefix("mclink._core.")
        for m in imports(path):
            other = m.removeprefix("mclink._core.")
            if m == other or other == mine or other not in coded:
                continue
            if other.startswith("arch.") or other not in CORE_SHARED:
                wrong.append(f"{path.relative_to(ROOT)} cimports {m}")
    assert not wrong, "\n".join(sorted(wrong))


def test_core_has_no_cycles():
    graph = {}
    for path in sources(".pxd"):
        mine = name_of(path).removeprefix("mclink._core.")
        graph[mine] = {m.removeprefix("mclink._core.") for m in imports(path) if m.startswith("mclink._core.")} - {mine}
    done, doing = set(), []

    def visit(node):
        assert node not in doing, " -> ".join([*doing, node])
        if node in done or node not in graph:
            return
        doing.append(node)
        for other in sorted(graph[node]):
            visit(other)
        doing.pop()
        done.add(node)

    for node in sorted(graph):
        visit(node)


def test_targets_are_loaded_by_name_only():
    """Nobody imports a named target; the registry of strings loads it."""
    machines = {p.stem for p in (PACKAGE / "target").glob("*.py")} - {"__init__", "reloc", "styles", "style", "stored", "default_script"}
    wrong = [f"{p.relative_to(ROOT)}: {m}" for p in sources(".py", ".pyx") for m in imports(p)
             if m.startswith("mclink.target.") and m.split(".")[2] in machines and (PACKAGE / "target") not in p.parents]
    assert not wrong, "\n".join(wrong)


#: a machine's name, or its number compared; SHF_X86_64_LARGE and its like are names of the format
MACHINE = re.compile(r"(?i)machine [!=]= [1-9]|(?<![a-z])(?<!\bSH[FTN]_)(x86|i386|i686|amd64|aarch64|arm64|armv\d|cortex|riscv|mips|powerpc|ppc|sparc|s390|loongarch|em_arm|r_arm)")
#: where machine names belong, and files of names that are a format's or a command line's own
SPELLS_MACHINES = ("mclink/target/", "mclink/_core/arch/", "mclink/options/", "mclink/_core/elf.pxd", "mclink/elf.py")


def code_words(path):
    """(line, text) of what is code in a file: no comments, no docstrings."""
    text = path.read_text()
    if path.suffix == ".py":
        previous = None
        for t in tokenize.generate_tokens(io.StringIO(text).readline):
            statement = previous in (None, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.NL)
            if t.type == tokenize.NAME or t.type == tokenize.STRING and not statement:
                yield t.start[0], t.string
            if t.type != tokenize.COMMENT:
                previous = t.type
    else:
        blank = lambda m: "\n" * m.group(0).count("\n")
        for i, line in enumerate(re.sub(r'""".*?"""', blank, text, flags=re.S).splitlines(), 1):
            yield i, line.split("#")[0]


def test_machines_are_spelled_in_their_rooms_only():
    wrong = []
    for path in sources(".py", ".pyx", ".pxd"):
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(SPELLS_MACHINES):
            continue
        wrong += [f"{place}:{line}: {word.strip()}" for line, word in code_words(path) if MACHINE.search(word)]
    assert not wrong, "\n".join(wrong)


# -- form

def test_file_sizes():
    long = [(sum(1 for _ in p.open()), p.relative_to(ROOT).as_posix()) for p in tracked(".py", ".pyx", ".pxd")]
    assert not [row for row in long if row[0] > 800]


def test_every_field_of_a_pxd_has_a_comment():
    """The .pxd is the documentation: a comment on the line of a field, or on the lines above its group."""
    bare = []
    for path in sources(".pxd"):
        block, depth, above = None, 0, False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            text = line.strip()
            indent = len(line) - len(line.lstrip())
            if re.match(r"(ctypedef|cdef)\s+(packed\s+)?(struct|class)\b.*:", text):
                block, depth, above = text, indent, False
                continue
            if block and text and indent <= depth:
                block = None
            if not block:
                continue
            if text.startswith("#"):
                above = True
                continue
            if not text:
                above = False
                continue
            if "(" in text.split("#")[0] or text.startswith(('"""', "cdef:", "@")):
                continue
            if "#" not in text and not above:
                bare.append(f"{path.relative_to(ROOT)}:{number}: {text}")
    assert not bare, "\n".join(bare)


PRIVATE = re.compile(r"/work/(main|shared)|/root/\.|/tmp/pytest|/tmp/bash|\.pyenv|(?<![\w.])(pypi\.org|files\.pythonhosted|deb\.debian\.org|crates\.io/api|proxy\.golang|registry\.npmjs)")


def test_no_paths_or_hosts_of_the_machine_it_was_made_on():
    this = Path(__file__).resolve()
    wrong = []
    for path in tracked():
        if path == this or path.suffix in (".png", ".gz", ".so", ".o"):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if PRIVATE.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not wrong, "\n".join(wrong)


UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplemented(Error)?)\b|(?i:not (yet )?implemented)")


def test_nothing_unfinished_is_left_behind():
    this = Path(__file__).resolve()
    wrong = [f"{p.relative_to(ROOT)}:{n}: {line.strip()[:100]}" for p in tracked(".py", ".pyx", ".pxd", ".sh", ".c", ".h") if p != this
             for n, line in enumerate(p.read_text(errors="replace").splitlines(), 1) if UNFINISHED.search(line)]
    assert not wrong, "\n".join(wrong)


def test_tests_are_where_they_belong():
    for path in (ROOT / "tests" / "link").rglob("test_*.py"):
        assert path.parent.parent == ROOT / "tests" / "link", f"{path}: tests/link/<topic>/test_*.py"


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "LICENSE", "docs/design.md", "docs/adding.md", ".ci/run", "pyproject.toml"])
def test_the_house_has_its_papers(name):
    assert (ROOT / name).is_file()
