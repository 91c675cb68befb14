/* What a suite's program gets in the place of WASI when it is compiled for a machine itself: one process, one execution.

       program [directory] -- argv...

   The program's `_start` is linked as `program_start`. A trap is told on stderr and ends in abort(). */
#define _GNU_SOURCE
#include <signal.h>
#include <time.h>

#include "wasi_files.h"

struct slice {
    char *start;
    unsigned bytes;
};

void program_start(void);

static int transfer(int fd, const struct slice *slices, int count, unsigned *done, int writes)
{
    int file = host_fd((uint32_t)fd);
    unsigned total = 0;
    if (file < 0)
        return BADF;
    for (int i = 0; i < count; i++) {
        ssize_t bytes = writes ? write(file, slices[i].start, slices[i].bytes) : read(file, slices[i].start, slices[i].bytes);
        if (bytes < 0)
            return (int)wasi_error();
        total += (unsigned)bytes;
        if ((unsigned)bytes < slices[i].bytes)
            break;
    }
    *done = total;
    return 0;
}

int fd_read(int fd, const struct slice *slices, int count, unsigned *done)
{
    return transfer(fd, slices, count, done, 0);
}

int fd_write(int fd, const struct slice *slices, int count, unsigned *done)
{
    return transfer(fd, slices, count, done, 1);
}

int path_open(int directory, int lookup, const char *path, unsigned length, int how, uint64_t rights, uint64_t inherited,
              int flags, int *fd)
{
    uint32_t opened, error;
    (void)lookup, (void)inherited;
    error = open_file((uint32_t)directory, path, length, (uint32_t)how, rights, (uint32_t)flags, &opened);
    if (!error)
        *fd = (int)opened;
    return (int)error;
}

struct subscription {
    uint64_t data;
    uint32_t kind, unused, clock, unused2;
    uint64_t time, precision;
    uint16_t flags;
};

struct event {
    uint64_t data;
    uint16_t error;
    uint8_t kind, unused[21];
};

/* Waits for one clock, for so long from now: nothing else is asked by our suites. */
int poll_oneoff(const struct subscription *wanted, struct event *event, unsigned count, unsigned *happened)
{
    struct timespec left = {(time_t)(wanted->time / 1000000000), (long)(wanted->time % 1000000000)};
    if (count != 1 || wanted->kind || wanted->flags)
        return NOSYS;
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left))
        ;
    *event = (struct event){.data = wanted->data};
    *happened = 1;
    return 0;
}

_Noreturn void proc_exit(int code)
{
    exit(code);
}

static void tell(int number)
{
    const char *what = number == SIGFPE ? "trap: arithmetic\n" : number == SIGSEGV || number == SIGBUS
                           ? "trap: out of bounds memory access or stack\n" : "trap: unreachable\n";
    if (write(2, what, strlen(what)) >= 0)
        abort();
    _exit(134);
}

int main(int count, char **words)
{
    static char stack[1 << 16];
    struct sigaction told = {.sa_handler = tell, .sa_flags = (int)(SA_ONSTACK | SA_RESETHAND)};
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    for (const int *number = (int[]){SIGILL, SIGTRAP, SIGFPE, SIGSEGV, SIGBUS, 0}; *number; number++)
        sigaction(*number, &told, NULL);
    preopen(count, words);
    program_start();
    return 0;
}
