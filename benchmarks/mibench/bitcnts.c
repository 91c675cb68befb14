/* Seven ways to count the bits that are set in a word, each over a million words. */
#include "program.h"

static byte bits_of_byte[256];
static const byte bits_of_nibble[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};

static int by_clearing_the_lowest(unsigned x)
{
    int count = 0;
    for (; x; x &= x - 1)
        count++;
    return count;
}

static int by_adding_in_parallel(unsigned x)
{
    x = (x & 0x55555555) + (x >> 1 & 0x55555555);
    x = (x & 0x33333333) + (x >> 2 & 0x33333333);
    x = (x & 0x0f0f0f0f) + (x >> 4 & 0x0f0f0f0f);
    x = (x & 0x00ff00ff) + (x >> 8 & 0x00ff00ff);
    return (int)((x & 0xffff) + (x >> 16));
}

static int by_recursion_on_nibbles(unsigned x)
{
    return bits_of_nibble[x & 15] + (x >> 4 ? by_recursion_on_nibbles(x >> 4) : 0);
}

static int by_nibbles(unsigned x)
{
    return bits_of_nibble[x & 15] + bits_of_nibble[x >> 4 & 15] + bits_of_nibble[x >> 8 & 15] +
           bits_of_nibble[x >> 12 & 15] + bits_of_nibble[x >> 16 & 15] + bits_of_nibble[x >> 20 & 15] +
           bits_of_nibble[x >> 24 & 15] + bits_of_nibble[x >> 28];
}

static int by_bytes(unsigned x)
{
    return bits_of_byte[x & 255] + bits_of_byte[x >> 8 & 255] + bits_of_byte[x >> 16 & 255] + bits_of_byte[x >> 24];
}

static int by_bytes_in_memory(unsigned x)
{
    const byte *at = (const byte *)&x;
    int count = 0;
    for (int i = 0; i < 4; i++)
        count += bits_of_byte[*at++];
    return count;
}

static int by_shifting(unsigned x)
{
    int count = 0;
    for (int i = 0; x && i < 32; i++, x >>= 1)
        count += x & 1;
    return count;
}

static int (*const ways[])(unsigned) = {
    by_clearing_the_lowest, by_adding_in_parallel, by_recursion_on_nibbles, by_nibbles,
    by_bytes,               by_bytes_in_memory,    by_shifting,
};

static void run(void)
{
    unsigned seed = 1;
    for (unsigned i = 1; i < 256; i++)
        bits_of_byte[i] = bits_of_byte[i / 2] + (i & 1);
    for (unsigned way = 0; way < LENGTH(ways); way++) {
        unsigned x = next_random(&seed), sum = 0;
        for (int i = 0; i < ITERATIONS; i++, x += 13)
            sum += (unsigned)ways[way](x);
        put_whole(sum);
        put('\n');
    }
}
