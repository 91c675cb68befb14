/* Correlation matrix of the M columns of a table of N rows; a column that hardly varies counts as deviation 1. */
#include "polybench.h"

static double data[N][M], corr[M][M], mean[M], deviation[M];

APART void fill(double table[N][M])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            table[i][j] = (double)(i * j) / M + i;
}

APART void correlation(double rows, double table[N][M], double between[M][M], double average[M], double spread[M])
{
    for (int j = 0; j < M; j++) {
        average[j] = 0;
        for (int i = 0; i < N; i++)
            average[j] += table[i][j];
        average[j] /= rows;
    }
    for (int j = 0; j < M; j++) {
        spread[j] = 0;
        for (int i = 0; i < N; i++)
            spread[j] += (table[i][j] - average[j]) * (table[i][j] - average[j]);
        spread[j] /= rows;
        spread[j] = __builtin_sqrt(spread[j]);
        spread[j] = spread[j] <= 0.1 ? 1 : spread[j];
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) {
            table[i][j] -= average[j];
            table[i][j] /= __builtin_sqrt(rows) * spread[j];
        }
    for (int i = 0; i < M - 1; i++) {
        between[i][i] = 1;
        for (int j = i + 1; j < M; j++) {
            between[i][j] = 0;
            for (int k = 0; k < N; k++)
                between[i][j] += table[k][i] * table[k][j];
            between[j][i] = between[i][j];
        }
    }
    between[M - 1][M - 1] = 1;
}

static void run(void)
{
    fill(data);
    correlation(N, data, corr, mean, deviation);
}

OUTPUTS = {OUTPUT(corr, DOUBLE), END};
