/* Maxwell's equations on a plane: the electric field (ex, ey) and the magnetic field hz, in turn. */
#include "polybench.h"

static double ex[NX][NY], ey[NX][NY], hz[NX][NY], edge[TMAX];

APART void fill(double x[NX][NY], double y[NX][NY], double z[NX][NY], double source[TMAX])
{
    for (int t = 0; t < TMAX; t++)
        source[t] = t;
    for (int i = 0; i < NX; i++)
        for (int j = 0; j < NY; j++) {
            x[i][j] = real(i) * (j + 1) / NX;
            y[i][j] = real(i) * (j + 2) / NY;
            z[i][j] = real(i) * (j + 3) / NX;
        }
}

APART void fdtd_2d(double x[NX][NY], double y[NX][NY], double z[NX][NY], double source[TMAX])
{
    for (int t = 0; t < TMAX; t++) {
        for (int j = 0; j < NY; j++)
            y[0][j] = source[t];
        for (int i = 1; i < NX; i++)
            for (int j = 0; j < NY; j++)
                y[i][j] = y[i][j] - 0.5 * (z[i][j] - z[i - 1][j]);
        for (int i = 0; i < NX; i++)
            for (int j = 1; j < NY; j++)
                x[i][j] = x[i][j] - 0.5 * (z[i][j] - z[i][j - 1]);
        for (int i = 0; i < NX - 1; i++)
            for (int j = 0; j < NY - 1; j++)
                z[i][j] = z[i][j] - 0.7 * (x[i][j + 1] - x[i][j] + y[i + 1][j] - y[i][j]);
    }
}

static void run(void)
{
    fill(ex, ey, hz, edge);
    fdtd_2d(ex, ey, hz, edge);
}

OUTPUTS = {OUTPUT(ex, DOUBLE), OUTPUT(ey, DOUBLE), OUTPUT(hz, DOUBLE), END};
