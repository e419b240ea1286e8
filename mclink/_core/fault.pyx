from mclink._core.parallel cimport atomic_add64


cdef void record_fault(Faults* faults, Fault* row) noexcept nogil:
    cdef int64_t index = atomic_add64(&faults.count, 1)
    if index < faults.capacity:
        faults.rows[index] = row[0]


cdef void fault_at(Faults* faults, uint32_t code, uint32_t file, uint32_t frag, uint64_t offset,
                   uint32_t type, int64_t value) noexcept nogil:
    cdef Fault row
    row.code = code
    row.file = file
    row.frag = frag
    row.type = type
    row.offset = offset
    row.gid = 0
    row.sym = 0
    row.value = value
    row.low = 0
    row.high = 0
    record_fault(faults, &row)
