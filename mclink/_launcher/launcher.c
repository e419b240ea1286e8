/* The program behind `ld`: starts an isolated interpreter on the driver.

   Compiled by setup.py for one interpreter, in one of two forms:

     MCLINK_EMBED   the interpreter is in this process, and so are the modules of mclink/_core (core.h). It
                    is libpython.a where the build has one: a program at fixed addresses needs no
                    relocation. Only the first half of its start is done (start_interpreter).
     otherwise      execs the interpreter with -I -S.

   The package is found from the place of this file, links resolved: beside it when it is
   mclink/_launcher/gcc/ld, else below the prefix whose bin/ it is in. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef MCLINK_EMBED
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <marshal.h>
#include "frozen.h"
#include "core.h"
#endif

/* The interface is provisional and stands unchanged in these. */
#if defined MCLINK_EMBED && PY_VERSION_HEX < 0x030d0000
#define TWO_HALVES
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

/* A small link spends a fifth of its time on first touches of memory. Both heaps begin with pages of this
   size, where the kernel has them: a few touches instead of a thousand. */
#define HUGE_PAGE ((size_t)2 << 20)
#define ARENAS (2 * HUGE_PAGE)
#define FIRST_TOUCH 4096

static char *next_arena, *arenas_end;

static void *take_arena(void *Py_UNUSED(context), size_t size)
{
    if ((size_t)(arenas_end - next_arena) >= size) {
        next_arena += size;
        return next_arena - size;
    }
    void *arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return arena == MAP_FAILED ? NULL : arena;
}

static void drop_arena(void *Py_UNUSED(context), void *arena, size_t size)
{
    munmap(arena, size);
}

static char *to_huge_page(void *p)
{
    return (char *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
}

static void prepare_memory(void)
{
    PyObjectArenaAllocator allocator = {NULL, take_arena, drop_arena};
    char *space = mmap(NULL, ARENAS + HUGE_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space != MAP_FAILED) {
        next_arena = to_huge_page(space);
        arenas_end = next_arena + ARENAS;
        madvise(next_arena, ARENAS, MADV_HUGEPAGE);
    }
    PyObject_SetArenaAllocator(&allocator);

    /* malloc begins right before a border of such pages: it touches where it begins, and a page that was
       touched no longer becomes a part of a huge one. */
    char *start = sbrk(0);
    char *border = to_huge_page(start + FIRST_TOUCH);
    if (start != (void *)-1 && sbrk(border - FIRST_TOUCH - start) != (void *)-1) {
        void *volatile first;
        mallopt(M_TOP_PAD, HUGE_PAGE + FIRST_TOUCH);
        first = malloc(1);
        madvise(border, HUGE_PAGE, MADV_HUGEPAGE);
        free(first);
    }
}

static void check(PyStatus status)
{
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
}

/* The second half of the interpreter's start: streams, codecs, modules from files. */
static PyObject *complete(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
#ifdef TWO_HALVES
    check(_Py_InitializeMain());
#endif
    Py_RETURN_NONE;
}

/* read_file(path, head): what is marshalled in a file behind 4 bytes of `head` and 4 bytes of its size; None
   for another head or no file. The file is mapped, so that only what is read of it costs memory. */
static PyObject *read_file(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *path, *result = NULL;
    const char *head;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "O&y#", PyUnicode_FSConverter, &path, &head, &size))
        return NULL;
    int file = open(PyBytes_AS_STRING(path), O_RDONLY | O_CLOEXEC);
    Py_DECREF(path);
    struct stat about;
    if (file < 0)
        Py_RETURN_NONE;
    if (fstat(file, &about) == 0 && about.st_size > 8) {
        char *data = mmap(NULL, about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        uint32_t length;
        if (data != MAP_FAILED) {
            memcpy(&length, data + 4, 4);
            if (size == 4 && !memcmp(data, head, 4) && length <= about.st_size - 8)
                result = PyMarshal_ReadObjectFromString(data + 8, length);
            munmap(data, about.st_size);
        }
    }
    close(file);
    if (!result && !PyErr_Occurred())
        Py_RETURN_NONE;
    return result;
}

static PyMethodDef START_METHODS[] = {
    {"read_file", read_file, METH_VARARGS, NULL},
    {"complete", complete, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef START = {
    PyModuleDef_HEAD_INIT, .m_name = "_mclink_start", .m_size = -1, .m_methods = START_METHODS,
};

static PyObject *init_start(void)
{
    PyObject *module = PyModule_Create(&START);
    if (module && PyModule_AddStringConstant(module, "EXTENSIONS", PYTHON_DYNLOAD))
        Py_CLEAR(module);
    return module;
}

/* The configuration of `python -I -S -X utf8`, with every path given. The hash seed is fixed, so that
   no run can differ from another. SIGINT keeps its default action: it ends the process.

   With TWO_HALVES the start stops where built-in and frozen modules can be imported, and boot.py asks
   for the rest (PEP 587, multi-phase initialization) when a link needs more: two fifths of the start. */
static void start_interpreter(int argc, char **argv)
{
    PyPreConfig before;
    PyConfig config;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    prepare_memory();
    check(Py_PreInitialize(&before));
    PyImport_FrozenModules = FROZEN;
    if (PyImport_ExtendInittab(CORE) || PyImport_AppendInittab("_mclink_start", init_start))
        fail("out of memory");
    PyConfig_InitIsolatedConfig(&config);
#ifdef TWO_HALVES
    config._init_main = 0;
#endif
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
    /* A link makes few cycles and ends soon: looking for them costs more than they hold. */
    PyGC_Disable();
}

/* argv as the interpreter would have it; NULL with an exception. */
static PyObject *command_line(int argc, char **argv)
{
    PyObject *words = PyList_New(argc);
    for (int i = 0; words && i < argc; i++) {
        PyObject *word = PyUnicode_DecodeFSDefault(argv[i]);
        if (!word)
            return NULL;
        PyList_SET_ITEM(words, i, word);
    }
    return words;
}

int main(int argc, char **argv)
{
    char package[PATH_MAX];
    find_package(package);
    start_interpreter(argc, argv);
    PyObject *boot = PyImport_ImportModule("_mclink_boot");
    PyObject *words = command_line(argc, argv);
    PyObject *folder = PyUnicode_DecodeFSDefault(package);
    if (boot && words && folder)
        PyObject_CallMethod(boot, "run_embedded", "OO", folder, words);
    /* It leaves the process; being here means an exception. */
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
