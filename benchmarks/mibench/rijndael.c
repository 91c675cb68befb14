/* AES with a 256-bit key (FIPS 197) in cipher block chaining mode, a file with a fixed key. The output starts with the
   initial vector and ends with 1 to 16 bytes of padding that tell their number; with DECRYPT the way back.
   A round is four look-ups and three exclusive ors a word, in tables made at the start. */
#include "program.h"

enum { ROUNDS = 14 };

static const byte key[32] = {
    0x12, 0x34, 0x56, 0x78, 0x90, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x09, 0x87, 0x65, 0x43, 0x21,
    0x12, 0x34, 0x56, 0x78, 0x90, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x09, 0x87, 0x65, 0x43, 0x21,
};

static byte box[256], inverse_box[256];
static unsigned tables[4][256], inverse_tables[4][256], keys[4 * (ROUNDS + 1)];

/* In GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
static byte times(byte a, byte b)
{
    byte product = 0;
    for (; b; b >>= 1) {
        if (b & 1)
            product ^= a;
        a = (byte)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
    }
    return product;
}

static inline unsigned rotate_right(unsigned x, int by)
{
    return x >> by | x << (32 - by);
}

static void make_tables(void)
{
    byte power = 1, inverse = 1; /* of the generator 3, and of its inverse 0xf6 */
    box[0] = 0x63;
    do {
        power = times(power, 3);
        inverse = times(inverse, 0xf6);
        unsigned x = inverse;
        x ^= x << 1 ^ x << 2 ^ x << 3 ^ x << 4;
        box[power] = (byte)(x ^ x >> 8 ^ 0x63);
    } while (power != 1);
    for (int i = 0; i < 256; i++) {
        byte s = box[i], x = (byte)i;
        inverse_box[s] = x;
        unsigned column = (unsigned)times(s, 2) << 24 | (unsigned)s << 16 | (unsigned)s << 8 | times(s, 3);
        unsigned back = (unsigned)times(x, 14) << 24 | (unsigned)times(x, 9) << 16 | (unsigned)times(x, 13) << 8 |
                        times(x, 11);
        for (int row = 0; row < 4; row++) {
            tables[row][i] = row ? rotate_right(column, 8 * row) : column;
            inverse_tables[row][s] = row ? rotate_right(back, 8 * row) : back;
        }
    }
}

static unsigned load(const byte *from)
{
    return (unsigned)from[0] << 24 | (unsigned)from[1] << 16 | (unsigned)from[2] << 8 | from[3];
}

static void store(unsigned word, byte *to)
{
    for (int i = 0; i < 4; i++)
        to[i] = (byte)(word >> (24 - 8 * i));
}

/* Each byte of a word through `boxes`. */
static unsigned through(const byte boxes[256], unsigned a, unsigned b, unsigned c, unsigned d)
{
    return (unsigned)boxes[a >> 24] << 24 | (unsigned)boxes[b >> 16 & 255] << 16 | (unsigned)boxes[c >> 8 & 255] << 8 |
           boxes[d & 255];
}

static void set_key(void)
{
    byte round_constant = 1;
    for (int i = 0; i < 8; i++)
        keys[i] = load(key + 4 * i);
    for (unsigned i = 8; i < LENGTH(keys); i++) {
        unsigned word = keys[i - 1];
        if (i % 8 == 0) {
            word = rotate_right(word, 24);
            word = through(box, word, word, word, word) ^ (unsigned)round_constant << 24;
            round_constant = times(round_constant, 2);
        } else if (i % 8 == 4) {
            word = through(box, word, word, word, word);
        }
        keys[i] = keys[i - 8] ^ word;
    }
}

#define COLUMN(t, a, b, c, d) (t[0][a >> 24] ^ t[1][b >> 16 & 255] ^ t[2][c >> 8 & 255] ^ t[3][d & 255])

APART void encrypt(byte block[16])
{
    unsigned a = load(block) ^ keys[0], b = load(block + 4) ^ keys[1];
    unsigned c = load(block + 8) ^ keys[2], d = load(block + 12) ^ keys[3];
    const unsigned *k = keys + 4;
    for (int round = 1; round < ROUNDS; round++, k += 4) {
        unsigned a1 = COLUMN(tables, a, b, c, d) ^ k[0], b1 = COLUMN(tables, b, c, d, a) ^ k[1];
        unsigned c1 = COLUMN(tables, c, d, a, b) ^ k[2], d1 = COLUMN(tables, d, a, b, c) ^ k[3];
        a = a1, b = b1, c = c1, d = d1;
    }
    store(through(box, a, b, c, d) ^ k[0], block);
    store(through(box, b, c, d, a) ^ k[1], block + 4);
    store(through(box, c, d, a, b) ^ k[2], block + 8);
    store(through(box, d, a, b, c) ^ k[3], block + 12);
}

/* The equivalent inverse cipher: the inner round keys have gone through the inverse of MixColumns. */
static inline void invert_keys(void)
{
    for (unsigned i = 4; i < 4 * ROUNDS; i++) {
        unsigned k = keys[i];
        k = through(box, k, k, k, k);
        keys[i] = COLUMN(inverse_tables, k, k, k, k);
    }
}

APART void decrypt(byte block[16])
{
    const unsigned *k = keys + 4 * ROUNDS;
    unsigned a = load(block) ^ k[0], b = load(block + 4) ^ k[1];
    unsigned c = load(block + 8) ^ k[2], d = load(block + 12) ^ k[3];
    k -= 4;
    for (int round = 1; round < ROUNDS; round++, k -= 4) {
        unsigned a1 = COLUMN(inverse_tables, a, d, c, b) ^ k[0], b1 = COLUMN(inverse_tables, b, a, d, c) ^ k[1];
        unsigned c1 = COLUMN(inverse_tables, c, b, a, d) ^ k[2], d1 = COLUMN(inverse_tables, d, c, b, a) ^ k[3];
        a = a1, b = b1, c = c1, d = d1;
    }
    store(through(inverse_box, a, d, c, b) ^ k[0], block);
    store(through(inverse_box, b, a, d, c) ^ k[1], block + 4);
    store(through(inverse_box, c, b, a, d) ^ k[2], block + 8);
    store(through(inverse_box, d, c, b, a) ^ k[3], block + 12);
}

#ifdef DECRYPT

static void run(void)
{
    static byte chain[16], block[16], plain[16];
    make_tables();
    set_key();
    invert_keys();
    open_input(INPUT);
    unsigned waiting = 0; /* the last block is known as such only after it */
    for (read_input(chain, 16); read_input(block, 16) == 16; waiting = 16) {
        put_bytes(plain, waiting);
        for (int i = 0; i < 16; i++)
            plain[i] = block[i];
        decrypt(plain);
        for (int i = 0; i < 16; i++) {
            plain[i] ^= chain[i];
            chain[i] = block[i];
        }
    }
    put_bytes(plain, 16u - plain[15]);
}

#else

static void run(void)
{
    static byte chain[16], block[16];
    unsigned seed = 1, size;
    make_tables();
    set_key();
    for (int i = 0; i < 16; i += 4)
        store(next_random(&seed), chain + i);
    put_bytes(chain, 16);
    open_input(INPUT);
    do {
        size = read_input(block, 16);
        for (unsigned i = size; i < 16; i++)
            block[i] = (byte)(16 - size);
        for (int i = 0; i < 16; i++)
            chain[i] ^= block[i];
        encrypt(chain);
        put_bytes(chain, 16);
    } while (size == 16);
}

#endif
