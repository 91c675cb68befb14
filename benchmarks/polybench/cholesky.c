/* Cholesky factorisation in place: the lower triangle of A becomes L with L L^T = A. */
#include "definite.h"

static double A[N][N], product[N][N];

APART void cholesky(double a[N][N])
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            for (int k = 0; k < j; k++)
                a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
        for (int k = 0; k < i; k++)
            a[i][i] -= a[i][k] * a[i][k];
        a[i][i] = __builtin_sqrt(a[i][i]);
    }
}

static void run(void)
{
    fill_definite(A, product);
    cholesky(A);
}

OUTPUTS = {OUTPUT(A, DOUBLE), END};
