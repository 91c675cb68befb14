/* Five-point averaging on a plane, alternately from A to B and from B to A. */
#include "polybench.h"

static double A[N][N], B[N][N];

APART void fill(double a[N][N], double b[N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (real(i) * (j + 2) + 2) / N;
            b[i][j] = (real(i) * (j + 3) + 3) / N;
        }
}

APART void jacobi_2d(double a[N][N], double b[N][N])
{
    for (int t = 0; t < TSTEPS; t++) {
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++)
                b[i][j] = 0.2 * (a[i][j] + a[i][j - 1] + a[i][j + 1] + a[i + 1][j] + a[i - 1][j]);
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++)
                a[i][j] = 0.2 * (b[i][j] + b[i][j - 1] + b[i][j + 1] + b[i + 1][j] + b[i - 1][j]);
    }
}

static void run(void)
{
    fill(A, B);
    jacobi_2d(A, B);
}

OUTPUTS = {OUTPUT(A, DOUBLE), END};
