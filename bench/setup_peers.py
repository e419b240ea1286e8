"""Installing what the bench needs on a fresh Debian 12: peers, archives, NumPy.

Everything that Debian does not package goes to the work folder: a virtual environment with
NumPy, matplotlib, pytest-benchmark and the ziglang wheel (whose lld is the newest), and wild built by cargo.
"""

import os
import shutil
import subprocess
import sys

PACKAGES = ("gcc", "g++", "binutils", "lld-19", "mold", "clang-19", "llvm-19-dev",
            "libclang-19-dev", "libpolly-19-dev", "libzstd-dev", "libz3-dev", "zlib1g-dev",
            "libxml2-dev", "libsqlite3-dev", "python3-venv", "qemu-user", *(
                "g++-" + triple for triple in ("aarch64-linux-gnu", "arm-linux-gnueabihf", "mips-linux-gnu",
                                               "mips64el-linux-gnuabi64", "powerpc64-linux-gnu", "powerpc64le-linux-gnu")))
WHEELS = ("numpy", "matplotlib", "pytest", "pytest-benchmark", "ziglang")

# The newest wild may ask for a newer compiler than is installed; this one is tried then.
WILD_FALLBACK = "0.10.0"


def run(command):
    """Say and run a command; raises `SystemExit` when it fails."""
    print("+", " ".join(command), flush=True)
    if subprocess.run(command).returncode != 0:
        raise SystemExit(f"bench: failed: {' '.join(command)}")


def installed(package):
    """Whether dpkg knows `package` as installed."""
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True,
                          text=True)
    return said.returncode == 0 and said.stdout.endswith("ok installed")


def install_packages():
    """The missing Debian packages, in one call; through sudo when not root."""
    missing = [package for package in PACKAGES if not installed(package)]
    if missing:
        root = [] if os.geteuid() == 0 else ["sudo"]
        run([*root, "apt-get", "update"])
        run([*root, "apt-get", "install", "-y", "--no-install-recommends", *missing])


def environment_python(work):
    """The interpreter of the work folder's virtual environment."""
    return os.path.join(work, "venv", "bin", "python")


def install_environment(work):
    """The virtual environment with WHEELS."""
    python = environment_python(work)
    if not os.path.exists(python):
        run([sys.executable, "-m", "venv", os.path.dirname(os.path.dirname(python))])
    run([python, "-m", "pip", "install", "-q", *WHEELS])


def install_wild(work):
    """wild from crates.io, where cargo is at hand; some minutes of compilation."""
    root = os.path.join(work, "wild")
    if os.path.exists(os.path.join(root, "bin", "wild")):
        return
    if not shutil.which("cargo"):
        print("bench: no cargo, so no wild")
        return
    command = ["nice", "cargo", "install", "--locked", "--root", root]
    if subprocess.run([*command, "wild-linker"]).returncode != 0:
        run([*command, f"wild-linker@{WILD_FALLBACK}"])


def install_all(work, wild):
    """Everything; `wild` says whether to build that one too."""
    os.makedirs(work, exist_ok=True)
    install_packages()
    install_environment(work)
    if wild:
        install_wild(work)
