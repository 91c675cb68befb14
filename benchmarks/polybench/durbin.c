/* Levinson-Durbin: solve the Yule-Walker equations T y = -r, T Toeplitz with first row 1, r[0], r[1], ... */
#include "polybench.h"

static double r[N], y[N];

APART void fill(double first[N])
{
    for (int i = 0; i < N; i++)
        first[i] = N + 1 - i;
}

APART void durbin(double first[N], double solution[N])
{
    double next[N];
    solution[0] = -first[0];
    double beta = 1;
    double alpha = -first[0];
    for (int k = 1; k < N; k++) {
        beta = (1 - alpha * alpha) * beta;
        double sum = 0;
        for (int i = 0; i < k; i++)
            sum += first[k - i - 1] * solution[i];
        alpha = -(first[k] + sum) / beta;
        for (int i = 0; i < k; i++)
            next[i] = solution[i] + alpha * solution[k - i - 1];
        for (int i = 0; i < k; i++)
            solution[i] = next[i];
        solution[k] = alpha;
    }
}

static void run(void)
{
    fill(r);
    durbin(r, y);
}

OUTPUTS = {OUTPUT(y, DOUBLE), END};
