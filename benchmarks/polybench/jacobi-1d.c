/* Three-point averaging on a line, alternately from A to B and from B to A. */
#include "polybench.h"

static double A[N], B[N];

APART void fill(double a[N], double b[N])
{
    for (int i = 0; i < N; i++) {
        a[i] = (real(i) + 2) / N;
        b[i] = (real(i) + 3) / N;
    }
}

APART void jacobi_1d(double a[N], double b[N])
{
    for (int t = 0; t < TSTEPS; t++) {
        for (int i = 1; i < N - 1; i++)
            b[i] = 0.33333 * (a[i - 1] + a[i] + a[i + 1]);
        for (int i = 1; i < N - 1; i++)
            a[i] = 0.33333 * (b[i - 1] + b[i] + b[i + 1]);
    }
}

static void run(void)
{
    fill(A, B);
    jacobi_1d(A, B);
}

OUTPUTS = {OUTPUT(A, DOUBLE), END};
