/* Solve L x = b by forward substitution. */
#include "polybench.h"

static double L[N][N], x[N], b[N];

APART void fill(double l[N][N], double solution[N], double rhs[N])
{
    for (int i = 0; i < N; i++) {
        solution[i] = -999;
        rhs[i] = i;
        for (int j = 0; j <= i; j++)
            l[i][j] = real(i + N - j + 1) * 2 / N;
    }
}

APART void trisolv(double l[N][N], double solution[N], double rhs[N])
{
    for (int i = 0; i < N; i++) {
        solution[i] = rhs[i];
        for (int j = 0; j < i; j++)
            solution[i] -= l[i][j] * solution[j];
        solution[i] = solution[i] / l[i][i];
    }
}

static void run(void)
{
    fill(L, x, b);
    trisolv(L, x, b);
}

OUTPUTS = {OUTPUT(x, DOUBLE), END};
