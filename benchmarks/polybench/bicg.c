/* s = A^T r and q = A p in one sweep over A. */
#include "polybench.h"

static double A[N][M], s[M], q[N], p[M], r[N];

APART void fill(double a[N][M], double right[N], double left[M])
{
    for (int j = 0; j < M; j++)
        left[j] = (double)(j % M) / M;
    for (int i = 0; i < N; i++) {
        right[i] = (double)(i % N) / N;
        for (int j = 0; j < M; j++)
            a[i][j] = (double)(i * (j + 1) % N) / N;
    }
}

APART void bicg(double a[N][M], double across[M], double down[N], double left[M], double right[N])
{
    for (int j = 0; j < M; j++)
        across[j] = 0;
    for (int i = 0; i < N; i++) {
        down[i] = 0;
        for (int j = 0; j < M; j++) {
            across[j] = across[j] + right[i] * a[i][j];
            down[i] = down[i] + a[i][j] * left[j];
        }
    }
}

static void run(void)
{
    fill(A, r, p);
    bicg(A, s, q, p, r);
}

OUTPUTS = {OUTPUT(s, DOUBLE), OUTPUT(q, DOUBLE), END};
