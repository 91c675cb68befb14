/* Deriche's recursive approximation of Gaussian smoothing: a causal and an anticausal pass along each line of the
   image, summed, then the same across the lines. A pass over x gives y with

       causal      y[j] = a1 x[j] + a2 x[j-1] + b1 y[j-1] + b2 y[j-2]
       anticausal  y[j] = a3 x[j+1] + a4 x[j+2] + b1 y[j+1] + b2 y[j+2]

   and 0 for what is outside; a5 to a8 are a1 to a4 of the second direction. b1 is 2^-alpha, as in PolyBench. */
#include "polybench.h"

static float image[W][H], smooth[W][H], causal[W][H], anticausal[W][H];

APART void fill(float in[W][H])
{
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            in[i][j] = (float)((313 * i + 991 * j) % 65536) / 65535.0f;
}

/* e to the x for small |x|, by its series summed in double until it no longer changes. */
APART float exponential(double x)
{
    double sum = 1, before = 0, term = 1;
    for (int n = 1; sum != before; n++) {
        before = sum;
        term *= x / n;
        sum += term;
    }
    return (float)sum;
}

APART void deriche(float alpha, float in[W][H], float out[W][H], float ahead[W][H], float back[W][H])
{
    const double ln2 = 0.69314718055994530942;
    float decay = exponential(-alpha), decay2 = exponential(-2.0f * alpha), growth2 = exponential(2.0f * alpha);
    float k = (1.0f - decay) * (1.0f - decay) / (1.0f + 2.0f * alpha * decay - growth2);
    float a1 = k, a5 = k;
    float a2 = k * decay * (alpha - 1.0f), a6 = a2;
    float a3 = k * decay * (alpha + 1.0f), a7 = a3;
    float a4 = -k * decay2, a8 = a4;
    float b1 = exponential(-alpha * ln2), b2 = -decay2;
    float c1 = 1, c2 = 1;

    for (int i = 0; i < W; i++) {
        float y1 = 0, y2 = 0, x1 = 0;
        for (int j = 0; j < H; j++) {
            ahead[i][j] = a1 * in[i][j] + a2 * x1 + b1 * y1 + b2 * y2;
            x1 = in[i][j];
            y2 = y1;
            y1 = ahead[i][j];
        }
    }
    for (int i = 0; i < W; i++) {
        float y1 = 0, y2 = 0, x1 = 0, x2 = 0;
        for (int j = H - 1; j >= 0; j--) {
            back[i][j] = a3 * x1 + a4 * x2 + b1 * y1 + b2 * y2;
            x2 = x1;
            x1 = in[i][j];
            y2 = y1;
            y1 = back[i][j];
        }
    }
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            out[i][j] = c1 * (ahead[i][j] + back[i][j]);

    for (int j = 0; j < H; j++) {
        float y1 = 0, y2 = 0, x1 = 0;
        for (int i = 0; i < W; i++) {
            ahead[i][j] = a5 * out[i][j] + a6 * x1 + b1 * y1 + b2 * y2;
            x1 = out[i][j];
            y2 = y1;
            y1 = ahead[i][j];
        }
    }
    for (int j = 0; j < H; j++) {
        float y1 = 0, y2 = 0, x1 = 0, x2 = 0;
        for (int i = W - 1; i >= 0; i--) {
            back[i][j] = a7 * x1 + a8 * x2 + b1 * y1 + b2 * y2;
            x2 = x1;
            x1 = out[i][j];
            y2 = y1;
            y1 = back[i][j];
        }
    }
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            out[i][j] = c2 * (ahead[i][j] + back[i][j]);
}

static void run(void)
{
    fill(image);
    deriche(0.25f, image, smooth, causal, anticausal);
}

OUTPUTS = {OUTPUT(smooth, FLOAT), END};
