/* A = Q R by modified Gram-Schmidt: Q has orthonormal columns, R is upper triangular. A is overwritten. */
#include "polybench.h"

static double A[M][N], R[N][N], Q[M][N];

APART void fill(double a[M][N], double r[N][N], double q[M][N])
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (double)(i * j % M) / M * 100 + 10;
            q[i][j] = 0;
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            r[i][j] = 0;
}

APART void gramschmidt(double a[M][N], double r[N][N], double q[M][N])
{
    for (int k = 0; k < N; k++) {
        double square = 0;
        for (int i = 0; i < M; i++)
            square += a[i][k] * a[i][k];
        r[k][k] = __builtin_sqrt(square);
        for (int i = 0; i < M; i++)
            q[i][k] = a[i][k] / r[k][k];
        for (int j = k + 1; j < N; j++) {
            r[k][j] = 0;
            for (int i = 0; i < M; i++)
                r[k][j] += q[i][k] * a[i][j];
            for (int i = 0; i < M; i++)
                a[i][j] = a[i][j] - q[i][k] * r[k][j];
        }
    }
}

static void run(void)
{
    fill(A, R, Q);
    gramschmidt(A, R, Q);
}

OUTPUTS = {OUTPUT(R, DOUBLE), OUTPUT(Q, DOUBLE), END};
