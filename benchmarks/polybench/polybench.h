/* What every kernel of this suite shares: the entry point, one hash line per output array, and a table of the
   output arrays for the verifier. No libc: the only import is WASI's fd_write.

   A kernel's source includes this file, names its sizes by macros given on the command line, defines `run`, and lists
   its outputs:

       OUTPUTS = {OUTPUT(C, DOUBLE), END};

   Functions that receive arrays are APART: never inlined and visible outside, so that the compiler knows as little
   about aliasing as it would for arrays from malloc, and does the arithmetic the source asks for. */
#pragma once

#define APART __attribute__((noinline))
#define EXPORT(name) __attribute__((export_name(#name)))

/* A whole number as a double that the compiler takes as it comes. Where it sees the conversion, LLVM 19 and later
   compute sums and products of indices as integers; the definition, and the published modules, have them in
   floating point. */
static inline double real(int whole)
{
    double number = whole;
    __asm__("" : "+r"(number));
    return number;
}

enum kind { DOUBLE = 0, FLOAT = 1, INT = 2 };

/* Four 32-bit words in linear memory; the exported function `outputs` returns the address of the first entry, and
   an entry of zeros ends the table. `bytes` is a multiple of the element's size. */
struct output {
    const char *name;
    const void *data;
    unsigned bytes;
    enum kind kind;
};

#define OUTPUTS const struct output output_table[]
#define OUTPUT(array, kind) {#array, array, sizeof(array), kind}
#define END {0, 0, 0, DOUBLE}

extern const struct output output_table[];
static void run(void);

typedef unsigned long long u64;
typedef u64 __attribute__((may_alias)) word64;
typedef unsigned __attribute__((may_alias)) word32;

struct slice {
    const char *start;
    unsigned bytes;
};

__attribute__((import_module("wasi_snapshot_preview1"), import_name("fd_write"))) extern int
fd_write(int fd, const struct slice *slices, int count, unsigned *written);

/* One odd multiplication and one shift a word: every step is a bijection, so one changed word always changes the hash. */
static u64 mix(u64 hash, u64 word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
}

static u64 hash_of(const struct output *out)
{
    u64 hash = out->bytes;
    if (out->kind == DOUBLE) {
        const word64 *words = out->data;
        for (unsigned i = 0; i < out->bytes / 8; i++)
            hash = mix(hash, words[i]);
    } else {
        const word32 *words = out->data;
        for (unsigned i = 0; i < out->bytes / 4; i++)
            hash = mix(hash, words[i]);
    }
    return hash;
}

static void print(const char *start, const char *end)
{
    while (start < end) {
        struct slice rest = {start, (unsigned)(end - start)};
        unsigned written = 0;
        if (fd_write(1, &rest, 1, &written) != 0)
            __builtin_trap();
        start += written;
    }
}

EXPORT(outputs) const struct output *outputs(void)
{
    return output_table;
}

EXPORT(_start) void _start(void)
{
    static char line[64];
    run();
    for (const struct output *out = output_table; out->name; out++) {
        char *end = line;
        for (const char *letter = out->name; *letter; letter++)
            *end++ = *letter;
        *end++ = ' ';
        u64 hash = hash_of(out);
        for (int shift = 60; shift >= 0; shift -= 4)
            *end++ = "0123456789abcdef"[hash >> shift & 15];
        *end++ = '\n';
        print(line, end);
    }
}
