/* x1 := x1 + A y1 and x2 := x2 + A^T y2. */
#include "polybench.h"

static double A[N][N], x1[N], x2[N], y1[N], y2[N];

APART void fill(double a[N][N], double sum1[N], double sum2[N], double in1[N], double in2[N])
{
    for (int i = 0; i < N; i++) {
        sum1[i] = (double)(i % N) / N;
        sum2[i] = (double)((i + 1) % N) / N;
        in1[i] = (double)((i + 3) % N) / N;
        in2[i] = (double)((i + 4) % N) / N;
        for (int j = 0; j < N; j++)
            a[i][j] = (double)(i * j % N) / N;
    }
}

APART void mvt(double a[N][N], double sum1[N], double sum2[N], double in1[N], double in2[N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum1[i] = sum1[i] + a[i][j] * in1[j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum2[i] = sum2[i] + a[j][i] * in2[j];
}

static void run(void)
{
    fill(A, x1, x2, y1, y2);
    mvt(A, x1, x2, y1, y2);
}

OUTPUTS = {OUTPUT(x1, DOUBLE), OUTPUT(x2, DOUBLE), END};
