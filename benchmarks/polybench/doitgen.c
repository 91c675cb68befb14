/* A[r][q][p] := sum over s of A[r][q][s] C[s][p]. */
#include "polybench.h"

static double A[NR][NQ][NP], C[NP][NP], sum[NP];

APART void fill(double a[NR][NQ][NP], double c[NP][NP])
{
    for (int r = 0; r < NR; r++)
        for (int q = 0; q < NQ; q++)
            for (int p = 0; p < NP; p++)
                a[r][q][p] = (double)((r * q + p) % NP) / NP;
    for (int s = 0; s < NP; s++)
        for (int p = 0; p < NP; p++)
            c[s][p] = (double)(s * p % NP) / NP;
}

APART void doitgen(double a[NR][NQ][NP], double c[NP][NP], double line[NP])
{
    for (int r = 0; r < NR; r++)
        for (int q = 0; q < NQ; q++) {
            for (int p = 0; p < NP; p++) {
                line[p] = 0;
                for (int s = 0; s < NP; s++)
                    line[p] += a[r][q][s] * c[s][p];
            }
            for (int p = 0; p < NP; p++)
                a[r][q][p] = line[p];
        }
}

static void run(void)
{
    fill(A, C);
    doitgen(A, C, sum);
}

OUTPUTS = {OUTPUT(A, DOUBLE), END};
