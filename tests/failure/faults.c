/* LD_PRELOAD: writes, fsyncs and renames below a folder fail, or end the process; or there are no file locks.
 *
 *     FAULTS_FOLDER   only calls on files below this folder count
 *     FAULTS_PLAN     a file of `struct fault`s, shared by all processes
 *     FAULTS_LIST     a file to which the name of each call is added
 *     FAULTS_NO_LOCKS locks on files below the folder fail with this error
 *
 * A call's name is the operation and the path in the folder; each word in it with a digit is `#`, as numbers,
 * processes, times and hashes differ from run to run.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct fault {
    char call[232]; /* its name */
    int64_t at;     /* which call of this name fails, from 1 */
    int64_t error;  /* with this error; 0: the process is killed, in a write when half of it is written */
    int64_t calls;  /* how many there have been */
};

static struct fault *plan;
static size_t faults;
static const char *folder, *list;
static int no_locks;

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("FAULTS_PLAN"), *locks = getenv("FAULTS_NO_LOCKS");
    no_locks = locks ? atoi(locks) : 0;
    folder = getenv("FAULTS_FOLDER");
    list = getenv("FAULTS_LIST");
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    struct stat state;
    if (fd < 0 || fstat(fd, &state)) return;
    void *shared = mmap(NULL, state.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED) return;
    plan = shared;
    faults = state.st_size / sizeof *plan;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && path[length] == '/';
}

static int word(char c) {
    return isalnum((unsigned char)c) || c == '=';
}

static void name_call(char *to, const char *operation, const char *path) {
    char *last = to + sizeof plan->call - 1;
    to = stpcpy(stpcpy(to, operation), " ");
    for (path += strlen(folder) + 1; *path && to < last;) {
        size_t length = 0;
        int digits = 0;
        while (word(path[length])) digits += !!isdigit((unsigned char)path[length++]);
        if (!length) length = 1;
        if (digits) *to++ = '#';
        else for (size_t i = 0; i < length && to < last; i++) *to++ = path[i];
        path += length;
    }
    *to = 0;
}

static void add_to_list(const char *call) {
    REAL(write);
    char line[sizeof plan->call + 1];
    int fd = open(list, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (real(fd, line, sprintf(line, "%s\n", call)) < 0) abort();
    close(fd);
}

/* The fault that this call meets; none: NULL. */
static struct fault *fault_of(const char *operation, const char *path) {
    char call[sizeof plan->call];
    if (!below(path)) return NULL;
    name_call(call, operation, path);
    if (list) add_to_list(call);
    for (struct fault *fault = plan; fault < plan + faults; fault++)
        if (!strcmp(fault->call, call) && __atomic_add_fetch(&fault->calls, 1, __ATOMIC_SEQ_CST) == fault->at)
            return fault;
    return NULL;
}

static int path_of(int fd, char *path) {
    char link[64];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static struct fault *fd_fault(const char *operation, int fd) {
    char path[PATH_MAX];
    return (plan || list) && path_of(fd, path) ? fault_of(operation, path) : NULL;
}

static struct fault *name_fault(const char *operation, int dir, const char *name) {
    char path[PATH_MAX];
    if (!plan && !list) return NULL;
    if (name[0] != '/') {
        if (dir == AT_FDCWD ? !getcwd(path, sizeof path) : !path_of(dir, path)) return NULL;
        size_t length = strlen(path);
        snprintf(path + length, sizeof path - length, "/%s", name);
        name = path;
    }
    return fault_of(operation, name);
}

static int has_no_locks(int fd) {
    char path[PATH_MAX];
    if (!no_locks || !folder || !path_of(fd, path) || !below(path)) return 0;
    errno = no_locks;
    return 1;
}

static void end(void) {
    raise(SIGKILL);
}

#define FAIL(fault_of_call, half)                 \
    struct fault *fault = fault_of_call;          \
    if (fault) {                                  \
        if (!fault->error) { half; end(); }       \
        errno = fault->error;                     \
        return -1;                                \
    }

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    FAIL(fd_fault(__func__, fd), if (real(fd, data, size / 2)) {})
    return real(fd, data, size);
}
ssize_t writev(int fd, const struct iovec *data, int size) {
    REAL(writev);
    FAIL(fd_fault(__func__, fd), )
    return real(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    REAL(pwrite);
    FAIL(fd_fault(__func__, fd), if (real(fd, data, size / 2, offset)) {})
    return real(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL(pwrite64);
    FAIL(fd_fault(__func__, fd), if (real(fd, data, size / 2, offset)) {})
    return real(fd, data, size, offset);
}
ssize_t copy_file_range(int in, off64_t *from, int fd, off64_t *to, size_t size, unsigned int flags) {
    REAL(copy_file_range);
    FAIL(fd_fault(__func__, fd), )
    return real(in, from, fd, to, size, flags);
}
ssize_t sendfile(int fd, int in, off_t *offset, size_t size);
ssize_t sendfile(int fd, int in, off_t *offset, size_t size) {
    REAL(sendfile);
    FAIL(fd_fault(__func__, fd), )
    return real(fd, in, offset, size);
}
int fsync(int fd) {
    REAL(fsync);
    FAIL(fd_fault(__func__, fd), )
    return real(fd);
}
int fdatasync(int fd) {
    REAL(fdatasync);
    FAIL(fd_fault(__func__, fd), )
    return real(fd);
}
int rename(const char *from, const char *to) {
    REAL(rename);
    FAIL(name_fault(__func__, AT_FDCWD, to), )
    return real(from, to);
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    REAL(renameat);
    FAIL(name_fault(__func__, to_dir, to), )
    return real(from_dir, from, to_dir, to);
}
int link(const char *from, const char *to) {
    REAL(link);
    FAIL(name_fault(__func__, AT_FDCWD, to), )
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
