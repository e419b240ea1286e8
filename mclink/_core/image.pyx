"""Level 2, output: the mapped output file.

The bytes go to a temporary file beside the target, which takes the target's name only when it is complete. Its space
is reserved before it is mapped, so that a full disk is an error here and not a SIGBUS later.
"""
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITE, PyBuffer_Release, PyObject_GetBuffer
from cpython.memoryview cimport PyMemoryView_FromMemory

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/mman.h>
    #include <sys/stat.h>
    #include <fcntl.h>
    #include <unistd.h>
    #include <stdlib.h>
    #include <stdio.h>
    #include <errno.h>
    #include <string.h>
    static void *mclink_create(char *path, uint64_t size, int *out_fd)
    {
        void *p;
        int saved, fd = mkstemp(path);
        if (fd < 0)
            return NULL;
        if (fallocate(fd, 0, 0, size ? size : 1) != 0) {
            if ((errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) || ftruncate(fd, size) != 0) {
                saved = errno; close(fd); unlink(path); errno = saved;
                return NULL;
            }
        }
        if (size == 0) { *out_fd = fd; return (void *)""; }
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            saved = errno; close(fd); unlink(path); errno = saved;
            return NULL;
        }
#ifdef MADV_HUGEPAGE
        /* Page-cache folios as large as the file system has them: fewer faults. */
        madvise(p, size, MADV_HUGEPAGE);
#endif
        *out_fd = fd;
        return p;
    }
    static void *mclink_anonymous(uint64_t size)
    {
        void *p = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? NULL : p;
    }
    static int mclink_finish(int fd, const char *path, const char *target, int mode)
    {
        mode_t mask = umask(0);
        umask(mask);
        if (fchmod(fd, mode & ~mask) != 0 || close(fd) != 0)
            return -1;
        return rename(path, target);
    }
    static int mclink_write_all(const char *target, const char *data, uint64_t size)
    {
        int fd = open(target, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return -1;
        while (size) {
            ssize_t n = write(fd, data, size > 1 << 30 ? 1 << 30 : size);
            if (n < 0) {
                if (errno == EINTR)
                    continue;
                close(fd);
                return -1;
            }
            data += n;
            size -= n;
        }
        return close(fd);
    }
    """
    void* mclink_create(char* path, uint64_t size, int* fd)
    void* mclink_anonymous(uint64_t size)
    int mclink_finish(int fd, const char* path, const char* target, int mode)
    int mclink_write_all(const char* target, const char* data, uint64_t size)
    int munmap(void* address, size_t length)
    int close(int fd)
    int unlink(const char* path)
    int ftruncate(int fd, long size)


cdef class OutputImage:
    """The output being written: `address` is its first byte in memory, `size` its length in bytes."""
    cdef readonly size_t address
    cdef readonly uint64_t size
    cdef bytearray path
    cdef bytes target
    cdef int fd
    cdef bint done

    def __init__(self, bytes target, uint64_t size, bint regular):
        """target: path of the output. regular: False for a device or pipe, which gets the bytes at the end.
        Raises OSError when there is no room."""
        cdef void* p
        self.target = target
        self.size = size
        self.fd = -1
        self.done = False
        if regular:
            folder, slash, name = target.rpartition(b"/")
            self.path = bytearray(folder + slash + b"." + name[:200] + b".XXXXXX")
            p = mclink_create(self.path, size, &self.fd)
        else:
            p = mclink_anonymous(size)
        if p == NULL:
            raise OSError(errno, "")
        self.address = <size_t>p

    def view(self, uint64_t offset, uint64_t length):
        """A writable memoryview of part of the image. It must not outlive the image."""
        if length > self.size or offset > self.size - length:
            raise IndexError(offset)
        if length == 0:
            return memoryview(bytearray())
        return PyMemoryView_FromMemory(<char*><void*>(self.address + offset), length, PyBUF_WRITE)

    def put(self, uint64_t offset, data):
        """Copies a bytes-like object into the image."""
        cdef Py_buffer buffer
        PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE)
        try:
            if <uint64_t>buffer.len > self.size or offset > self.size - <uint64_t>buffer.len:
                raise IndexError(offset)
            memcpy(<uint8_t*>(self.address + offset), buffer.buf, buffer.len)
        finally:
            PyBuffer_Release(&buffer)

    def read(self, uint64_t offset, uint64_t length):
        """Copies bytes out of the image."""
        if length > self.size or offset > self.size - length:
            raise IndexError(offset)
        return (<const char*>(self.address + offset))[:length]

    def finish(self, int mode):
        """Gives the file its mode (before the umask) and its name. Raises OSError."""
        cdef int status
        if self.fd < 0:
            status = mclink_write_all(self.target, <const char*><void*>self.address, self.size)
            self.done = True
            if status != 0:
                raise OSError(errno, "")
            return
        fd, self.fd = self.fd, -1
        self.done = True
        if mclink_finish(fd, self.path, self.target, mode) != 0:
            number = errno
            unlink(self.path)
            raise OSError(number, "")

    def discard(self):
        """Removes the temporary file; the old output stays."""
        if not self.done:
            self.done = True
            if self.fd >= 0:
                close(self.fd)
                self.fd = -1
                unlink(self.path)

    def __dealloc__(self):
        if not self.done and self.fd >= 0:
            close(self.fd)
            unlink(self.path)
        if self.address and self.size:
            munmap(<void*>self.address, self.size)


def copy(size_t out, bytes contents):
    """Copies bytes to an address inside an image."""
    memcpy(<void*>out, <const char*>contents, len(contents))


cdef class Scratch:
    """Zeroed memory for a section that is compressed before it is written."""
    cdef readonly size_t address
    cdef readonly uint64_t size

    def __init__(self, uint64_t size):
        cdef void* p = mclink_anonymous(size)
        if p == NULL:
            raise MemoryError
        self.address = <size_t>p
        self.size = size

    def bytes(self):
        """A copy of the memory."""
        return (<const char*><void*>self.address)[:self.size]

    def __dealloc__(self):
        if self.address:
            munmap(<void*>self.address, self.size if self.size else 1)
