/* y = alpha A x + beta B x. */
#include "polybench.h"

static double A[N][N], B[N][N], x[N], y[N], ax[N];

APART void fill(double a[N][N], double b[N][N], double in[N])
{
    for (int i = 0; i < N; i++) {
        in[i] = (double)(i % N) / N;
        for (int j = 0; j < N; j++) {
            a[i][j] = (double)((i * j + 1) % N) / N;
            b[i][j] = (double)((i * j + 2) % N) / N;
        }
    }
}

APART void gesummv(double alpha, double beta, double a[N][N], double b[N][N], double first[N], double in[N],
                   double out[N])
{
    for (int i = 0; i < N; i++) {
        first[i] = 0;
        out[i] = 0;
        for (int j = 0; j < N; j++) {
            first[i] = a[i][j] * in[j] + first[i];
            out[i] = b[i][j] * in[j] + out[i];
        }
        out[i] = alpha * first[i] + beta * out[i];
    }
}

static void run(void)
{
    fill(A, B, x);
    gesummv(1.5, 1.2, A, B, ax, x, y);
}

OUTPUTS = {OUTPUT(y, DOUBLE), END};
