/* Heat equation u_t = 2 u_xx + u_yy on a square with u = 1 at its edge, by alternating-direction-implicit steps: half a
   step implicit along each column, then half a step implicit along each row. Either is a tridiagonal system such as

       a v[j-1] + b v[j] + c v[j+1] = -d u[i-1] + (1 + 2d) u[i] - f u[i+1]

   whose elimination leaves v[j] = p[j] v[j+1] + q[j], from where v is computed backwards. */
#include "polybench.h"

static double u[N][N], v[N][N], p[N][N], q[N][N];

APART void fill(double heat[N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            heat[i][j] = (double)(i + N - j) / N;
}

APART void adi(double heat[N][N], double half[N][N], double up[N][N], double uq[N][N])
{
    double dx = 1.0 / N, dy = 1.0 / N, dt = 1.0 / TSTEPS;
    double rx = 2.0 * dt / (dx * dx), ry = 1.0 * dt / (dy * dy);
    double a = -rx / 2.0, b = 1.0 + rx, c = a;
    double d = -ry / 2.0, e = 1.0 + ry, f = d;

    for (int t = 1; t <= TSTEPS; t++) {
        for (int i = 1; i < N - 1; i++) {
            half[0][i] = 1;
            up[i][0] = 0;
            uq[i][0] = half[0][i];
            for (int j = 1; j < N - 1; j++) {
                up[i][j] = -c / (a * up[i][j - 1] + b);
                uq[i][j] = (-d * heat[j][i - 1] + (1.0 + 2.0 * d) * heat[j][i] - f * heat[j][i + 1] -
                            a * uq[i][j - 1]) /
                           (a * up[i][j - 1] + b);
            }
            half[N - 1][i] = 1;
            for (int j = N - 2; j >= 1; j--)
                half[j][i] = up[i][j] * half[j + 1][i] + uq[i][j];
        }
        for (int i = 1; i < N - 1; i++) {
            heat[i][0] = 1;
            up[i][0] = 0;
            uq[i][0] = heat[i][0];
            for (int j = 1; j < N - 1; j++) {
                up[i][j] = -f / (d * up[i][j - 1] + e);
                uq[i][j] = (-a * half[i - 1][j] + (1.0 + 2.0 * a) * half[i][j] - c * half[i + 1][j] -
                            d * uq[i][j - 1]) /
                           (d * up[i][j - 1] + e);
            }
            heat[i][N - 1] = 1;
            for (int j = N - 2; j >= 1; j--)
                heat[i][j] = up[i][j] * heat[i][j + 1] + uq[i][j];
        }
    }
}

static void run(void)
{
    fill(u);
    adi(u, v, p, q);
}

OUTPUTS = {OUTPUT(u, DOUBLE), END};
