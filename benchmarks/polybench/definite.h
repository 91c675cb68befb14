/* A symmetric positive definite matrix: a unit lower triangle times its own transpose. */
#pragma once
#include "polybench.h"

APART void fill_definite(double a[N][N], double product[N][N])
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++)
            a[i][j] = (double)(-j % N) / N + 1;
        for (int j = i + 1; j < N; j++)
            a[i][j] = 0;
        a[i][i] = 1;
    }
    for (int r = 0; r < N; r++)
        for (int s = 0; s < N; s++)
            product[r][s] = 0;
    for (int t = 0; t < N; t++)
        for (int r = 0; r < N; r++)
            for (int s = 0; s < N; s++)
                product[r][s] += a[r][t] * a[s][t];
    for (int r = 0; r < N; r++)
        for (int s = 0; s < N; s++)
            a[r][s] = product[r][s];
}
