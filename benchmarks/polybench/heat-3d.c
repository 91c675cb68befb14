/* Heat equation in a cube, alternately from A to B and from B to A; the faces stay as they are. */
#include "polybench.h"

static double A[N][N][N], B[N][N][N];

APART void fill(double a[N][N][N], double b[N][N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            for (int k = 0; k < N; k++)
                a[i][j][k] = b[i][j][k] = (double)(i + j + (N - k)) * 10 / N;
}

#define STEP(to, from)                                                                                             \
    for (int i = 1; i < N - 1; i++)                                                                                \
        for (int j = 1; j < N - 1; j++)                                                                            \
            for (int k = 1; k < N - 1; k++)                                                                        \
                to[i][j][k] = 0.125 * (from[i + 1][j][k] - 2.0 * from[i][j][k] + from[i - 1][j][k]) +              \
                              0.125 * (from[i][j + 1][k] - 2.0 * from[i][j][k] + from[i][j - 1][k]) +              \
                              0.125 * (from[i][j][k + 1] - 2.0 * from[i][j][k] + from[i][j][k - 1]) + from[i][j][k];

APART void heat_3d(double a[N][N][N], double b[N][N][N])
{
    for (int t = 1; t <= TSTEPS; t++) {
        STEP(b, a)
        STEP(a, b)
    }
}

static void run(void)
{
    fill(A, B);
    heat_3d(A, B);
}

OUTPUTS = {OUTPUT(A, DOUBLE), END};
