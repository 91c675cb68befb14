/* LU factorisation in place, without pivoting: A becomes L (unit diagonal, below) and U (on and above the diagonal). */
#include "definite.h"

static double A[N][N], product[N][N];

APART void lu(double a[N][N])
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            for (int k = 0; k < j; k++)
                a[i][j] -= a[i][k] * a[k][j];
            a[i][j] /= a[j][j];
        }
        for (int j = i; j < N; j++)
            for (int k = 0; k < i; k++)
                a[i][j] -= a[i][k] * a[k][j];
    }
}

static void run(void)
{
    fill_definite(A, product);
    lu(A);
}

OUTPUTS = {OUTPUT(A, DOUBLE), END};
