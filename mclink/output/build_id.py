"""Phase 3: the build id, a hash of the finished output.

The function that the style names hashes the output, or, when that is larger than 1 MiB, the list of the XXH3-128
hashes of its pieces of 1 MiB, made by several threads; so the id depends on every byte and not on the number of
threads. GNU ld hashes the same bytes in another way: an id identifies an output, it is never compared across linkers.
Source: GNU ld manual, node "Options", --build-id.
"""

from mclink import special
from mclink.libraries import library
from mclink.output.dynamic import places_of

PIECE = 1 << 20


def write_build_id(link, out):
    """Fills in the build-id note of the mapped output; does nothing without one."""
    style = link.options.build_id
    place = places_of(link, 0).get(special.BUILD_ID) if style else None
    if place is None:
        return
    if style.startswith("0x"):
        digest = bytes.fromhex(style[2:])
    elif style == "uuid":
        from posix import urandom
        random = bytearray(urandom(16))
        random[6] = random[6] & 0x0f | 0x40
        random[8] = random[8] & 0x3f | 0x80
        digest = bytes(random)
    else:
        digest = final_hash(style, piece_hashes(link, out))
    out.put(place + 16, digest)


def final_hash(style, data):
    """The id: the hash of the piece hashes."""
    if style == "fast":
        return library("xxhash", "--build-id=fast").xxh3_64_digest(data)
    name = "sha1" if style == "tree" else style
    try:
        # The module behind hashlib: hashlib itself loads OpenSSL, which costs milliseconds.
        return getattr(__import__("_" + name), name)(data).digest()
    except ImportError:
        from hashlib import new
        return new(name, data, usedforsecurity=False).digest()


def piece_hashes(link, out):
    """XXH3-128 of every piece of the output, in order, as one bytes object; a small output as it is."""
    if out.size <= PIECE:
        return out.read(0, out.size)
    xxh3_128_digest = library("xxhash", "--build-id").xxh3_128_digest
    view = out.view(0, out.size)
    pieces = [view[at:at + PIECE] for at in range(0, out.size, PIECE)]
    threads = min(link.extra.get("threads", 1), len(pieces))
    if threads <= 1:
        digests = [xxh3_128_digest(piece) for piece in pieces]
    else:
        digests = in_threads(xxh3_128_digest, pieces, threads)
    for piece in pieces:
        piece.release()
    view.release()
    return b"".join(digests)


def in_threads(function, items, threads):
    """[function(item) for item in items], by some threads; for functions that release the GIL."""
    from _thread import allocate_lock, start_new_thread
    results = [None] * len(items)
    failures = []

    def work(first, done):
        try:
            for index in range(first, len(items), threads):
                results[index] = function(items[index])
        except BaseException as error:
            failures.append(error)
        finally:
            done.release()

    locks = []
    for first in range(1, threads):
        lock = allocate_lock()
        lock.acquire()
        locks.append(lock)
        start_new_thread(work, (first, lock))
    own = allocate_lock()
    own.acquire()
    work(0, own)
    for lock in locks:
        lock.acquire()
    if failures:
        raise failures[0]
    return results
