"""Build of the Cython core and of the launcher; everything else is in pyproject.toml."""

import marshal
import os
import subprocess
import sys
import sysconfig
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

from distutils.command.install_data import install_data  # setuptools' own copy, hence the order

# An isolated build does not look for modules here by itself.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mclink._launcher.bundle import write_bundle  # noqa: E402
from mclink.target.styles import store_all  # noqa: E402

CORE = "mclink/_core"
LAUNCHER = "mclink/_launcher/gcc/ld"
BUNDLE = "mclink/_launcher/bundle.bin"
SCRIPTS = "mclink/target/scripts"   # parsed default scripts
RELEASE = "%d.%d" % sys.version_info[:2]

DIRECTIVES = {
    "language_level": 3,
    # Bounds are checked where a number enters from a file, once; the loops run on checked columns.
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "nonecheck": False,
    # Both cost import time in every module and nobody reads them at run time.
    "binding": False,
    "embedsignature": False,
}

# Columns are read through casts of the mapped file, hence -fno-strict-aliasing.
CFLAGS = ["-O2", "-fno-strict-aliasing", "-fno-semantic-interposition", "-fvisibility=hidden",
          "-pthread", "-g0", "-Wno-unused-function", "-Wno-unreachable-code"]


def core_extensions():
    """One extension for each .pyx of the core; a file dropped there needs no entry here."""
    found = sorted(glob(CORE + "/**/*.pyx", recursive=True))
    headers = sorted(glob(CORE + "/**/*.pxd", recursive=True))
    return [
        Extension(path[:-4].replace("/", "."), [path], depends=headers,
                  extra_compile_args=CFLAGS, extra_link_args=["-pthread", "-Wl,-z,now"])
        for path in found
    ]


class BuildWithLauncher(build_ext):
    """build_ext that also compiles the program behind `ld` (mclink/_launcher/launcher.c).

    It is bound to the interpreter that it is built for, so it is made here and never shipped.
    """

    def finalize_options(self):
        super().finalize_options()
        if not self.inplace and self.parallel is None:
            self.parallel = os.cpu_count()

    def run(self):
        super().run()
        root = "" if self.inplace else self.build_lib
        self.link_combined(root)
        target = os.path.join(root, LAUNCHER)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.makedirs(self.build_temp, exist_ok=True)
        store_all(os.path.join(root, SCRIPTS), checked=bool(self.inplace))
        # build_py has put the sources into build_lib before build_ext is run.
        write_bundle(os.path.join(root, "mclink"), os.path.join(root, BUNDLE), checked=bool(self.inplace))
        if not any(compile_launcher(target, self.build_temp, words) and answers(target)
                   for words in self.interpreters()):
            raise RuntimeError("the launcher does not start")

    def objects(self):
        """The compiled modules of the core."""
        return [path for extension in self.extensions
                for path in self.compiler.object_filenames(extension.sources, output_dir=self.build_temp)]

    def interpreters(self):
        """What is linked into the launcher, best form first; nothing for the form that executes the interpreter."""
        def words(*names):
            return [word for name in names for word in (sysconfig.get_config_var(name) or "").split()]

        # Where the other form finds its library is no place to look for C's.
        libraries = [word for word in words("MODLIBS", "LIBS", "SYSLIBS") if not word.startswith(("-L", "-Wl,-rpath"))]
        static = os.path.join(sysconfig.get_config_var("LIBPL") or "", "libpython%s.a" % RELEASE)
        shared = glob(os.path.join(sysconfig.get_config_var("LIBDIR"), "libpython%s.so*" % RELEASE))
        if os.path.exists(static):
            yield [*self.objects(), "-no-pie", "-s", "-pthread", static,
                   *libraries, *words("LINKFORSHARED")]
        if shared:
            folder = sysconfig.get_config_var("LIBDIR")
            yield [*self.objects(), "-s", "-pthread", "-L" + folder, "-lpython" + RELEASE, "-Wl,-rpath," + folder]
        yield []

    def link_combined(self, root):
        """Link the objects of all modules into one extension file (mclink/_core/__init__.py says why).

        An installed copy has only that one; a source tree keeps the modules, which are built one by one there."""
        self.compiler.link_shared_object(self.objects(), os.path.join(root, self.combined_name()),
                                         extra_postargs=["-pthread", "-Wl,-z,now", "-s"], target_lang="c")
        if not self.inplace:
            for path in super().get_outputs():
                if os.path.exists(path):
                    os.unlink(path)

    @staticmethod
    def combined_name():
        return CORE + "/combined" + sysconfig.get_config_var("EXT_SUFFIX")

    def get_outputs(self):
        return [os.path.join(self.build_lib, name) for name in (self.combined_name(), LAUNCHER, BUNDLE)] + \
            glob(os.path.join(self.build_lib, SCRIPTS, "*.bin"))


class InstallLauncher(install_data):
    """install_data whose one file is the launcher, as bin/ld.mclink and bin/mclink."""

    def run(self):
        build = self.get_finalized_command("build_ext")
        source = os.path.join("" if build.inplace else build.build_lib, LAUNCHER)
        folder = os.path.join(self.install_dir, "bin")
        self.mkpath(folder)
        for name in ("ld.mclink", "mclink"):
            target, _ = self.copy_file(source, os.path.join(folder, name))
            self.outfiles.append(target)


def compile_launcher(target, temp, interpreter):
    """Compile the launcher to `target` with the words `interpreter` that bring one in; False when that fails."""
    stdlib = sysconfig.get_path("stdlib")
    # A virtual environment's own python would look for its home again at every start.
    python = os.path.join(sysconfig.get_config_var("BINDIR"), "python" + RELEASE)
    if not os.access(python, os.X_OK):
        python = os.path.realpath(sys.executable)
    macros = {
        "PYTHON": python,
        "PYTHON_RELEASE": RELEASE,
        "PYTHON_PREFIX": sys.base_prefix,
        "PYTHON_STDLIB": stdlib,
        "PYTHON_DYNLOAD": sysconfig.get_config_var("DESTSHARED"),
    }
    compiler = os.environ.get("CC", sysconfig.get_config_var("CC") or "gcc").split()
    command = [*compiler, "-O2", "-g0", "-o", target, "mclink/_launcher/launcher.c"]
    command += [f'-D{name}="{value}"' for name, value in macros.items()]
    if interpreter:
        for name, text in (("frozen.h", freeze_start()), ("core.h", list_core())):
            with open(os.path.join(temp, name), "w", encoding="ascii") as file:
                file.write(text)
        command += ["-DMCLINK_EMBED", "-I" + temp, "-I" + sysconfig.get_path("include"), *interpreter]
    return subprocess.call(command) == 0


def list_core():
    """C text of the table of the core's modules, for the interpreter's table of built-in ones."""
    names = [extension.name for extension in core_extensions()]
    return "".join(f"PyMODINIT_FUNC PyInit_{name.rpartition('.')[2]}(void);\n" for name in names) + \
        "static struct _inittab CORE[] = {\n" + \
        "".join(f'    {{"{name}", PyInit_{name.rpartition(".")[2]}}},\n' for name in names) + "    {0}\n};\n"


def freeze_start():
    """C text of the modules that every start imports from files otherwise, and of boot.py."""
    stdlib = sysconfig.get_path("stdlib")
    modules = [
        ("encodings", os.path.join(stdlib, "encodings", "__init__.py"), 1),
        ("encodings.aliases", os.path.join(stdlib, "encodings", "aliases.py"), 0),
        ("encodings.utf_8", os.path.join(stdlib, "encodings", "utf_8.py"), 0),
        ("_mclink_boot", "mclink/_launcher/boot.py", 0),
    ]
    arrays, rows = [], []
    for number, (name, path, package) in enumerate(modules):
        with open(path, "rb") as file:
            code = compile(file.read(), f"<frozen {name}>", "exec", dont_inherit=True)
        data = marshal.dumps(code)
        arrays.append(f"static const unsigned char M{number}[] = "
                      f"{{{','.join(map(str, data))}}};\n")
        rows.append(f'    {{.name = "{name}", .code = M{number}, .size = {len(data)}, '
                    f".is_package = {package}}},\n")
    return "".join(arrays) + "static const struct _frozen FROZEN[] = {\n" + "".join(rows) + "    {0}\n};\n"


def answers(launcher):
    """Does the launcher start an interpreter? What that one says is the tests' business."""
    try:
        done = subprocess.run([os.path.abspath(launcher), "--version"], capture_output=True,
                              check=False)
    except OSError:
        return False
    # 127: the loader did not find the library; a signal: it is not the one of the headers.
    return 0 <= done.returncode < 126 and b"Fatal Python error" not in done.stderr


if __name__ == "__main__":
    setup(
        ext_modules=cythonize(core_extensions(), compiler_directives=DIRECTIVES,
                              build_dir="build/cython",
                              # Several working copies can share what Cython made; off unless asked for.
                              cache="CYTHON_CACHE_DIR" in os.environ,
                              nthreads=0 if "--inplace" in sys.argv else os.cpu_count() or 0),
        cmdclass={"build_ext": BuildWithLauncher, "install_data": InstallLauncher},
        # Names nothing to copy: it is what makes setuptools run install_data.
        data_files=[("bin", [])],
    )
