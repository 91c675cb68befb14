/* What the programs of this suite share: the entry point, a file to read, and what they print. No libc: the imports
   are WASI's path_open, fd_read and fd_write. A program defines `run`. */
#pragma once

#define APART __attribute__((noinline))
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

typedef unsigned char byte;
typedef unsigned long long u64;

struct slice {
    void *start;
    unsigned bytes;
};

WASI(path_open) extern int path_open(int directory, int lookup, const char *path, unsigned length, int how, u64 rights,
                                     u64 inherited, int flags, int *fd);
WASI(fd_read) extern int fd_read(int fd, const struct slice *slices, int count, unsigned *bytes);
WASI(fd_write) extern int fd_write(int fd, const struct slice *slices, int count, unsigned *bytes);

static void run(void);

/* Reading: one file at a time, through a buffer. */

static struct {
    int fd;
    unsigned at, end;
    byte bytes[4096];
} input;

static inline void open_input(const char *path)
{
    const int preopened = 3;
    const u64 right_to_read = 2;
    unsigned length = 0;
    while (path[length])
        length++;
    if (path_open(preopened, 0, path, length, 0, right_to_read, 0, 0, &input.fd) != 0)
        __builtin_trap();
    input.at = input.end = 0;
}

APART int refill(void)
{
    struct slice all = {input.bytes, sizeof input.bytes};
    input.at = input.end = 0;
    if (fd_read(input.fd, &all, 1, &input.end) != 0)
        __builtin_trap();
    return input.end != 0;
}

/* The next byte of the file, or -1 at its end. */
static inline int next_byte(void)
{
    return input.at == input.end && !refill() ? -1 : input.bytes[input.at++];
}

/* Reads `size` bytes, fewer only where the file ends; how many it were. */
static inline unsigned read_input(byte *to, unsigned size)
{
    unsigned count = 0;
    for (int c; count < size && (c = next_byte()) >= 0; count++)
        to[count] = (byte)c;
    return count;
}

/* Reads the next decimal whole number, whatever stands before it; 0 where there is none. */
static inline int read_number(int *number)
{
    unsigned value = 0;
    int c = next_byte(), negative;
    while (c >= 0 && c != '-' && (c < '0' || c > '9'))
        c = next_byte();
    if (c < 0)
        return 0;
    negative = c == '-';
    if (negative)
        c = next_byte();
    for (; c >= '0' && c <= '9'; c = next_byte())
        value = value * 10 + (unsigned)(c - '0');
    *number = (int)(negative ? -value : value);
    return 1;
}

/* Printing: to stdout, through a buffer. */

static struct {
    unsigned end;
    byte bytes[4096];
} output;

APART void flush(void)
{
    for (unsigned at = 0, written = 0; at < output.end; at += written) {
        struct slice rest = {output.bytes + at, output.end - at};
        if (fd_write(1, &rest, 1, &written) != 0)
            __builtin_trap();
    }
    output.end = 0;
}

static inline void put(int c)
{
    if (output.end == sizeof output.bytes)
        flush();
    output.bytes[output.end++] = (byte)c;
}

static inline void put_bytes(const byte *from, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        put(from[i]);
}

static inline void put_text(const char *text)
{
    while (*text)
        put(*text++);
}

APART void put_whole(u64 number)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (count > 0)
        put(digits[--count]);
}

/* Six digits after the point, as C's %f; for magnitudes below 1e12. */
APART void put_fixed(double number)
{
    if (number < 0) {
        put('-');
        number = -number;
    }
    u64 millionths = (u64)(number * 1e6 + 0.5);
    put_whole(millionths / 1000000);
    put('.');
    for (u64 unit = 100000, rest = millionths % 1000000; unit; unit /= 10)
        put((int)('0' + rest / unit % 10));
}

static inline void put_hex(unsigned word)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[word >> shift & 15]);
}

/* Marsaglia's xorshift: never 0, the same in every run. */
static inline unsigned next_random(unsigned *state)
{
    unsigned x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

__attribute__((export_name("_start"))) void _start(void)
{
    run();
    flush();
}
