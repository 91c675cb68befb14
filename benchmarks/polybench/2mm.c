/* D := alpha A B C + beta D, through the intermediate product alpha A B. */
#include "polybench.h"

static double A[NI][NK], B[NK][NJ], C[NJ][NL], D[NI][NL], AB[NI][NJ];

APART void fill(double a[NI][NK], double b[NK][NJ], double c[NJ][NL], double d[NI][NL])
{
    for (int i = 0; i < NI; i++)
        for (int k = 0; k < NK; k++)
            a[i][k] = (double)((i * k + 1) % NI) / NI;
    for (int k = 0; k < NK; k++)
        for (int j = 0; j < NJ; j++)
            b[k][j] = (double)(k * (j + 1) % NJ) / NJ;
    for (int j = 0; j < NJ; j++)
        for (int l = 0; l < NL; l++)
            c[j][l] = (double)((j * (l + 3) + 1) % NL) / NL;
    for (int i = 0; i < NI; i++)
        for (int l = 0; l < NL; l++)
            d[i][l] = (double)(i * (l + 2) % NK) / NK;
}

APART void mm2(double alpha, double beta, double ab[NI][NJ], double a[NI][NK], double b[NK][NJ], double c[NJ][NL],
               double d[NI][NL])
{
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++) {
            ab[i][j] = 0;
            for (int k = 0; k < NK; k++)
                ab[i][j] += alpha * a[i][k] * b[k][j];
        }
    for (int i = 0; i < NI; i++)
        for (int l = 0; l < NL; l++) {
            d[i][l] *= beta;
            for (int j = 0; j < NJ; j++)
                d[i][l] += ab[i][j] * c[j][l];
        }
}

static void run(void)
{
    fill(A, B, C, D);
    mm2(1.5, 1.2, AB, A, B, C, D);
}

OUTPUTS = {OUTPUT(D, DOUBLE), END};
