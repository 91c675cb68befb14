/* G = (A B) (C D), through E = A B and F = C D. */
#include "polybench.h"

static double A[NI][NK], B[NK][NJ], C[NJ][NM], D[NM][NL], E[NI][NJ], F[NJ][NL], G[NI][NL];

APART void fill(double a[NI][NK], double b[NK][NJ], double c[NJ][NM], double d[NM][NL])
{
    for (int i = 0; i < NI; i++)
        for (int k = 0; k < NK; k++)
            a[i][k] = (double)((i * k + 1) % NI) / (5 * NI);
    for (int k = 0; k < NK; k++)
        for (int j = 0; j < NJ; j++)
            b[k][j] = (double)((k * (j + 1) + 2) % NJ) / (5 * NJ);
    for (int j = 0; j < NJ; j++)
        for (int m = 0; m < NM; m++)
            c[j][m] = (double)(j * (m + 3) % NL) / (5 * NL);
    for (int m = 0; m < NM; m++)
        for (int l = 0; l < NL; l++)
            d[m][l] = (double)((m * (l + 2) + 2) % NK) / (5 * NK);
}

APART void mm3(double a[NI][NK], double b[NK][NJ], double c[NJ][NM], double d[NM][NL], double e[NI][NJ],
               double f[NJ][NL], double g[NI][NL])
{
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++) {
            e[i][j] = 0;
            for (int k = 0; k < NK; k++)
                e[i][j] += a[i][k] * b[k][j];
        }
    for (int j = 0; j < NJ; j++)
        for (int l = 0; l < NL; l++) {
            f[j][l] = 0;
            for (int m = 0; m < NM; m++)
                f[j][l] += c[j][m] * d[m][l];
        }
    for (int i = 0; i < NI; i++)
        for (int l = 0; l < NL; l++) {
            g[i][l] = 0;
            for (int j = 0; j < NJ; j++)
                g[i][l] += e[i][j] * f[j][l];
        }
}

static void run(void)
{
    fill(A, B, C, D);
    mm3(A, B, C, D, E, F, G);
}

OUTPUTS = {OUTPUT(G, DOUBLE), END};
