/* Covariance matrix of the M columns of a table of N rows. */
#include "polybench.h"

static double data[N][M], cov[M][M], mean[M];

APART void fill(double table[N][M])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            table[i][j] = real(i) * j / M;
}

APART void covariance(double rows, double table[N][M], double between[M][M], double average[M])
{
    for (int j = 0; j < M; j++) {
        average[j] = 0;
        for (int i = 0; i < N; i++)
            average[j] += table[i][j];
        average[j] /= rows;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            table[i][j] -= average[j];
    for (int i = 0; i < M; i++)
        for (int j = i; j < M; j++) {
            between[i][j] = 0;
            for (int k = 0; k < N; k++)
                between[i][j] += table[k][i] * table[k][j];
            between[i][j] /= rows - 1;
            between[j][i] = between[i][j];
        }
}

static void run(void)
{
    fill(data);
    covariance(N, data, cov, mean);
}

OUTPUTS = {OUTPUT(cov, DOUBLE), END};
