/* Preloaded into a program under test: writes down what it does to the files below a folder.
 *
 * POWERLOSS_ROOT    the folder; what lies outside is passed on unseen
 * POWERLOSS_TRACE   where records are appended, see trace.py for their form
 * POWERLOSS_FAULTS  "eio=7 short=5 eintr=3": one sync of 7 fails, every 5th write is short, ...
 * POWERLOSS_INODES  a file of lines "inode inode": files of the first are shown as the second, and
 *                   those that no line has by a number that is as much higher as the line of 0 says
 * POWERLOSS_BOOT    a file that is read in the place of the machine's boot id
 *
 * An operation and its record are made under one lock, which all processes of a recording share,
 * so that records stand in the order of what they tell. Only syncs are not: they get a record before and one after, for what is written
 * meanwhile may miss them.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

struct __attribute__((packed)) head {
    uint32_t length; /* of all that follows it */
    char kind;
    uint64_t time; /* of the file's last write where there is one, else now; in ns */
    uint64_t a, b, c;
    uint16_t name, target; /* lengths; the names and then the data come after */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int lock_fd = -1;
static pid_t lock_owner;
static char lock_path[PATH_MAX];
static char root[PATH_MAX];
static size_t root_length;
static int trace_fd = -1;
static const char *boot;
static unsigned eio_every, short_every, eintr_every;
static unsigned syncs, writes;
static uint64_t tokens;
static struct { uint64_t from, to; } *inodes;
static size_t inode_count;
static uint64_t others;

/* Begin an operation: nobody else makes one. What a fork has inherited would lock nothing. */
static void enter(void) {
    pthread_mutex_lock(&lock);
    if (lock_path[0] && lock_owner != getpid()) {
        if (lock_fd >= 0)
            syscall(SYS_close, lock_fd);
        int fd = (int)syscall(SYS_openat, AT_FDCWD, lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        lock_fd = fcntl(fd, F_DUPFD_CLOEXEC, 700);
        syscall(SYS_close, fd);
        lock_owner = getpid();
    }
    while (lock_fd >= 0 && syscall(SYS_flock, lock_fd, LOCK_EX) != 0)
        ;
}

static void leave(void) {
    if (lock_fd >= 0)
        syscall(SYS_flock, lock_fd, LOCK_UN);
    pthread_mutex_unlock(&lock);
}

static void *real(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

static void read_faults(const char *faults) {
    const char *at;
    eio_every = short_every = eintr_every = 0;
    if ((at = strstr(faults, "eio=")))
        eio_every = (unsigned)atoi(at + 4);
    if ((at = strstr(faults, "short=")))
        short_every = (unsigned)atoi(at + 6);
    if ((at = strstr(faults, "eintr=")))
        eintr_every = (unsigned)atoi(at + 6);
}

static void read_inodes(const char *path) {
    FILE *file = fopen(path, "r");
    unsigned long long from, to;
    if (!file)
        return;
    while (fscanf(file, "%llu %llu", &from, &to) == 2) {
        if (!from) {
            others = to;
            continue;
        }
        inodes = realloc(inodes, (inode_count + 1) * sizeof *inodes);
        inodes[inode_count].from = from;
        inodes[inode_count++].to = to;
    }
    fclose(file);
}

/* Begin, with what the variables say; a child that was forked for a job sets them and calls it. */
__attribute__((constructor)) void powerloss_start(void) {
    const char *folder = getenv("POWERLOSS_ROOT"), *trace = getenv("POWERLOSS_TRACE");
    boot = getenv("POWERLOSS_BOOT");
    if (getenv("POWERLOSS_INODES"))
        read_inodes(getenv("POWERLOSS_INODES"));
    if (getenv("POWERLOSS_FAULTS"))
        read_faults(getenv("POWERLOSS_FAULTS"));
    if (!folder || !trace || !realpath(folder, root))
        return;
    root_length = strlen(root);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND, 0600);
    trace_fd = fcntl(fd, F_DUPFD_CLOEXEC, 700);
    syscall(SYS_close, fd);
    snprintf(lock_path, sizeof lock_path, "%.*s.lock", (int)sizeof lock_path - 8, trace);
}

/* -- writing records --------------------------------------------------------------------------- */

static uint64_t in_ns(struct timespec time) {
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void note_at(uint64_t time, char kind, uint64_t a, uint64_t b, uint64_t c, const char *name,
                    const char *target, const void *data, size_t size) {
    struct head head = {0, kind, time, a, b, c, (uint16_t)strlen(name), (uint16_t)strlen(target)};
    head.length = (uint32_t)(sizeof head - 4 + head.name + head.target + size);
    struct iovec parts[] = {{&head, sizeof head},
                            {(void *)name, head.name},
                            {(void *)target, head.target},
                            {(void *)data, size}};
    syscall(SYS_writev, trace_fd, parts, 4);
}

static void note(char kind, uint64_t a, uint64_t b, uint64_t c, const char *name,
                 const char *target) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    note_at(in_ns(now), kind, a, b, c, name, target, NULL, 0);
}

static int is_below(const char *path) {
    return strncmp(path, root, root_length) == 0 &&
           (path[root_length] == '/' || path[root_length] == 0);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return 1;
}

static int state_of(int fd, const char *path, int flags, struct stat *state) {
    return (int)syscall(SYS_newfstatat, fd, path, state, flags);
}

static uint64_t shown(uint64_t inode) {
    for (size_t i = 0; i < inode_count; i++)
        if (inodes[i].from == inode)
            return inodes[i].to;
    return inode + others;
}

/* The inode of a watched file or folder, as the program sees it; 0 for anything else. */
static uint64_t watched(int fd) {
    char path[PATH_MAX];
    struct stat state;
    if (trace_fd < 0 || fd == trace_fd || !path_of(fd, path) || !is_below(path) ||
        state_of(fd, "", AT_EMPTY_PATH, &state) ||
        !(S_ISREG(state.st_mode) || S_ISDIR(state.st_mode)))
        return 0;
    return shown(state.st_ino);
}

/* The inode of the folder that a path leads into, and the last part; 0 where it is not watched. */
static uint64_t place(int dirfd, const char *path, char *base) {
    char whole[PATH_MAX * 2], parent[PATH_MAX];
    struct stat state;
    if (trace_fd < 0)
        return 0;
    if (path[0] == '/')
        snprintf(whole, sizeof whole, "%s", path);
    else {
        if (dirfd == AT_FDCWD ? !getcwd(parent, sizeof parent) : !path_of(dirfd, parent))
            return 0;
        snprintf(whole, sizeof whole, "%s/%s", parent, path);
    }
    char *slash = strrchr(whole, '/');
    if (strlen(slash + 1) > NAME_MAX)
        return 0;
    strcpy(base, slash + 1);
    *slash = 0;
    if (!realpath(whole[0] ? whole : "/", parent) || !is_below(parent) ||
        state_of(AT_FDCWD, parent, 0, &state))
        return 0;
    return shown(state.st_ino);
}

/* -- opening ----------------------------------------------------------------------------------- */

static int opened(int dirfd, const char *path, int flags, mode_t mode) {
    char base[NAME_MAX + 1];
    struct stat state;
    uint64_t folder;
    if (boot && strcmp(path, BOOT_ID) == 0)
        path = boot;
    if (!(flags & (O_CREAT | O_TRUNC)) || !(folder = place(dirfd, path, base)))
        return (int)syscall(SYS_openat, dirfd, path, flags, mode);
    enter();
    int is_new = state_of(dirfd, path, AT_SYMLINK_NOFOLLOW, &state) != 0;
    int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    int error = errno;
    if (fd >= 0 && state_of(fd, "", AT_EMPTY_PATH, &state) == 0 && S_ISREG(state.st_mode)) {
        if (is_new)
            note_at(in_ns(state.st_mtim), 'C', folder, shown(state.st_ino), 0, base, "", NULL, 0);
        else if (flags & O_TRUNC)
            note_at(in_ns(state.st_mtim), 'T', shown(state.st_ino), 0, 0, "", "", NULL, 0);
    }
    leave();
    errno = error;
    return fd;
}

#define MODE                                                                                       \
    mode_t mode = 0;                                                                               \
    if (flags & O_CREAT) {                                                                         \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode = va_arg(list, mode_t);                                                               \
        va_end(list);                                                                              \
    }

int open(const char *path, int flags, ...) {
    MODE return opened(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE return opened(AT_FDCWD, path, flags, mode);
}
int openat(int dirfd, const char *path, int flags, ...) {
    MODE return opened(dirfd, path, flags, mode);
}
int openat64(int dirfd, const char *path, int flags, ...) {
    MODE return opened(dirfd, path, flags, mode);
}

/* -- contents ---------------------------------------------------------------------------------- */

static size_t joined(const struct iovec *parts, int count, char **data) {
    size_t size = 0, place = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    *data = malloc(size + 1);
    for (int i = 0; i < count; i++) {
        memcpy(*data + place, parts[i].iov_base, parts[i].iov_len);
        place += parts[i].iov_len;
    }
    return size;
}

/* Every write of any kind; `offset` is -1 for the file's own position. */
static ssize_t written(int fd, const void *data, size_t size, off_t offset) {
    uint64_t inode = watched(fd);
    struct stat state;
    ssize_t done;
    if (!inode)
        return offset < 0 ? syscall(SYS_write, fd, data, size)
                          : syscall(SYS_pwrite64, fd, data, size, offset);
    enter();
    writes++;
    if (eintr_every && writes % eintr_every == 0) {
        leave();
        errno = EINTR;
        return -1;
    }
    if (short_every && writes % short_every == 0 && size > 1)
        size /= 2;
    done = offset < 0 ? syscall(SYS_write, fd, data, size)
                      : syscall(SYS_pwrite64, fd, data, size, offset);
    int error = errno;
    if (done > 0) {
        off_t at = offset;
        state_of(fd, "", AT_EMPTY_PATH, &state);
        if (fcntl(fd, F_GETFL) & O_APPEND)
            at = state.st_size - done;
        else if (offset < 0)
            at = lseek(fd, 0, SEEK_CUR) - done;
        note_at(in_ns(state.st_mtim), 'W', inode, (uint64_t)at, 0, "", "", data, (size_t)done);
    }
    leave();
    errno = error;
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    return written(fd, data, size, -1);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return written(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    return written(fd, data, size, offset);
}

static ssize_t written_parts(int fd, const struct iovec *parts, int count, off_t offset) {
    char *data;
    if (!watched(fd))
        return offset < 0 ? syscall(SYS_writev, fd, parts, count)
                          : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    size_t size = joined(parts, count, &data);
    ssize_t done = written(fd, data, size, offset);
    int error = errno;
    free(data);
    errno = error;
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return written_parts(fd, parts, count, -1);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return written_parts(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return written_parts(fd, parts, count, offset);
}
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    (void)flags;
    return written_parts(fd, parts, count, offset);
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t offset, int flags) {
    (void)flags;
    return written_parts(fd, parts, count, offset);
}

/* Copies inside the kernel: refused for watched files, every caller falls back on writes. */
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t size,
                        unsigned flags) {
    if (watched(out)) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, size, flags);
}
ssize_t sendfile(int out, int in, off_t *at, size_t size) {
    if (watched(out)) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_sendfile, out, in, at, size);
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
    return sendfile(out, in, at, size);
}

static int cut(int fd, off_t size) {
    uint64_t inode = watched(fd);
    struct stat state;
    enter();
    int result = (int)syscall(SYS_ftruncate, fd, size), error = errno;
    if (inode && result == 0 && state_of(fd, "", AT_EMPTY_PATH, &state) == 0)
        note_at(in_ns(state.st_mtim), 'T', inode, (uint64_t)size, 0, "", "", NULL, 0);
    leave();
    errno = error;
    return result;
}

int ftruncate(int fd, off_t size) {
    return cut(fd, size);
}
int ftruncate64(int fd, off64_t size) {
    return cut(fd, size);
}
int truncate(const char *path, off_t size) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int result = cut(fd, size), error = errno;
    syscall(SYS_close, fd);
    errno = error;
    return result;
}
int truncate64(const char *path, off64_t size) {
    return truncate(path, size);
}

static int allocate(int fd, off_t offset, off_t size) {
    struct stat state;
    if (state_of(fd, "", AT_EMPTY_PATH, &state))
        return errno;
    return state.st_size < offset + size && cut(fd, offset + size) ? errno : 0;
}

int posix_fallocate(int fd, off_t offset, off_t size) {
    return allocate(fd, offset, size);
}
int posix_fallocate64(int fd, off64_t offset, off64_t size) {
    return allocate(fd, offset, size);
}
int fallocate(int fd, int mode, off_t offset, off_t size) {
    return watched(fd) ? (errno = EOPNOTSUPP, -1)
                       : (int)syscall(SYS_fallocate, fd, mode, offset, size);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t size) {
    return fallocate(fd, mode, offset, size);
}

static int dated(int dirfd, const char *path, const struct timespec times[2], int flags) {
    struct stat state;
    int fd = path ? (int)syscall(SYS_openat, dirfd, path, O_RDONLY | O_CLOEXEC, 0) : dirfd;
    uint64_t inode = fd < 0 ? 0 : watched(fd);
    enter();
    int result = (int)syscall(SYS_utimensat, dirfd, path, times, flags), error = errno;
    if (inode && result == 0 && state_of(fd, "", AT_EMPTY_PATH, &state) == 0)
        note_at(in_ns(state.st_mtim), 'A', inode, 0, 0, "", "", NULL, 0);
    leave();
    if (path && fd >= 0)
        syscall(SYS_close, fd);
    errno = error;
    return result;
}

int futimens(int fd, const struct timespec times[2]) {
    return dated(fd, NULL, times, 0);
}
int utimensat(int dirfd, const char *path, const struct timespec times[2], int flags) {
    return dated(dirfd, path, times, flags);
}

/* -- syncs ------------------------------------------------------------------------------------- */

static int synced(int fd, long call) {
    uint64_t inode = watched(fd);
    if (!inode)
        return (int)syscall(call, fd);
    enter();
    uint64_t token = ++tokens | (uint64_t)getpid() << 32;
    /* Scattered: one that came at the same place of each group would never let it pass. */
    int fails = eio_every && (++syncs * 2654435761u >> 16) % eio_every == 0;
    note('B', inode, token, 0, "", "");
    leave();
    /* Nothing waits for the real disk: what is on it is the replay's to say. */
    enter();
    note('E', inode, token, fails ? EIO : 0, "", "");
    leave();
    if (fails)
        errno = EIO;
    return fails ? -1 : 0;
}

int fsync(int fd) {
    return synced(fd, SYS_fsync);
}
int fdatasync(int fd) {
    return synced(fd, SYS_fdatasync);
}

/* -- names ------------------------------------------------------------------------------------- */

static int renamed(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    char base[NAME_MAX + 1], target[NAME_MAX + 1];
    struct stat state;
    uint64_t folder = place(from_fd, from, base), other = place(to_fd, to, target);
    enter();
    int is_there = state_of(from_fd, from, AT_SYMLINK_NOFOLLOW, &state) == 0;
    int result = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags), error = errno;
    if (result == 0 && is_there && (folder || other))
        note('R', folder, shown(state.st_ino), other, base, target);
    leave();
    errno = error;
    return result;
}

int rename(const char *from, const char *to) {
    return renamed(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    return renamed(from_fd, from, to_fd, to, 0);
}
int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    return renamed(from_fd, from, to_fd, to, flags);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    char base[NAME_MAX + 1];
    struct stat state;
    uint64_t folder = place(to_fd, to, base);
    enter();
    int result = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags), error = errno;
    if (result == 0 && folder && state_of(to_fd, to, AT_SYMLINK_NOFOLLOW, &state) == 0)
        note('L', folder, shown(state.st_ino), 0, base, "");
    leave();
    errno = error;
    return result;
}
int link(const char *from, const char *to) {
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dirfd, const char *path, int flags) {
    char base[NAME_MAX + 1];
    uint64_t folder = place(dirfd, path, base);
    enter();
    int result = (int)syscall(SYS_unlinkat, dirfd, path, flags), error = errno;
    if (result == 0 && folder)
        note('U', folder, 0, 0, base, "");
    leave();
    errno = error;
    return result;
}
int unlink(const char *path) {
    return unlinkat(AT_FDCWD, path, 0);
}
int rmdir(const char *path) {
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int dirfd, const char *path, mode_t mode) {
    char base[NAME_MAX + 1];
    struct stat state;
    uint64_t folder = place(dirfd, path, base);
    enter();
    int result = (int)syscall(SYS_mkdirat, dirfd, path, mode), error = errno;
    if (result == 0 && folder && state_of(dirfd, path, AT_SYMLINK_NOFOLLOW, &state) == 0)
        note('D', folder, shown(state.st_ino), 0, base, "");
    leave();
    errno = error;
    return result;
}
int mkdir(const char *path, mode_t mode) {
    return mkdirat(AT_FDCWD, path, mode);
}

/* -- inodes of a replayed folder --------------------------------------------------------------- */

static int show(int result, struct stat *state) {
    if (result == 0)
        state->st_ino = shown(state->st_ino);
    return result;
}

int fstat(int fd, struct stat *state) {
    return show(state_of(fd, "", AT_EMPTY_PATH, state), state);
}
int stat(const char *path, struct stat *state) {
    return show(state_of(AT_FDCWD, path, 0, state), state);
}
int lstat(const char *path, struct stat *state) {
    return show(state_of(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, state), state);
}
int fstatat(int fd, const char *path, struct stat *state, int flags) {
    return show(state_of(fd, path, flags, state), state);
}
int fstat64(int fd, struct stat64 *state) {
    return fstat(fd, (struct stat *)state);
}
int stat64(const char *path, struct stat64 *state) {
    return stat(path, (struct stat *)state);
}
int lstat64(const char *path, struct stat64 *state) {
    return lstat(path, (struct stat *)state);
}
int fstatat64(int fd, const char *path, struct stat64 *state, int flags) {
    return fstatat(fd, path, (struct stat *)state, flags);
}

struct dirent *readdir(DIR *folder) {
    static __typeof__(&readdir) next;
    if (!next)
        next = REAL(readdir);
    struct dirent *entry = next(folder);
    if (entry)
        entry->d_ino = shown(entry->d_ino);
    return entry;
}
struct dirent64 *readdir64(DIR *folder) {
    static __typeof__(&readdir64) next;
    if (!next)
        next = REAL(readdir64);
    struct dirent64 *entry = next(folder);
    if (entry)
        entry->d_ino = shown(entry->d_ino);
    return entry;
}
