/* Solve A x = b: LU factorisation in place, forward substitution for y, back substitution for x. */
#include "definite.h"

static double A[N][N], product[N][N], b[N], x[N], y[N];

APART void fill(double rhs[N], double forward[N], double solution[N])
{
    for (int i = 0; i < N; i++) {
        solution[i] = 0;
        forward[i] = 0;
        rhs[i] = (i + 1) / (double)N / 2.0 + 4;
    }
}

APART void ludcmp(double a[N][N], double rhs[N], double forward[N], double solution[N])
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            double rest = a[i][j];
            for (int k = 0; k < j; k++)
                rest -= a[i][k] * a[k][j];
            a[i][j] = rest / a[j][j];
        }
        for (int j = i; j < N; j++) {
            double rest = a[i][j];
            for (int k = 0; k < i; k++)
                rest -= a[i][k] * a[k][j];
            a[i][j] = rest;
        }
    }
    for (int i = 0; i < N; i++) {
        double rest = rhs[i];
        for (int j = 0; j < i; j++)
            rest -= a[i][j] * forward[j];
        forward[i] = rest;
    }
    for (int i = N - 1; i >= 0; i--) {
        double rest = forward[i];
        for (int j = i + 1; j < N; j++)
            rest -= a[i][j] * solution[j];
        solution[i] = rest / a[i][i];
    }
}

static void run(void)
{
    fill(b, y, x);
    fill_definite(A, product);
    ludcmp(A, b, y, x);
}

OUTPUTS = {OUTPUT(x, DOUBLE), END};
