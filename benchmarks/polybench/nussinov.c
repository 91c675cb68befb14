/* RNA folding: table[i][j] is the largest number of base pairs in the subsequence from i to j, the largest of

       table[i][j-1] and table[i+1][j]            (one end stays single)
       table[i+1][j-1] + pairs(i, j)              (the ends pair, unless they are neighbours)
       table[i][k] + table[k+1][j], i < k < j     (two parts) */
#include "polybench.h"

static char seq[N];
static int table[N][N];

APART void fill(char base[N], int best[N][N])
{
    for (int i = 0; i < N; i++)
        base[i] = (char)((i + 1) % 4);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            best[i][j] = 0;
}

static int pairs(char one, char other)
{
    return one + other == 3 ? 1 : 0;
}

#define RAISE(cell, value) cell = cell >= (value) ? cell : (value)

APART void nussinov(char base[N], int best[N][N])
{
    for (int i = N - 1; i >= 0; i--)
        for (int j = i + 1; j < N; j++) {
            RAISE(best[i][j], best[i][j - 1]);
            RAISE(best[i][j], best[i + 1][j]);
            if (i < j - 1)
                RAISE(best[i][j], best[i + 1][j - 1] + pairs(base[i], base[j]));
            else
                RAISE(best[i][j], best[i + 1][j - 1]);
            for (int k = i + 1; k < j; k++)
                RAISE(best[i][j], best[i][k] + best[k + 1][j]);
        }
}

static void run(void)
{
    fill(seq, table);
    nussinov(seq, table);
}

OUTPUTS = {OUTPUT(table, INT), END};
