/* A Patricia trie of IPv4 addresses: each node names the bit that decides between its two ways, and a way that leads
   up, to a bit not after the last, has arrived at the key. Every address of a log is looked up, and put in if new. */
#include "program.h"

struct node {
    unsigned key;
    int bit; /* 0 is the uppermost; the root has -1 */
    struct node *way[2];
};

static struct node nodes[65536];
static unsigned used;

static inline int bit_of(unsigned key, int bit)
{
    return bit < 0 ? 0 : (int)(key >> (31 - bit) & 1);
}

/* The node whose key agrees with `key` on every bit that the trie asks for on the way. */
APART struct node *nearest(const struct node *root, unsigned key)
{
    const struct node *above = root;
    struct node *here = root->way[0];
    while (here->bit > above->bit) {
        above = here;
        here = here->way[bit_of(key, here->bit)];
    }
    return here;
}

APART void insert(struct node *root, unsigned key, unsigned near)
{
    int bit = 0, side = 0;
    while (bit_of(key, bit) == bit_of(near, bit))
        bit++;
    struct node *above = root, *here = root->way[0];
    while (here->bit > above->bit && here->bit < bit) {
        above = here;
        side = bit_of(key, here->bit);
        here = here->way[side];
    }
    if (used == LENGTH(nodes))
        __builtin_trap();
    struct node *added = &nodes[used++];
    added->key = key;
    added->bit = bit;
    added->way[bit_of(key, bit)] = added;
    added->way[!bit_of(key, bit)] = here;
    above->way[side] = added;
}

static void put_address(unsigned address)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        put_whole(address >> shift & 255);
        put(shift ? '.' : '\n');
    }
}

static void run(void)
{
    struct node *root = &nodes[used++];
    root->bit = -1;
    root->way[0] = root; /* its key is 0.0.0.0 */
    open_input(INPUT);
    for (int seconds, micros, address; read_number(&seconds) && read_number(&micros) && read_number(&address);) {
        unsigned near = nearest(root, (unsigned)address)->key;
        if (near == (unsigned)address) {
            put_fixed(seconds + micros * 1e-6);
            put(' ');
            put_address(near);
        } else {
            insert(root, (unsigned)address, near);
        }
    }
}
