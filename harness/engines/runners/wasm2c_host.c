/* A small WASI host for a module that wasm2c turned into C (as `module`, wabt 1.0.32): one process, one execution.

       program [directory] -- argv...

   A trap is told on stderr and ends in abort(). */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "module.h"
#include "wasi_files.h"
#include "wasm-rt-impl.c"

struct Z_wasi_snapshot_preview1_instance_t {
    wasm_rt_memory_t *memory;
};
#define WASI(name, ...) u32 Z_wasi_snapshot_preview1Z_##name(HOST host, ##__VA_ARGS__)
#define ABSENT(name, ...)                                                                                             \
    WASI(name, ##__VA_ARGS__)                                                                                         \
    {                                                                                                                 \
        return NOSYS;                                                                                                 \
    }
typedef struct Z_wasi_snapshot_preview1_instance_t *HOST;

enum { MOST_SLICES = 1024 };

static int argument_count;
static char **arguments;

static void *at(HOST host, u32 address, u64 bytes)
{
    if (!host->memory || (u64)address + bytes > host->memory->size)
        return NULL;
    return host->memory->data + address;
}

static int put(HOST host, u32 address, u64 value, u32 bytes)
{
    void *to = at(host, address, bytes);
    if (to)
        memcpy(to, &value, bytes);
    return to ? 0 : FAULT;
}

WASI(args_sizes_get, u32 count, u32 bytes)
{
    u64 total = 0;
    for (int i = 0; i < argument_count; i++)
        total += strlen(arguments[i]) + 1;
    return put(host, count, argument_count, 4) | put(host, bytes, total, 4);
}

WASI(args_get, u32 pointers, u32 buffer)
{
    for (int i = 0; i < argument_count; i++) {
        u64 bytes = strlen(arguments[i]) + 1;
        void *to = at(host, buffer, bytes);
        if (!to || put(host, pointers + 4 * i, buffer, 4))
            return FAULT;
        memcpy(to, arguments[i], bytes);
        buffer += bytes;
    }
    return 0;
}

WASI(environ_sizes_get, u32 count, u32 bytes)
{
    return put(host, count, 0, 4) | put(host, bytes, 0, 4);
}

WASI(environ_get, u32 pointers, u32 buffer)
{
    return 0;
}

#include "wasm2c_clocks.c"

WASI(random_get, u32 to, u32 bytes)
{
    char *place = at(host, to, bytes);
    if (!place)
        return FAULT;
    for (ssize_t got; bytes; place += got, bytes -= got)
        if ((got = getrandom(place, bytes, 0)) < 0)
            return IO;
    return 0;
}

static u32 transfer(HOST host, u32 fd, u32 slices, u32 count, long long offset, u32 done, int writes)
{
    struct iovec all[MOST_SLICES];
    int file = host_fd(fd);
    ssize_t bytes;
    if (file < 0)
        return BADF;
    if (count > MOST_SLICES)
        return INVAL;
    for (u32 i = 0; i < count; i++) {
        u32 *slice = at(host, slices + 8 * i, 8);
        if (!slice || !(all[i].iov_base = at(host, slice[0], slice[1])))
            return FAULT;
        all[i].iov_len = slice[1];
    }
    if (offset >= 0)
        bytes = writes ? pwritev(file, all, count, offset) : preadv(file, all, count, offset);
    else
        bytes = writes ? writev(file, all, count) : readv(file, all, count);
    return bytes < 0 ? wasi_error() : (u32)put(host, done, bytes, 4);
}

WASI(fd_read, u32 fd, u32 slices, u32 count, u32 done)
{
    return transfer(host, fd, slices, count, -1, done, 0);
}

WASI(fd_write, u32 fd, u32 slices, u32 count, u32 done)
{
    return transfer(host, fd, slices, count, -1, done, 1);
}

WASI(fd_pread, u32 fd, u32 slices, u32 count, u64 offset, u32 done)
{
    return (long long)offset < 0 ? INVAL : transfer(host, fd, slices, count, offset, done, 0);
}

WASI(fd_pwrite, u32 fd, u32 slices, u32 count, u64 offset, u32 done)
{
    return (long long)offset < 0 ? INVAL : transfer(host, fd, slices, count, offset, done, 1);
}

WASI(fd_seek, u32 fd, u64 offset, u32 whence, u32 to)
{
    off_t place = whence > 2 ? -1 : lseek(host_fd(fd), offset, (int[]){SEEK_SET, SEEK_CUR, SEEK_END}[whence]);
    return whence > 2 ? INVAL : place < 0 ? wasi_error() : (u32)put(host, to, place, 8);
}

WASI(fd_tell, u32 fd, u32 to)
{
    off_t place = lseek(host_fd(fd), 0, SEEK_CUR);
    return place < 0 ? wasi_error() : (u32)put(host, to, place, 8);
}

WASI(fd_close, u32 fd)
{
    if (host_fd(fd) < 0)
        return BADF;
    close(files[fd].fd);
    files[fd].fd = -1;
    if (files[fd].listing)
        closedir(files[fd].listing);
    files[fd].listing = NULL;
    return 0;
}

static u32 file_type(mode_t mode)
{
    return S_ISCHR(mode) ? 2 : S_ISDIR(mode) ? 3 : S_ISREG(mode) ? 4 : S_ISLNK(mode) ? 7 : 0;
}

static u32 put_stat(HOST host, const struct stat *told, u32 to)
{
    struct {
        u64 device, inode, type, links, size, accessed, modified, changed;
    } stat = {told->st_dev, told->st_ino, file_type(told->st_mode), told->st_nlink, told->st_size,
              told->st_atim.tv_sec * 1000000000ull + told->st_atim.tv_nsec,
              told->st_mtim.tv_sec * 1000000000ull + told->st_mtim.tv_nsec,
              told->st_ctim.tv_sec * 1000000000ull + told->st_ctim.tv_nsec};
    void *place = at(host, to, sizeof stat);
    if (place)
        memcpy(place, &stat, sizeof stat);
    return place ? 0 : FAULT;
}

WASI(fd_filestat_get, u32 fd, u32 to)
{
    struct stat told;
    return host_fd(fd) < 0 ? BADF : fstat(host_fd(fd), &told) ? wasi_error() : put_stat(host, &told, to);
}

WASI(fd_fdstat_get, u32 fd, u32 to)
{
    struct stat told;
    if (host_fd(fd) < 0)
        return BADF;
    if (fstat(host_fd(fd), &told))
        return wasi_error();
    u64 rights = ~0ull >> 35;
    if (file_type(told.st_mode) == 2)
        rights &= ~0x24ull; /* no seek and tell: a terminal, for wasi-libc */
    return put(host, to, file_type(told.st_mode) | (u64)files[fd].appends << 16, 8) | put(host, to + 8, rights, 8) |
           put(host, to + 16, rights, 8);
}

WASI(fd_fdstat_set_flags, u32 fd, u32 flags)
{
    return host_fd(fd) < 0 ? BADF : 0;
}

WASI(fd_prestat_get, u32 fd, u32 to)
{
    return fd != PREOPENED || host_fd(fd) < 0 ? BADF : put(host, to, 0, 4) | put(host, to + 4, 1, 4);
}

WASI(fd_prestat_dir_name, u32 fd, u32 to, u32 bytes)
{
    return fd != PREOPENED || host_fd(fd) < 0 || bytes < 1 ? BADF : put(host, to, '.', 1);
}

WASI(path_open, u32 directory, u32 lookup, u32 path, u32 length, u32 how, u64 rights, u64 inherited, u32 flags, u32 to)
{
    u32 fd, error = open_file(directory, at(host, path, length), length, how, rights, flags, &fd);
    return error ? error : (u32)put(host, to, fd, 4);
}

WASI(path_filestat_get, u32 directory, u32 lookup, u32 path, u32 length, u32 to)
{
    struct stat told;
    char name[256];
    int parent = walk(directory, at(host, path, length), length, name), failed;
    if (parent < 0)
        return errno == EPERM ? NOTCAPABLE : wasi_error();
    failed = fstatat(parent, name, &told, AT_SYMLINK_NOFOLLOW);
    close(parent);
    return failed ? wasi_error() : put_stat(host, &told, to);
}

#include "wasm2c_directories.c"

WASI(sched_yield)
{
    return 0;
}

void Z_wasi_snapshot_preview1Z_proc_exit(HOST host, u32 code)
{
    exit(code);
}

ABSENT(fd_advise, u32 fd, u64 offset, u64 bytes, u32 advice)
ABSENT(fd_allocate, u32 fd, u64 offset, u64 bytes)
ABSENT(fd_datasync, u32 fd)
ABSENT(fd_fdstat_set_rights, u32 fd, u64 rights, u64 inherited)
ABSENT(fd_filestat_set_size, u32 fd, u64 bytes)
ABSENT(fd_filestat_set_times, u32 fd, u64 accessed, u64 modified, u32 flags)
ABSENT(fd_renumber, u32 from, u32 to)
ABSENT(fd_sync, u32 fd)
ABSENT(path_filestat_set_times, u32 fd, u32 lookup, u32 path, u32 length, u64 accessed, u64 modified, u32 flags)
ABSENT(path_link, u32 fd, u32 lookup, u32 path, u32 length, u32 to_fd, u32 to_path, u32 to_length)
ABSENT(path_readlink, u32 fd, u32 path, u32 length, u32 to, u32 bytes, u32 done)
ABSENT(path_rename, u32 fd, u32 path, u32 length, u32 to_fd, u32 to_path, u32 to_length)
ABSENT(path_symlink, u32 path, u32 length, u32 fd, u32 to, u32 to_length)
ABSENT(sock_accept, u32 fd, u32 flags, u32 to)
ABSENT(sock_recv, u32 fd, u32 slices, u32 count, u32 flags, u32 done, u32 told)
ABSENT(sock_send, u32 fd, u32 slices, u32 count, u32 flags, u32 done)
ABSENT(sock_shutdown, u32 fd, u32 how)

int main(int count, char **words)
{
    static Z_module_instance_t module;
    static struct Z_wasi_snapshot_preview1_instance_t host;
    int first = preopen(count, words);
    arguments = words + first + 1;
    argument_count = count - first - 1;

    wasm_rt_init();
    wasm_rt_trap_t trap = wasm_rt_impl_try();
    if (trap) {
        fprintf(stderr, "wasm trap: %s\n", wasm_rt_strerror(trap));
        abort();
    }
    Z_module_init_module();
    host.memory = Z_moduleZ_memory(&module);
    ((void (*)(Z_module_instance_t *, HOST))(void (*)(void))Z_module_instantiate)(&module, &host); /* takes one where nothing is imported */
    Z_moduleZ__start(&module);
    return 0;
}
