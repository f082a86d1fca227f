/* LD_PRELOAD: one write, fsync or rename below a folder fails, or ends the process; or there are no file locks.
 *
 *     FAULTS_FOLDER   only calls on files below this folder count
 *     FAULTS_COUNT    a file of two 64-bit numbers, shared by all processes: calls so far, and whether one failed
 *     FAULTS_AT       the call that fails, from 1; 0: none, they are counted only
 *     FAULTS_ERRNO    with this error; 0: the process is killed, in a write when half of it is written
 *     FAULTS_NO_LOCKS locks on files below the folder fail with this error
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long *count;
static long at;
static int number, no_locks;
static const char *folder;

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("FAULTS_COUNT"), *locks = getenv("FAULTS_NO_LOCKS");
    no_locks = locks ? atoi(locks) : 0;
    folder = getenv("FAULTS_FOLDER");
    if (!file || !folder) return;
    at = atol(getenv("FAULTS_AT"));
    number = atoi(getenv("FAULTS_ERRNO"));
    int fd = open(file, O_RDWR | O_CLOEXEC);
    void *shared = fd < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (shared != MAP_FAILED) count = shared;
}

static int below(const char *path) {
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && path[length] == '/';
}

/* Whether this call is the one that fails. */
static int fails(void) {
    if (__atomic_add_fetch(&count[0], 1, __ATOMIC_SEQ_CST) != at) return 0;
    count[1] = 1;
    errno = number;
    return 1;
}

static int fd_below(int fd) {
    char link[64], path[PATH_MAX];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int fd_fails(int fd) {
    return count && fd_below(fd) && fails();
}

static int has_no_locks(int fd) {
    if (!no_locks || !folder || !fd_below(fd)) return 0;
    errno = no_locks;
    return 1;
}

static int name_fails(int dir, const char *name) {
    char path[PATH_MAX];
    if (!count) return 0;
    if (name[0] != '/' && dir == AT_FDCWD) {
        if (!getcwd(path, sizeof path)) return 0;
        size_t length = strlen(path);
        snprintf(path + length, sizeof path - length, "/%s", name);
        name = path;
    }
    return (dir != AT_FDCWD && name[0] != '/' ? 1 : below(name)) && fails();
}

static void end(void) {
    raise(SIGKILL);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL(condition, half)                \
    if (condition) {                         \
        if (!number) { half; end(); }        \
        return -1;                           \
    }

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    FAIL(fd_fails(fd), if (real(fd, data, size / 2)) {})
    return real(fd, data, size);
}
ssize_t writev(int fd, const struct iovec *data, int size) {
    REAL(writev);
    FAIL(fd_fails(fd), )
    return real(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    REAL(pwrite);
    FAIL(fd_fails(fd), if (real(fd, data, size / 2, offset)) {})
    return real(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL(pwrite64);
    FAIL(fd_fails(fd), if (real(fd, data, size / 2, offset)) {})
    return real(fd, data, size, offset);
}
ssize_t copy_file_range(int in, off64_t *from, int fd, off64_t *to, size_t size, unsigned int flags) {
    REAL(copy_file_range);
    FAIL(fd_fails(fd), )
    return real(in, from, fd, to, size, flags);
}
ssize_t sendfile(int fd, int in, off_t *offset, size_t size);
ssize_t sendfile(int fd, int in, off_t *offset, size_t size) {
    REAL(sendfile);
    FAIL(fd_fails(fd), )
    return real(fd, in, offset, size);
}
int fsync(int fd) {
    REAL(fsync);
    FAIL(fd_fails(fd), )
    return real(fd);
}
int fdatasync(int fd) {
    REAL(fdatasync);
    FAIL(fd_fails(fd), )
    return real(fd);
}
int rename(const char *from, const char *to) {
    REAL(rename);
    FAIL(name_fails(AT_FDCWD, to), )
    return real(from, to);
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    REAL(renameat);
    FAIL(name_fails(to_dir, to), )
    return real(from_dir, from, to_dir, to);
}
int link(const char *from, const char *to) {
    REAL(link);
    FAIL(name_fails(AT_FDCWD, to), )
    return real(from, to);
}
int flock(int fd, int how) {
    REAL(flock);
    return has_no_locks(fd) ? -1 : real(fd, how);
}
static int control(int (*real)(int, int, ...), int fd, int what, void *more) {
    int lock = what == F_SETLK || what == F_SETLKW || what == F_OFD_SETLK || what == F_OFD_SETLKW;
    return lock && has_no_locks(fd) ? -1 : real(fd, what, more);
}
#define CONTROL(name)                                  \
    int name(int fd, int what, ...) {                  \
        REAL(name);                                    \
        va_list rest;                                  \
        va_start(rest, what);                          \
        void *more = va_arg(rest, void *);             \
        va_end(rest);                                  \
        return control(real, fd, what, more);          \
    }
CONTROL(fcntl)
CONTROL(fcntl64)
