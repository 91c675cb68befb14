/* The files of one WASI process, for hosts in C: a directory preopened as `.`, outside of which nothing can be reached.
   A path is walked name by name, `..` not above the directory, and symbolic links are not followed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BADF = 8, FAULT = 21, INVAL = 28, IO = 29, NOSYS = 52, NOTCAPABLE = 76 };
enum { FILES = 256, PREOPENED = 3 };

static struct {
    int fd; /* -1: closed */
    int appends;
    DIR *listing; /* while a directory is being listed, which stands before this entry */
    uint64_t entry;
} files[FILES];
static uint32_t wasi_error(void)
{
    switch (errno) {
    case 0: return 0;
    case EACCES: return 2;
    case EBADF: return BADF;
    case EEXIST: return 20;
    case EFBIG: return 22;
    case EINVAL: return INVAL;
    case EISDIR: return 31;
    case ELOOP: return 32;
    case EMFILE: return 33;
    case ENAMETOOLONG: return 37;
    case ENOENT: return 44;
    case ENOSPC: return 51;
    case ENOTDIR: return 54;
    case ENOTEMPTY: return 55;
    case EPERM: return 63;
    case EPIPE: return 64;
    case ESPIPE: return 70;
    default: return IO;
    }
}

static int host_fd(uint32_t fd)
{
    return fd < FILES ? files[fd].fd : -1;
}

/* The directory that holds the last name of a path, which is copied to `name`; -1 and errno where it may not be had. */
static int walk(uint32_t directory, const char *text, uint32_t length, char name[256])
{
    char copy[4096], *rest, *part, *next;
    int depth = 0, stack[64];
    if (!text || length >= sizeof copy || memchr(text, 0, length)) {
        errno = EINVAL;
        return -1;
    }
    memcpy(copy, text, length);
    copy[length] = 0;
    if (copy[0] == '/' || host_fd(directory) < 0 || (stack[0] = dup(host_fd(directory))) < 0) {
        errno = copy[0] == '/' ? EPERM : EBADF;
        return -1;
    }
    strcpy(name, ".");
    for (part = strtok_r(copy, "/", &rest); part; part = next) {
        next = strtok_r(NULL, "/", &rest);
        if (strlen(part) > 255) {
            errno = ENAMETOOLONG;
            break;
        }
        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            if (depth == 0) {
                errno = EPERM;
                break;
            }
            close(stack[depth--]);
            strcpy(name, ".");
            continue;
        }
        if (next) {
            if (depth == 63 || (stack[depth + 1] = openat(stack[depth], part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
                break;
            depth++;
        } else
            strcpy(name, part);
    }
    for (int i = 0; i < depth + (part != NULL); i++) {
        int kept = errno;
        close(stack[i]);
        errno = kept;
    }
    return part ? -1 : stack[depth];
}

/* WASI's path_open: an error number, or 0 and a file descriptor. */
static uint32_t open_file(uint32_t directory, const char *text, uint32_t length, uint32_t how, uint64_t rights,
                          uint32_t flags, uint32_t *fd)
{
    const uint64_t read = 2, write = 64;
    char name[256];
    int parent = walk(directory, text, length, name), opened;
    uint32_t next = PREOPENED + 1;
    if (parent < 0)
        return errno == EPERM ? NOTCAPABLE : wasi_error();
    int mode = rights & write && !(how & 2) ? (rights & read ? O_RDWR : O_WRONLY) : O_RDONLY;
    mode |= (how & 1 ? O_CREAT : 0) | (how & 2 ? O_DIRECTORY : 0) | (how & 4 ? O_EXCL : 0) | (how & 8 ? O_TRUNC : 0) |
            (flags & 1 ? O_APPEND : 0) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    opened = openat(parent, name, mode, 0600);
    close(parent);
    if (opened < 0)
        return wasi_error();
    while (next < FILES && files[next].fd >= 0)
        next++;
    if (next == FILES) {
        close(opened);
        return 33;
    }
    files[next].fd = opened;
    files[next].appends = flags & 1;
    *fd = next;
    return 0;
}

/* Standard streams, and the directory of `program [directory] -- argv...`. Which word is the `--`. */
static int preopen(int count, char **words)
{
    int first = 1;
    for (int fd = 0; fd < FILES; fd++)
        files[fd].fd = fd < PREOPENED ? fd : -1;
    if (first < count && strcmp(words[first], "--") != 0) {
        files[PREOPENED].fd = open(words[first++], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (files[PREOPENED].fd < 0) {
            perror("cannot run: the directory cannot be opened");
            abort();
        }
    }
    return first;
}
