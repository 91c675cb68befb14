/* General matrix product: C = alpha A B + beta C. */
#include "polybench.h"

static double A[NI][NK], B[NK][NJ], C[NI][NJ];

APART void fill(double a[NI][NK], double b[NK][NJ], double c[NI][NJ])
{
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++)
            c[i][j] = (double)((i * j + 1) % NI) / NI;
    for (int i = 0; i < NI; i++)
        for (int k = 0; k < NK; k++)
            a[i][k] = (double)(i * (k + 1) % NK) / NK;
    for (int k = 0; k < NK; k++)
        for (int j = 0; j < NJ; j++)
            b[k][j] = (double)(k * (j + 2) % NJ) / NJ;
}

APART void gemm(double alpha, double beta, double a[NI][NK], double b[NK][NJ], double c[NI][NJ])
{
    for (int i = 0; i < NI; i++) {
        for (int j = 0; j < NJ; j++)
            c[i][j] *= beta;
        for (int k = 0; k < NK; k++)
            for (int j = 0; j < NJ; j++)
                c[i][j] += alpha * a[i][k] * b[k][j];
    }
}

static void run(void)
{
    fill(A, B, C);
    gemm(1.5, 1.2, A, B, C);
}

OUTPUTS = {OUTPUT(C, DOUBLE), END};
