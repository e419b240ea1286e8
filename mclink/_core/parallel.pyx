"""Level 1: parallel regions, and the record of them that --time-trace shows."""
from libc.stdlib cimport malloc, free

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    int pthread_create(pthread_t* thread, const void* attr, void* (*start)(void*) noexcept nogil, void* arg)
    int pthread_join(pthread_t thread, void** result)

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* now)

cdef enum:
    MAX_THREADS = 256
    MAX_SPANS = 1 << 16      # spans that a trace keeps; later ones are dropped

cdef struct Span:            # what one thread did in one region
    int64_t start            # CLOCK_MONOTONIC, ns
    int64_t end
    int64_t units            # units of work it took
    int thread               # its index in the region

cdef Span* spans = NULL      # [MAX_SPANS] while tracing
cdef int64_t span_count = 0  # used, or more when some were dropped

cdef struct Region:          # one parallel_for call
    task_t task              # the unit of work
    void* context            # its first argument
    int64_t count            # number of units
    int64_t next             # next unit to hand out

cdef struct Worker:          # one thread of a region
    Region* region           # what it works on
    int thread               # its index


cdef int64_t now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec


cdef void note_span(int64_t start, int64_t units, int thread) noexcept nogil:
    cdef int64_t at = atomic_add64(&span_count, 1)
    if at < MAX_SPANS:
        spans[at].start = start
        spans[at].end = now()
        spans[at].units = units
        spans[at].thread = thread


cdef void run_units(Region* region, int thread) noexcept nogil:
    cdef int64_t index, units = 0
    cdef int64_t start = now() if spans != NULL else 0
    while True:
        index = atomic_add64(&region.next, 1)
        if index >= region.count:
            break
        region.task(region.context, index, thread)
        units += 1
    if spans != NULL:
        note_span(start, units, thread)


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
    region.task = task
    region.context = context
    region.count = count
    region.next = 0
    if threads <= 1:
        run_units(&region, 0)
        return
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


def start_trace():
    """Begins to record, for the whole process, what each thread does in parallel regions."""
    global spans, span_count
    if spans == NULL:
        spans = <Span*>malloc(MAX_SPANS * sizeof(Span))
        if spans == NULL:
            raise MemoryError
    span_count = 0


def take_trace():
    """What has been recorded: list of (start, end, units of work, thread), times in ns of time.perf_counter_ns()."""
    cdef int64_t i
    if spans == NULL:
        return []
    return [(spans[i].start, spans[i].end, spans[i].units, spans[i].thread)
            for i in range(min(span_count, <int64_t>MAX_SPANS))]
