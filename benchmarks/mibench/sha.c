/* SHA-1 of a file (FIPS 180). */
#include "program.h"

static unsigned state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

static inline unsigned rotate(unsigned x, int by)
{
    return x << by | x >> (32 - by);
}

APART void take_block(const byte block[64])
{
    unsigned w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int t = 0; t < 16; t++)
        w[t] = (unsigned)block[4 * t] << 24 | (unsigned)block[4 * t + 1] << 16 | (unsigned)block[4 * t + 2] << 8 |
               block[4 * t + 3];
    for (int t = 16; t < 80; t++)
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
#define ROUNDS(from, to, f, k)                                                                                         \
    for (int t = from; t < to; t++) {                                                                                  \
        unsigned next = rotate(a, 5) + (f) + e + w[t] + k;                                                             \
        e = d;                                                                                                         \
        d = c;                                                                                                         \
        c = rotate(b, 30);                                                                                             \
        b = a;                                                                                                         \
        a = next;                                                                                                      \
    }
    ROUNDS(0, 20, (b & c) | (~b & d), 0x5a827999)
    ROUNDS(20, 40, b ^ c ^ d, 0x6ed9eba1)
    ROUNDS(40, 60, (b & c) | (b & d) | (c & d), 0x8f1bbcdc)
    ROUNDS(60, 80, b ^ c ^ d, 0xca62c1d6)
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

static void run(void)
{
    static byte block[64];
    u64 total = 0;
    unsigned size;
    open_input(INPUT);
    for (; (size = read_input(block, 64)) == 64; total += 64)
        take_block(block);
    total += size;
    block[size++] = 0x80;
    if (size > 56) {
        while (size < 64)
            block[size++] = 0;
        take_block(block);
        size = 0;
    }
    while (size < 56)
        block[size++] = 0;
    for (int i = 0; i < 8; i++)
        block[56 + i] = (byte)(total * 8 >> (56 - 8 * i));
    take_block(block);
    for (int i = 0; i < 5; i++)
        put_hex(state[i]);
    put('\n');
}
