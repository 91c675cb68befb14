/* A := A + u1 v1^T + u2 v2^T;  x := beta A^T y + z;  w := alpha A x. */
#include "polybench.h"

static double A[N][N], u1[N], v1[N], u2[N], v2[N], w[N], x[N], y[N], z[N];

APART void fill(double a[N][N], double p1[N], double q1[N], double p2[N], double q2[N], double out[N], double mid[N],
                double in[N], double add[N])
{
    for (int i = 0; i < N; i++) {
        double part = (i + 1) / (double)N;
        p1[i] = i;
        p2[i] = part / 2.0;
        q1[i] = part / 4.0;
        q2[i] = part / 6.0;
        in[i] = part / 8.0;
        add[i] = part / 9.0;
        mid[i] = 0;
        out[i] = 0;
        for (int j = 0; j < N; j++)
            a[i][j] = (double)(i * j % N) / N;
    }
}

APART void gemver(double alpha, double beta, double a[N][N], double p1[N], double q1[N], double p2[N], double q2[N],
                  double out[N], double mid[N], double in[N], double add[N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i][j] = a[i][j] + p1[i] * q1[j] + p2[i] * q2[j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            mid[i] = mid[i] + beta * a[j][i] * in[j];
    for (int i = 0; i < N; i++)
        mid[i] = mid[i] + add[i];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            out[i] = out[i] + alpha * a[i][j] * mid[j];
}

static void run(void)
{
    fill(A, u1, v1, u2, v2, w, x, y, z);
    gemver(1.5, 1.2, A, u1, v1, u2, v2, w, x, y, z);
}

OUTPUTS = {OUTPUT(w, DOUBLE), END};
