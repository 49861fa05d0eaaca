/* A disk that forgets, for `figaro serve` under LD_PRELOAD.
 *
 * Every change of a file under FAULT_ROOT is written to FAULT_JOURNAL (old octets and new ones) before it is made, and
 * every fsync and fdatasync after it has returned. After kill -9, `ops/faults/rollback` plays the journal and leaves on
 * disk what a power cut would have left: what was synced, and of the rest nothing, or a part chosen by a seed.
 *
 *   FAULT_ROOT     folder whose files are followed
 *   FAULT_JOURNAL  file that the journal is appended to; files that were removed are kept in the folder FAULT_JOURNAL.d
 *   FAULT_SYNC     noop: fsync and fdatasync say yes and do nothing (the mutation that must make the tests fail)
 *   FAULT_FAIL     while a file of this name exists, fsync and fdatasync fail with EIO, and what they should have
 *                  synced is lost: Linux marks such pages clean, so that a second fsync succeeds and saves nothing
 *   FAULT_DELAY    microseconds that each fsync takes longer; alone, without root and journal, it is all that is done
 *
 * Not modelled: writes through a writable shared mapping (SQLite has its -shm there, which is rebuilt after a crash and
 * so is left out), renames of folders, and mkdir, which counts as durable at once.
 *
 * build: gcc -O2 -shared -fPIC -o shim.so shim.c -ldl -lpthread
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DESCRIPTORS = 1 << 16, FILES = 1 << 20 };

/* What a record is about; rollback has the same letters. */
enum kind {
    OPENED = 'o', CREATED = 'c', WRITE = 'w', TRUNCATE = 't', SYNCED = 's', LOST = 'l', UNLINKED = 'u', RENAMED = 'r',
    FOLDER_SYNCED = 'd', FOLDER_LOST = 'f'
};

struct record {
    uint32_t magic;
    uint8_t kind;
    uint8_t padding[3];
    uint64_t sequence; /* of this record; of SYNCED and its like: the last one that the sync covered */
    uint64_t file, offset, old_size;
    uint32_t old_length, new_length; /* octets that follow: old ones (or a path), new ones (or a second path) */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t followed[DESCRIPTORS]; /* file number + 1; UINT32_MAX: a folder */
static char *names[FILES];                      /* path of each file now; NULL once it was removed */
static uint32_t files;
static uint64_t sequence;
static int journal = -1;
static char root[PATH_MAX], attic[PATH_MAX];
static const char *fail_when;
static int no_sync;
static unsigned delay;

#define REAL(name) ((__typeof__(&name))real(&real_##name, #name))
#define DECLARE(name) static void *_Atomic real_##name
static void *real(void *_Atomic *slot, const char *name) {
    void *found = atomic_load(slot);
    if (!found) atomic_store(slot, found = dlsym(RTLD_NEXT, name));
    return found;
}

DECLARE(open); DECLARE(openat); DECLARE(close); DECLARE(write); DECLARE(pwrite); DECLARE(writev); DECLARE(pwritev);
DECLARE(ftruncate); DECLARE(truncate); DECLARE(fallocate); DECLARE(posix_fallocate); DECLARE(fsync); DECLARE(fdatasync);
DECLARE(unlinkat); DECLARE(rename); DECLARE(dup); DECLARE(dup2); DECLARE(dup3); DECLARE(mmap);

static void die(const char *why) {
    dprintf(2, "shim: %s (errno %d)\n", why, errno);
    abort();
}

__attribute__((constructor)) static void start(void) {
    const char *folder = getenv("FAULT_ROOT"), *path = getenv("FAULT_JOURNAL"), *sync = getenv("FAULT_SYNC");
    delay = getenv("FAULT_DELAY") ? (unsigned)atoi(getenv("FAULT_DELAY")) : 0;
    if (!folder || !path) return;
    if (!realpath(folder, root)) die("FAULT_ROOT is not there");
    snprintf(attic, sizeof attic, "%s.d", path);
    mkdir(attic, 0777);
    no_sync = sync && !strcmp(sync, "noop");
    fail_when = getenv("FAULT_FAIL");
    journal = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (journal < 0) die("cannot open FAULT_JOURNAL");
}

/* Writes one record; called with the lock held. */
static void note(enum kind kind, uint64_t at, uint64_t file, uint64_t offset, uint64_t old_size, const void *old,
                 size_t old_length, const struct iovec *new, int count, size_t new_length) {
    struct record head = {.magic = 0x46696761, .kind = kind, .sequence = at, .file = file, .offset = offset,
                          .old_size = old_size, .old_length = (uint32_t)old_length, .new_length = (uint32_t)new_length};
    struct iovec parts[66] = {{&head, sizeof head}, {(void *)old, old_length}};
    if (count > 64) die("too many parts in one write");
    for (int each = 0; each < count; each++) parts[each + 2] = new[each];
    size_t total = sizeof head + old_length + new_length;
    if (REAL(writev)(journal, parts, count + 2) != (ssize_t)total) die("cannot write the journal");
}

/* The absolute path of a name in a folder, links in its folders resolved; 0 when it is not under the root. */
static int absolute(int folder, const char *name, char out[PATH_MAX]) {
    char joined[PATH_MAX], parent[PATH_MAX];
    if (name[0] == '/' || folder == AT_FDCWD) {
        snprintf(joined, sizeof joined, "%s", name);
    } else {
        char link[64], base[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return 0;
        base[length] = 0;
        if (snprintf(joined, sizeof joined, "%s/%s", base, name) >= (int)sizeof joined) return 0;
    }
    char *slash = strrchr(joined, '/');
    const char *last = slash ? slash + 1 : joined;
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", slash == joined ? "/" : slash ? joined : ".");
    if (slash && slash != joined) copy[slash - joined] = 0;
    if (!realpath(copy, parent)) return 0;
    if (!strcmp(last, ".") || !strcmp(last, "..") || !*last) return 0;
    if (snprintf(out, PATH_MAX, "%s/%s", parent, last) >= PATH_MAX) return 0;
    size_t length = strlen(root);
    return !strncmp(out, root, length) && (out[length] == '/' || !out[length]);
}

static int ends_with(const char *path, const char *end) {
    size_t length = strlen(path), tail = strlen(end);
    return length >= tail && !strcmp(path + length - tail, end);
}

/* The number of the file that a path names now, made if it has none; called with the lock held. */
static uint32_t number_of(const char *path) {
    for (uint32_t each = files; each-- > 0;)
        if (names[each] && !strcmp(names[each], path)) return each;
    if (files == FILES) die("too many files");
    names[files] = strdup(path);
    return files++;
}

static void follow(int descriptor, const char *path, int created, int64_t emptied) {
    struct stat now;
    if (descriptor < 0 || fstat(descriptor, &now) != 0) return;
    if (descriptor >= DESCRIPTORS) die("descriptor too large");
    if (S_ISDIR(now.st_mode)) {
        atomic_store(&followed[descriptor], UINT32_MAX);
        return;
    }
    if (!S_ISREG(now.st_mode) || ends_with(path, "-shm")) return;
    if (emptied > 0) die("O_TRUNC of a file that is not empty is not modelled");
    pthread_mutex_lock(&lock);
    uint32_t known = files, number = number_of(path);
    if (created || number == known)
        note(created ? CREATED : OPENED, ++sequence, number, 0, 0, path, strlen(path), NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    atomic_store(&followed[descriptor], number + 1);
}

static int opening(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat before;
    int ours = journal >= 0 && absolute(folder, name, path);
    int there = ours && stat(path, &before) == 0;
    int descriptor = REAL(openat)(folder, name, flags, mode);
    if (ours && descriptor >= 0) {
        int saved = errno;
        follow(descriptor, path, !there, there && (flags & O_TRUNC) && S_ISREG(before.st_mode) ? before.st_size : 0);
        errno = saved;
    }
    return descriptor;
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, last); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }
int open(const char *name, int flags, ...) {
    MODE(flags, flags)
    return opening(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
    MODE(flags, flags)
    return opening(AT_FDCWD, name, flags, mode);
}
int openat(int folder, const char *name, int flags, ...) {
    MODE(flags, flags)
    return opening(folder, name, flags, mode);
}
int openat64(int folder, const char *name, int flags, ...) {
    MODE(flags, flags)
    return opening(folder, name, flags, mode);
}
int creat(const char *name, mode_t mode) { return opening(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int descriptor) {
    if (descriptor >= 0 && descriptor < DESCRIPTORS) atomic_store(&followed[descriptor], 0);
    return REAL(close)(descriptor);
}

static uint32_t file_of(int descriptor) {
    if (descriptor < 0 || descriptor >= DESCRIPTORS) return 0;
    return atomic_load_explicit(&followed[descriptor], memory_order_relaxed);
}

static int copied(int from, int to) {
    if (to >= 0 && to < DESCRIPTORS) atomic_store(&followed[to], file_of(from));
    return to;
}
int dup(int from) { return copied(from, REAL(dup)(from)); }
int dup2(int from, int to) { return copied(from, REAL(dup2)(from, to)); }
int dup3(int from, int to, int flags) { return copied(from, REAL(dup3)(from, to, flags)); }

/* What a range of a file holds now, in memory of its own; ours may be open for writing only. */
static char *before(int descriptor, off_t offset, size_t length) {
    char *old = malloc(length + 1), link[64];
    if (length == 0) return old;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    int reading = REAL(open)(link, O_RDONLY | O_CLOEXEC);
    if (reading < 0 || pread(reading, old, length, offset) != (ssize_t)length) die("cannot read what was there");
    REAL(close)(reading);
    return old;
}

/* Journals one write with what it replaces, then makes it, both under the lock so that the order is the same. */
static ssize_t change(int descriptor, const struct iovec *parts, int count, off_t offset) {
    uint32_t number = file_of(descriptor) - 1;
    size_t length = 0;
    for (int each = 0; each < count; each++) length += parts[each].iov_len;
    pthread_mutex_lock(&lock);
    struct stat now;
    if (fstat(descriptor, &now) != 0) die("fstat");
    int positioned = offset >= 0;
    if (!positioned)
        offset = fcntl(descriptor, F_GETFL) & O_APPEND ? now.st_size : lseek(descriptor, 0, SEEK_CUR);
    size_t old_length = offset >= now.st_size ? 0 : (size_t)(now.st_size - offset);
    if (old_length > length) old_length = length;
    char *old = before(descriptor, offset, old_length);
    note(WRITE, ++sequence, number, (uint64_t)offset, (uint64_t)now.st_size, old, old_length, parts, count, length);
    free(old);
    ssize_t done =
        positioned ? REAL(pwritev)(descriptor, parts, count, offset) : REAL(writev)(descriptor, parts, count);
    if (done != (ssize_t)length) die("short write under the shim");
    pthread_mutex_unlock(&lock);
    return done;
}

static int is_file(int descriptor) {
    uint32_t number = file_of(descriptor);
    return number != 0 && number != UINT32_MAX;
}

ssize_t write(int d, const void *data, size_t length) {
    if (!is_file(d)) return REAL(write)(d, data, length);
    return change(d, &(struct iovec){(void *)data, length}, 1, -1);
}
ssize_t pwrite(int d, const void *data, size_t length, off_t at) {
    if (!is_file(d)) return REAL(pwrite)(d, data, length, at);
    return change(d, &(struct iovec){(void *)data, length}, 1, at);
}
ssize_t pwrite64(int d, const void *data, size_t length, off64_t at) { return pwrite(d, data, length, at); }
ssize_t writev(int d, const struct iovec *parts, int count) {
    return is_file(d) ? change(d, parts, count, -1) : REAL(writev)(d, parts, count);
}
ssize_t pwritev(int d, const struct iovec *parts, int count, off_t at) {
    return is_file(d) ? change(d, parts, count, at) : REAL(pwritev)(d, parts, count, at);
}
ssize_t pwritev64(int d, const struct iovec *parts, int count, off64_t at) { return pwritev(d, parts, count, at); }

int ftruncate(int descriptor, off_t size) {
    if (!is_file(descriptor)) return REAL(ftruncate)(descriptor, size);
    pthread_mutex_lock(&lock);
    struct stat now;
    if (fstat(descriptor, &now) != 0) die("fstat");
    size_t old_length = size < now.st_size ? (size_t)(now.st_size - size) : 0;
    char *old = before(descriptor, size, old_length);
    uint32_t number = file_of(descriptor) - 1;
    note(TRUNCATE, ++sequence, number, (uint64_t)size, (uint64_t)now.st_size, old, old_length, NULL, 0, 0);
    free(old);
    int done = REAL(ftruncate)(descriptor, size);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate64(int descriptor, off64_t size) { return ftruncate(descriptor, size); }
int truncate(const char *name, off_t size) {
    char path[PATH_MAX];
    if (journal >= 0 && absolute(AT_FDCWD, name, path)) die("truncate by path is not modelled");
    return REAL(truncate)(name, size);
}

/* Reserving space is declined; whoever asks goes on with plain writes. */
int fallocate(int d, int mode, off_t at, off_t length) {
    if (!is_file(d)) return REAL(fallocate)(d, mode, at, length);
    errno = EOPNOTSUPP;
    return -1;
}
int fallocate64(int d, int mode, off64_t at, off64_t length) { return fallocate(d, mode, at, length); }
int posix_fallocate(int d, off_t at, off_t length) {
    return is_file(d) ? EOPNOTSUPP : REAL(posix_fallocate)(d, at, length);
}
int posix_fallocate64(int d, off64_t at, off64_t length) { return posix_fallocate(d, at, length); }

static int syncing(int descriptor, int (*sync)(int)) {
    uint32_t number = file_of(descriptor);
    if (!number || journal < 0) {
        if (delay && journal < 0) usleep(delay);
        return sync(descriptor);
    }
    char link[64], path[PATH_MAX] = "";
    if (number == UINT32_MAX) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length < 0 ? 0 : length] = 0;
    }
    pthread_mutex_lock(&lock);
    uint64_t covers = sequence;
    pthread_mutex_unlock(&lock);
    if (delay) usleep(delay);
    if (no_sync) return 0;
    int failing = fail_when && access(fail_when, F_OK) == 0;
    int done = failing ? -1 : sync(descriptor);
    int folder = number == UINT32_MAX;
    enum kind kind = done == 0 ? (folder ? FOLDER_SYNCED : SYNCED) : (folder ? FOLDER_LOST : LOST);
    pthread_mutex_lock(&lock);
    note(kind, covers, folder ? 0 : number - 1, 0, 0, path, strlen(path), NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    if (failing) errno = EIO;
    return done;
}
int fsync(int descriptor) { return syncing(descriptor, REAL(fsync)); }
int fdatasync(int descriptor) { return syncing(descriptor, REAL(fdatasync)); }

/* A removed file stays in the attic under the number of the record, in case its removal was not synced. */
static int removing(int folder, const char *name, int flags) {
    char path[PATH_MAX], kept[PATH_MAX + 32];
    struct stat now;
    if (journal < 0 || (flags & AT_REMOVEDIR) || !absolute(folder, name, path) || ends_with(path, "-shm") ||
        lstat(path, &now) != 0 || !S_ISREG(now.st_mode))
        return REAL(unlinkat)(folder, name, flags);
    pthread_mutex_lock(&lock);
    uint32_t known = files, number = number_of(path);
    if (number == known) note(OPENED, ++sequence, number, 0, 0, path, strlen(path), NULL, 0, 0);
    uint64_t at = ++sequence;
    snprintf(kept, sizeof kept, "%s/%llu", attic, (unsigned long long)at);
    if (link(path, kept) != 0) die("cannot keep a removed file");
    note(UNLINKED, at, number, 0, 0, path, strlen(path), NULL, 0, 0);
    int done = REAL(unlinkat)(folder, name, flags);
    free(names[number]);
    names[number] = NULL;
    pthread_mutex_unlock(&lock);
    return done;
}
int unlink(const char *name) { return removing(AT_FDCWD, name, 0); }
int unlinkat(int folder, const char *name, int flags) { return removing(folder, name, flags); }

int rename(const char *from, const char *to) {
    char old[PATH_MAX], new[PATH_MAX];
    struct stat now;
    if (journal < 0 || !absolute(AT_FDCWD, from, old) || !absolute(AT_FDCWD, to, new)) return REAL(rename)(from, to);
    if (lstat(new, &now) == 0) removing(AT_FDCWD, to, 0);
    pthread_mutex_lock(&lock);
    uint32_t known = files, number = number_of(old);
    if (number == known) note(OPENED, ++sequence, number, 0, 0, old, strlen(old), NULL, 0, 0);
    note(RENAMED, ++sequence, number, 0, 0, old, strlen(old), &(struct iovec){new, strlen(new)}, 1, strlen(new));
    int done = REAL(rename)(from, to);
    free(names[number]);
    names[number] = strdup(new);
    pthread_mutex_unlock(&lock);
    return done;
}

void *mmap(void *at, size_t length, int access, int flags, int descriptor, off_t offset) {
    if (is_file(descriptor) && (flags & MAP_SHARED) && (access & PROT_WRITE))
        die("a writable shared mapping is not modelled");
    return REAL(mmap)(at, length, access, flags, descriptor, offset);
}
void *mmap64(void *at, size_t length, int access, int flags, int descriptor, off64_t offset) {
    return mmap(at, length, access, flags, descriptor, offset);
}
