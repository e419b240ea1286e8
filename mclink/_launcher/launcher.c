/* The program behind `ld`: starts an isolated interpreter on the driver.

   Compiled by setup.py for one interpreter, in one of two forms:

     MCLINK_EMBED   the interpreter is libpython in this process. Nothing is searched (all paths are
                    known), the codec modules that every start imports are inside, and argv[0] needs
                    no detour. About 1.5 ms faster than the other form where the interpreter is a
                    shared library or stands in a virtual environment, 0.5 ms elsewhere.
     otherwise      execs the interpreter with -I -S.

   The package is found from the place of this file, links resolved: beside it when it is
   mclink/_launcher/gcc/ld, else below the prefix whose bin/ it is in. */

#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#ifdef MCLINK_EMBED
#include <Python.h>
#include "frozen.h"
#endif

static const char *const FOLDERS[] = {
    "/lib/python" PYTHON_RELEASE "/site-packages/mclink",
    "/lib/python" PYTHON_RELEASE "/dist-packages/mclink",
    "/lib64/python" PYTHON_RELEASE "/site-packages/mclink",
    "/lib/python3/dist-packages/mclink",
};

static void fail(const char *what)
{
    fprintf(stderr, "ld.mclink: error: %s\n", what);
    exit(1);
}

/* Cuts `path` behind its last but `count` components; returns 0 when it has too few. */
static int strip_components(char *path, int count)
{
    while (count--) {
        char *slash = strrchr(path, '/');
        if (!slash)
            return 0;
        *slash = 0;
    }
    return 1;
}

/* Fills `package` (PATH_MAX bytes) with the folder mclink. */
static void find_package(char *package)
{
    static const char INSIDE[] = "/_launcher/gcc/";
    char self[PATH_MAX];
    char driver[PATH_MAX + 16];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length > 0) {
        self[length] = 0;
    } else {
        /* No /proc: the name that the kernel was given. */
        const char *name = (const char *)getauxval(AT_EXECFN);
        if (!name || !realpath(name, self))
            fail("cannot find out where the linker is installed");
    }
    char *inside = strstr(self, INSIDE);
    if (inside && !strchr(inside + sizeof INSIDE - 1, '/')) {
        *inside = 0;
        strcpy(package, self);
        return;
    }
    if (strip_components(self, 2)) {
        for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++) {
            if (snprintf(package, PATH_MAX, "%s%s", self, FOLDERS[i]) >= PATH_MAX)
                continue;
            snprintf(driver, sizeof driver, "%s/__init__.py", package);
            if (access(driver, R_OK) == 0)
                return;
        }
    }
    fail("cannot find the package mclink beside the linker");
}

#ifdef MCLINK_EMBED

static void check(PyStatus status)
{
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
}

/* The configuration of `python -I -S -X utf8`, with every path given. The hash seed is fixed, so that
   no run can differ from another. SIGINT keeps its default action: it ends the process. */
static void start_interpreter(int argc, char **argv)
{
    PyPreConfig before;
    PyConfig config;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    check(Py_PreInitialize(&before));
    PyImport_FrozenModules = FROZEN;
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.install_signal_handlers = 0;
    config.pathconfig_warnings = 0;
    config.parse_argv = 0;
    config.use_hash_seed = 1;
    config.hash_seed = 0;
    check(PyConfig_SetBytesString(&config, &config.program_name, PYTHON));
    check(PyConfig_SetBytesString(&config, &config.executable, PYTHON));
    check(PyConfig_SetBytesString(&config, &config.base_executable, PYTHON));
    check(PyConfig_SetBytesString(&config, &config.prefix, PYTHON_PREFIX));
    check(PyConfig_SetBytesString(&config, &config.base_prefix, PYTHON_PREFIX));
    check(PyConfig_SetBytesString(&config, &config.exec_prefix, PYTHON_PREFIX));
    check(PyConfig_SetBytesString(&config, &config.base_exec_prefix, PYTHON_PREFIX));
    check(PyConfig_SetBytesString(&config, &config.stdlib_dir, PYTHON_STDLIB));
    check(PyWideStringList_Append(&config.module_search_paths, L"" PYTHON_STDLIB));
    check(PyWideStringList_Append(&config.module_search_paths, L"" PYTHON_DYNLOAD));
    config.module_search_paths_set = 1;
    check(PyConfig_SetBytesArgv(&config, argc, argv));
    check(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
}

int main(int argc, char **argv)
{
    char package[PATH_MAX];
    find_package(package);
    start_interpreter(argc, argv);
    PyObject *boot = PyImport_ImportModule("_mclink_boot");
    PyObject *words = PySys_GetObject("argv");
    PyObject *folder = PyUnicode_DecodeFSDefault(package);
    if (boot && words && folder)
        PyObject_CallMethod(boot, "run", "OO", folder, words);
    /* run() leaves the process; being here means an exception. */
    PyErr_Print();
    return 1;
}

#else

int main(int argc, char **argv)
{
    char package[PATH_MAX];
    char boot[PATH_MAX + 32];
    char **words = calloc(argc + 9, sizeof *words);
    find_package(package);
    snprintf(boot, sizeof boot, "%s/_launcher/boot.py", package);
    if (!words)
        fail("out of memory");
    int n = 0;
    words[n++] = PYTHON;
    words[n++] = "-I";
    words[n++] = "-S";
    words[n++] = "-X";
    words[n++] = "utf8";
    words[n++] = boot;
    words[n++] = package;
    words[n++] = argc ? argv[0] : "ld.mclink";
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];
    execv(PYTHON, words);
    fail("cannot start " PYTHON);
}

#endif
