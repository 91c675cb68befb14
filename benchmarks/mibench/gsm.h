/* GSM full-rate speech, 13 kbit/s: what encoder and decoder share. Names and steps are those of ETSI EN 300 961
   (GSM 06.10), section 5.2; a section's number stands at what comes from it. A frame is 160 samples in 33 bytes. */
#pragma once
#include "program.h"

enum { FRAME = 160, SUBFRAME = 40, FRAME_BYTES = 33, HISTORY = 120 };

/* A frame's parameters, as the codes that are sent. */
struct frame {
    int lar[8];
    struct {
        int lag, gain, grid, block_maximum, pulses[13];
    } sub[4];
};

/* 5.1: arithmetic on 16-bit words, held in an int, with saturation. */

static inline int saturate(int x)
{
    return x < -32768 ? -32768 : x > 32767 ? 32767 : x;
}

static inline int add(int a, int b)
{
    return saturate(a + b);
}

static inline int sub(int a, int b)
{
    return saturate(a - b);
}

static inline int mult(int a, int b)
{
    return saturate(a * b >> 15);
}

static inline int mult_r(int a, int b)
{
    return saturate((a * b + 16384) >> 15);
}

static inline int magnitude(int a)
{
    return a == -32768 ? 32767 : a < 0 ? -a : a;
}

/* Tables 5.1 to 5.6. */
static const short lar_a[8] = {20480, 20480, 20480, 20480, 13964, 15360, 8534, 9036};
static const short lar_b[8] = {0, 0, 2048, -2560, 94, -1792, -341, -1144};
static const signed char lar_least[8] = {-32, -32, -16, -16, -8, -8, -4, -4};
static const signed char lar_most[8] = {31, 31, 15, 15, 7, 7, 3, 3};
static const unsigned short lar_inverse_a[8] = {13107, 13107, 13107, 13107, 19223, 17476, 31454, 29708};
static const short gain_level[4] = {3277, 11469, 21299, 32767};
static const short pulse_factor[8] = {18431, 20479, 22527, 24575, 26623, 28671, 30719, 32767};

/* How many bits each parameter has in a frame, in the order sent (table 1.1); 13 pulses of 3 bits end a sub-frame. */
static const byte lar_bits[8] = {6, 6, 5, 5, 4, 4, 3, 3};

/* 5.2.8: the log-area ratios that were sent, as the decoder sees them. */
static void decode_lars(const struct frame *frame, int lars[8])
{
    for (int i = 0; i < 8; i++) {
        int x = (frame->lar[i] + lar_least[i]) * 1024;
        x = mult_r(lar_inverse_a[i], sub(x, lar_b[i] * 2));
        lars[i] = add(x, x);
    }
}

/* 5.2.9.1: between the last frame's ratios and this one's, in four stretches of the frame; the first samples. */
static const byte stretch_start[5] = {0, 13, 27, 40, 160};

static int interpolate(int before, int now, int stretch)
{
    switch (stretch) {
    case 0: return add(add(before >> 2, now >> 2), before >> 1);
    case 1: return add(before >> 1, now >> 1);
    case 2: return add(add(before >> 2, now >> 2), now >> 1);
    default: return now;
    }
}

/* 5.2.9.2: the reflection coefficient that a log-area ratio stands for. */
static int reflection_of(int lar)
{
    int x = magnitude(lar);
    x = x < 11059 ? x << 1 : x < 20070 ? x + 11059 : add(x >> 2, 26112);
    return lar < 0 ? -x : x;
}

static void reflections(const int before[8], const int now[8], int stretch, int coefficients[8])
{
    for (int i = 0; i < 8; i++)
        coefficients[i] = reflection_of(interpolate(before[i], now[i], stretch));
}

/* 5.2.15: exponent and mantissa of the maximum that was sent. */
static void split_maximum(int code, int *exponent, int *mantissa)
{
    int e = code > 15 ? (code >> 3) - 1 : 0, m = code - e * 8;
    if (m == 0) {
        e = -4;
        m = 15;
    }
    for (; m <= 7; e--)
        m = m << 1 | 1;
    *exponent = e;
    *mantissa = m - 8;
}

/* 5.2.16 and 5.2.17: the pulses, put back on their grid. */
static void place_pulses(const int pulses[13], int grid, int exponent, int mantissa, int excitation[SUBFRAME])
{
    int shift = 6 - exponent, half = shift > 0 ? 1 << (shift - 1) : 0;
    for (int k = 0; k < SUBFRAME; k++)
        excitation[k] = 0;
    for (int i = 0; i < 13; i++) {
        int x = mult_r(pulse_factor[mantissa], (2 * pulses[i] - 7) * 4096);
        excitation[grid + 3 * i] = add(x, half) >> shift;
    }
}

/* ITU-T G.711: mu-law codes stand for 14-bit samples; here they fill the upper bits of 16. */

static inline int mu_law_decode(int code)
{
    int x = (((~code & 15) << 1 | 33) << (~code >> 4 & 7)) - 33;
    return code & 128 ? x * 4 : x * -4;
}

static inline int mu_law_encode(int sample)
{
    int x = (sample < 0 ? -(sample + 1) >> 2 : sample >> 2) + 33, segment = 0;
    if (x > 8191)
        x = 8191;
    while (x >> (segment + 6))
        segment++;
    return ~((sample < 0 ? 128 : 0) | segment << 4 | (x >> (segment + 1) & 15)) & 255;
}
