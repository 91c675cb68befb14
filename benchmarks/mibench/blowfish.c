/* Blowfish in 64-bit cipher feedback mode, a file with a fixed key and an initial vector of zeros; with DECRYPT the way
   back, which in this mode encrypts too. The first byte of what is encrypted tells how many bits are fed back.
   B. Schneier, "Description of a New Variable-Length Key, 64-Bit Block Cipher", 1993. */
#include "pi.h"
#include "program.h"

enum { FEEDBACK_BITS = 64 };

struct halves {
    unsigned left, right;
};

/* The cipher's subkeys: 18 words, and four tables of 256. They start as the fraction of pi. */
static unsigned subkeys[18], tables[4][256];

static const byte key[16] = {0x12, 0x34, 0x56, 0x78, 0x90, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x09, 0x87, 0x65, 0x43, 0x21};

APART void encrypt(struct halves *block)
{
    unsigned left = block->left, right = block->right;
    for (int round = 0; round < 16; round += 2) {
#define MIX(x) (((tables[0][x >> 24] + tables[1][x >> 16 & 255]) ^ tables[2][x >> 8 & 255]) + tables[3][x & 255])
        left ^= subkeys[round];
        right ^= MIX(left);
        right ^= subkeys[round + 1];
        left ^= MIX(right);
    }
    block->left = right ^ subkeys[17];
    block->right = left ^ subkeys[16];
}

static void set_key(void)
{
    struct halves block = {0, 0};
    for (unsigned i = 0; i < 18; i++) {
        unsigned word = 0;
        for (unsigned j = 0; j < 4; j++)
            word = word << 8 | key[(4 * i + j) % sizeof key];
        subkeys[i] = pi_fraction[i] ^ word;
    }
    for (unsigned i = 0; i < 1024; i++)
        tables[i / 256][i % 256] = pi_fraction[18 + i];
    for (unsigned i = 0; i < 18; i += 2) {
        encrypt(&block);
        subkeys[i] = block.left;
        subkeys[i + 1] = block.right;
    }
    for (unsigned i = 0; i < 1024; i += 2) {
        encrypt(&block);
        tables[i / 256][i % 256] = block.left;
        tables[i / 256][i % 256 + 1] = block.right;
    }
}

static void run(void)
{
    static byte feedback[8];
    set_key();
    open_input(INPUT);
#ifdef DECRYPT
    if (next_byte() != FEEDBACK_BITS)
        __builtin_trap();
#else
    put(FEEDBACK_BITS);
#endif
    unsigned at = 0;
    for (int c; (c = next_byte()) >= 0; at = (at + 1) & 7) {
        if (at == 0) {
            struct halves block = {0, 0};
            for (int i = 0; i < 4; i++) {
                block.left = block.left << 8 | feedback[i];
                block.right = block.right << 8 | feedback[4 + i];
            }
            encrypt(&block);
            for (int i = 0; i < 4; i++) {
                feedback[i] = (byte)(block.left >> (24 - 8 * i));
                feedback[4 + i] = (byte)(block.right >> (24 - 8 * i));
            }
        }
        byte other = (byte)(c ^ feedback[at]);
        put(other);
#ifdef DECRYPT
        feedback[at] = (byte)c;
#else
        feedback[at] = other;
#endif
    }
}
