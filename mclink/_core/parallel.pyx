from libc.stdlib cimport malloc, free

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    int pthread_create(pthread_t* thread, const void* attr, void* (*start)(void*) noexcept nogil, void* arg)
    int pthread_join(pthread_t thread, void** result)

cdef enum:
    MAX_THREADS = 256

cdef struct Region:          # one parallel_for call
    task_t task              # the unit of work
    void* context            # its first argument
    int64_t count            # number of units
    int64_t next             # next unit to hand out

cdef struct Worker:          # one thread of a region
    Region* region           # what it works on
    int thread               # its index


cdef void run_units(Region* region, int thread) noexcept nogil:
    cdef int64_t index
    while True:
        index = atomic_add64(&region.next, 1)
        if index >= region.count:
            return
        region.task(region.context, index, thread)


cdef void* start_worker(void* argument) noexcept nogil:
    cdef Worker* worker = <Worker*>argument
    run_units(worker.region, worker.thread)
    return NULL


cdef void parallel_for(task_t task, void* context, int64_t count, int threads) noexcept nogil:
    cdef Region region
    cdef pthread_t handles[MAX_THREADS]
    cdef Worker workers[MAX_THREADS]
    cdef int64_t i
    cdef int started = 0
    if threads > MAX_THREADS:
        threads = MAX_THREADS
    if threads > count:
        threads = <int>count
    if threads <= 1:
        for i in range(count):
            task(context, i, 0)
        return
    region.task = task
    region.context = context
    region.count = count
    region.next = 0
    for i in range(1, threads):
        workers[i].region = &region
        workers[i].thread = <int>i
        # A thread that cannot be had is no error: the others take its units.
        if pthread_create(&handles[started], NULL, start_worker, &workers[i]) != 0:
            break
        started += 1
    run_units(&region, 0)
    for i in range(started):
        pthread_join(handles[i], NULL)
