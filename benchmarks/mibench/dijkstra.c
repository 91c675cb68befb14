/* Shortest paths between pairs of nodes, from a matrix of distances. As in MiBench the queue is first in, first out:
   a node whose distance was corrected is queued again, until no distance can be corrected any more. */
#include "program.h"

enum { NODES = 100, UNKNOWN = 9999 };

struct waiting {
    int node, distance;
    struct waiting *next;
};

static int distance_between[NODES][NODES];
static int distance_to[NODES], node_before[NODES];
static struct waiting pool[20000], *unused, *first;

APART void append(int node, int distance)
{
    struct waiting *entry = unused, *last = first;
    if (!entry)
        __builtin_trap();
    unused = entry->next;
    entry->node = node;
    entry->distance = distance;
    entry->next = 0;
    if (!last) {
        first = entry;
        return;
    }
    while (last->next)
        last = last->next;
    last->next = entry;
}

APART struct waiting take_first(void)
{
    struct waiting *entry = first, taken = {entry->node, entry->distance, 0};
    first = entry->next;
    entry->next = unused;
    unused = entry;
    return taken;
}

APART void find_paths(int from)
{
    for (int i = 0; i < NODES; i++) {
        distance_to[i] = UNKNOWN;
        node_before[i] = -1;
    }
    distance_to[from] = 0;
    append(from, 0);
    while (first) {
        struct waiting here = take_first();
        for (int i = 0; i < NODES; i++) {
            int found = here.distance + distance_between[here.node][i];
            if (found < distance_to[i]) {
                distance_to[i] = found;
                node_before[i] = here.node;
                append(i, found);
            }
        }
    }
}

static void put_path(int to)
{
    if (node_before[to] >= 0)
        put_path(node_before[to]);
    put(' ');
    put_whole((u64)to);
}

static void run(void)
{
    for (unsigned i = 0; i < LENGTH(pool) - 1; i++)
        pool[i].next = &pool[i + 1];
    unused = pool;
    open_input(INPUT);
    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < NODES; j++)
            if (!read_number(&distance_between[i][j]))
                __builtin_trap();
    for (int from = 0; from < PAIRS; from++) {
        int to = (from + NODES / 2) % NODES;
        find_paths(from);
        put_whole((u64)distance_to[to]);
        put(':');
        put_path(to);
        put('\n');
    }
}
