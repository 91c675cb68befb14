/* y = A^T (A x), row by row. */
#include "polybench.h"

static double A[M][N], x[N], y[N], ax[M];

APART void fill(double a[M][N], double in[N])
{
    for (int i = 0; i < N; i++)
        in[i] = 1 + i / (double)N;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            a[i][j] = (double)((i + j) % N) / (5 * M);
}

APART void atax(double a[M][N], double in[N], double out[N], double row[M])
{
    for (int j = 0; j < N; j++)
        out[j] = 0;
    for (int i = 0; i < M; i++) {
        row[i] = 0;
        for (int j = 0; j < N; j++)
            row[i] = row[i] + a[i][j] * in[j];
        for (int j = 0; j < N; j++)
            out[j] = out[j] + a[i][j] * row[i];
    }
}

static void run(void)
{
    fill(A, x);
    atax(A, x, y, ax);
}

OUTPUTS = {OUTPUT(y, DOUBLE), END};
