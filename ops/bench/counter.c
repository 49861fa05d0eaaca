/* Counts what each thread of `figaro serve` asks of the system, under LD_PRELOAD; changes nothing.
 *
 *   COUNTER_FILE  file that is mapped and counted in; `Tests/EndToEnd/servers/counter.py` reads it while we run
 *
 * A thread has a row of its own, so that counting costs no locked instruction and the sums are exact to the last call:
 * the thresholds of `test_costs.py` must notice one allocation more in ten. Rows of ended threads stay.
 *
 * build: gcc -O2 -shared -fPIC -o counter.so counter.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { THREADS = 4096 };

/* The reader has the same fields in the same order. */
struct row {
    _Atomic uint64_t thread; /* its number in /proc/PID/task; 0 where no thread has counted yet */
    _Atomic uint64_t allocations, allocated, frees;
    _Atomic uint64_t statements;              /* SQL statements begun */
    _Atomic uint64_t syncs;                   /* fsync and fdatasync */
    _Atomic uint64_t file_writes, file_bytes; /* to regular files */
};

static struct row *rows;
static _Atomic uint64_t taken;
static __thread struct row *mine __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("COUNTER_FILE");
    if (!path) return;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0 || ftruncate(file, sizeof(struct row) * THREADS) != 0) abort();
    void *map = mmap(NULL, sizeof(struct row) * THREADS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) abort();
    close(file);
    rows = map;
}

static struct row *own(void) {
    if (mine || !rows) return mine;
    uint64_t number = atomic_fetch_add(&taken, 1);
    if (number >= THREADS) abort();
    mine = &rows[number];
    atomic_store(&mine->thread, (uint64_t)syscall(SYS_gettid));
    return mine;
}

/* Only the thread itself writes its row, so a load and a store are enough. */
static void add(_Atomic uint64_t *count, uint64_t more) {
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more, memory_order_relaxed);
}

/* The C library's own names: looking `malloc` up with dlsym would allocate. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static void *counted(void *memory, size_t size) {
    struct row *row = own();
    if (row && memory) {
        add(&row->allocations, 1);
        add(&row->allocated, size);
    }
    return memory;
}
void *malloc(size_t size) { return counted(__libc_malloc(size), size); }
void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size), count * size); }
void *realloc(void *old, size_t size) { return counted(__libc_realloc(old, size), size); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size), size); }
void *aligned_alloc(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size), size); }
int posix_memalign(void **memory, size_t alignment, size_t size) {
    void *made = counted(__libc_memalign(alignment, size), size);
    if (!made) return ENOMEM;
    *memory = made;
    return 0;
}
void free(void *memory) {
    struct row *row = memory ? own() : NULL;
    if (row) add(&row->frees, 1);
    __libc_free(memory);
}

#define REAL(name) ((__typeof__(&name))real(&real_##name, #name))
#define DECLARE(name) static void *_Atomic real_##name
static void *real(void *_Atomic *slot, const char *name) {
    void *found = atomic_load(slot);
    if (!found) atomic_store(slot, found = dlsym(RTLD_NEXT, name));
    return found;
}
DECLARE(fsync); DECLARE(fdatasync); DECLARE(write); DECLARE(pwrite64); DECLARE(writev); DECLARE(pwritev);
DECLARE(sqlite3_step); DECLARE(sqlite3_stmt_busy);

static int synced(int done) {
    struct row *row = own();
    if (row) add(&row->syncs, 1);
    return done;
}
int fsync(int descriptor) { return synced(REAL(fsync)(descriptor)); }
int fdatasync(int descriptor) { return synced(REAL(fdatasync)(descriptor)); }

static ssize_t wrote(int descriptor, ssize_t length) {
    struct row *row = length > 0 ? own() : NULL;
    struct stat file;
    int saved = errno;
    if (row && fstat(descriptor, &file) == 0 && S_ISREG(file.st_mode)) {
        add(&row->file_writes, 1);
        add(&row->file_bytes, (uint64_t)length);
    }
    errno = saved;
    return length;
}
ssize_t write(int d, const void *data, size_t length) { return wrote(d, REAL(write)(d, data, length)); }
ssize_t pwrite64(int d, const void *data, size_t length, off64_t at) {
    return wrote(d, REAL(pwrite64)(d, data, length, at));
}
ssize_t pwrite(int d, const void *data, size_t length, off_t at) { return pwrite64(d, data, length, at); }
ssize_t writev(int d, const struct iovec *parts, int count) { return wrote(d, REAL(writev)(d, parts, count)); }
ssize_t pwritev(int d, const struct iovec *parts, int count, off_t at) {
    return wrote(d, REAL(pwritev)(d, parts, count, at));
}

/* A statement that is not under way is begun by this step. */
typedef struct sqlite3_stmt sqlite3_stmt;
int sqlite3_step(sqlite3_stmt *);
int sqlite3_stmt_busy(sqlite3_stmt *);
int sqlite3_step(sqlite3_stmt *statement) {
    struct row *row = own();
    int busy = ((int (*)(sqlite3_stmt *))real(&real_sqlite3_stmt_busy, "sqlite3_stmt_busy"))(statement);
    if (row && !busy) add(&row->statements, 1);
    return ((int (*)(sqlite3_stmt *))real(&real_sqlite3_step, "sqlite3_step"))(statement);
}
