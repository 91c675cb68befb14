/* B := alpha A^T B, where A is lower triangular with a unit diagonal. */
#include "polybench.h"

static double A[M][M], B[M][N];

APART void fill(double a[M][M], double b[M][N])
{
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < i; j++)
            a[i][j] = (double)((i + j) % M) / M;
        a[i][i] = 1;
        for (int j = 0; j < N; j++)
            b[i][j] = (double)((N + (i - j)) % N) / N;
    }
}

APART void trmm(double alpha, double a[M][M], double b[M][N])
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            for (int k = i + 1; k < M; k++)
                b[i][j] += a[k][i] * b[k][j];
            b[i][j] = alpha * b[i][j];
        }
}

static void run(void)
{
    fill(A, B);
    trmm(1.5, A, B);
}

OUTPUTS = {OUTPUT(B, DOUBLE), END};
