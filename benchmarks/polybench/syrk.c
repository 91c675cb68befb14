/* C := alpha A A^T + beta C on the lower triangle of the symmetric C. */
#include "polybench.h"

static double A[N][M], C[N][N];

APART void fill(double a[N][M], double c[N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            a[i][j] = (double)((i * j + 1) % N) / N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            c[i][j] = (double)((i * j + 2) % M) / M;
}

APART void syrk(double alpha, double beta, double a[N][M], double c[N][N])
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++)
            c[i][j] *= beta;
        for (int k = 0; k < M; k++)
            for (int j = 0; j <= i; j++)
                c[i][j] += alpha * a[i][k] * a[j][k];
    }
}

static void run(void)
{
    fill(A, C);
    syrk(1.5, 1.2, A, C);
}

OUTPUTS = {OUTPUT(C, DOUBLE), END};
