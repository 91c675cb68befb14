/* C := alpha A B + beta C, where A is symmetric and only its lower triangle is read: a[i][k] with k < i is used for
   row i, and as a[k][i] for row k. */
#include "polybench.h"

static double A[M][M], B[M][N], C[M][N];

APART void fill(double a[M][M], double b[M][N], double c[M][N])
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            c[i][j] = (double)((i + j) % 100) / M;
            b[i][j] = (double)((N + i - j) % 100) / M;
        }
    for (int i = 0; i < M; i++) {
        for (int j = 0; j <= i; j++)
            a[i][j] = (double)((i + j) % 100) / M;
        for (int j = i + 1; j < M; j++)
            a[i][j] = -999;
    }
}

APART void symm(double alpha, double beta, double a[M][M], double b[M][N], double c[M][N])
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double above = 0;
            for (int k = 0; k < i; k++) {
                c[k][j] += alpha * b[i][j] * a[i][k];
                above += b[k][j] * a[i][k];
            }
            c[i][j] = beta * c[i][j] + alpha * b[i][j] * a[i][i] + alpha * above;
        }
}

static void run(void)
{
    fill(A, B, C);
    symm(1.5, 1.2, A, B, C);
}

OUTPUTS = {OUTPUT(C, DOUBLE), END};
