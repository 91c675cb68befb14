/* The discrete Fourier transform, or with INVERSE its inverse, of a sum of waves, cosines and sines in turn, with random
   amplitudes and frequencies: radix 2, in place, in single precision. */
#include "maths.h"
#include "program.h"

static float re[POINTS], im[POINTS];

APART void make_waves(void)
{
    unsigned seed = 1;
    for (int wave = 0; wave < WAVES; wave++) {
        double amplitude = next_random(&seed) % 1000;
        unsigned frequency = next_random(&seed) % POINTS;
        for (unsigned i = 0; i < POINTS; i++) {
            double angle = 2 * PI * (double)(frequency * i % POINTS) / POINTS;
            re[i] += (float)(amplitude * (wave & 1 ? sine(angle) : cosine(angle)));
        }
    }
}

static void exchange(float *a, float *b)
{
    float kept = *a;
    *a = *b;
    *b = kept;
}

/* Puts each element where the bits of its index read backwards say. */
APART void reverse_bits(void)
{
    for (unsigned i = 0, j = 0; i < POINTS; i++) {
        if (i < j) {
            exchange(&re[i], &re[j]);
            exchange(&im[i], &im[j]);
        }
        unsigned bit = POINTS / 2;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j |= bit;
    }
}

APART void transform(double direction)
{
    reverse_bits();
    for (unsigned half = 1; half < POINTS; half *= 2) {
        double step_re = cosine(PI / half), step_im = direction * sine(PI / half);
        for (unsigned start = 0; start < POINTS; start += 2 * half) {
            double w_re = 1, w_im = 0;
            for (unsigned i = start; i < start + half; i++) {
                double odd_re = w_re * re[i + half] - w_im * im[i + half];
                double odd_im = w_re * im[i + half] + w_im * re[i + half];
                re[i + half] = (float)(re[i] - odd_re);
                im[i + half] = (float)(im[i] - odd_im);
                re[i] = (float)(re[i] + odd_re);
                im[i] = (float)(im[i] + odd_im);
                double next = w_re * step_re - w_im * step_im;
                w_im = w_re * step_im + w_im * step_re;
                w_re = next;
            }
        }
    }
}

static void run(void)
{
    make_waves();
#ifdef INVERSE
    transform(1);
    for (int i = 0; i < POINTS; i++) {
        re[i] /= POINTS;
        im[i] /= POINTS;
    }
#else
    transform(-1);
#endif
    for (int i = 0; i < POINTS; i++) {
        put_fixed(re[i]);
        put(' ');
        put_fixed(im[i]);
        put('\n');
    }
}
