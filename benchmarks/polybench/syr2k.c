/* C := alpha (A B^T + B A^T) + beta C on the lower triangle of the symmetric C. */
#include "polybench.h"

static double A[N][M], B[N][M], C[N][N];

APART void fill(double a[N][M], double b[N][M], double c[N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) {
            a[i][j] = (double)((i * j + 1) % N) / N;
            b[i][j] = (double)((i * j + 2) % M) / M;
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            c[i][j] = (double)((i * j + 3) % N) / M;
}

APART void syr2k(double alpha, double beta, double a[N][M], double b[N][M], double c[N][N])
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++)
            c[i][j] *= beta;
        for (int k = 0; k < M; k++)
            for (int j = 0; j <= i; j++)
                c[i][j] += a[j][k] * alpha * b[i][k] + b[j][k] * alpha * a[i][k];
    }
}

static void run(void)
{
    fill(A, B, C);
    syr2k(1.5, 1.2, A, B, C);
}

OUTPUTS = {OUTPUT(C, DOUBLE), END};
