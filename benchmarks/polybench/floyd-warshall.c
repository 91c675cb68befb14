/* Shortest path between every pair of nodes of a dense directed graph. */
#include "polybench.h"

static int path[N][N];

APART void fill(int length[N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            length[i][j] = i * j % 7 + 1;
            if ((i + j) % 13 == 0 || (i + j) % 7 == 0 || (i + j) % 11 == 0)
                length[i][j] = 999;
        }
}

APART void floyd_warshall(int length[N][N])
{
    for (int k = 0; k < N; k++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                length[i][j] = length[i][j] < length[i][k] + length[k][j] ? length[i][j]
                                                                          : length[i][k] + length[k][j];
}

static void run(void)
{
    fill(path);
    floyd_warshall(path);
}

OUTPUTS = {OUTPUT(path, INT), END};
