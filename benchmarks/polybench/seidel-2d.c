/* Nine-point averaging on a plane in place (Gauss-Seidel): each point sees the new values before it. */
#include "polybench.h"

static double A[N][N];

APART void fill(double a[N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i][j] = (real(i) * (j + 2) + 2) / N;
}

APART void seidel_2d(double a[N][N])
{
    for (int t = 0; t < TSTEPS; t++)
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++)
                a[i][j] = (a[i - 1][j - 1] + a[i - 1][j] + a[i - 1][j + 1] + a[i][j - 1] + a[i][j] + a[i][j + 1] +
                           a[i + 1][j - 1] + a[i + 1][j] + a[i + 1][j + 1]) /
                          9.0;
}

static void run(void)
{
    fill(A);
    seidel_2d(A);
}

OUTPUTS = {OUTPUT(A, DOUBLE), END};
