/* IMA ADPCM: each 16-bit sample as a 4-bit step from the one predicted, the step's size growing after large steps
   and shrinking after small ones. IMA, "Recommended Practices for Enhancing Digital Audio Compatibility", rev. 3. */
#pragma once
#include "program.h"

struct adpcm {
    int predicted, index;
};

static const signed char index_change[8] = {-1, -1, -1, -1, 2, 4, 6, 8};

static const short step_size[89] = {
    7,     8,     9,     10,    11,    12,    13,    14,    16,    17,    19,    21,    23,    25,    28,
    31,    34,    37,    41,    45,    50,    55,    60,    66,    73,    80,    88,    97,    107,   118,
    130,   143,   157,   173,   190,   209,   230,   253,   279,   307,   337,   371,   408,   449,   494,
    544,   598,   658,   724,   796,   876,   963,   1060,  1166,  1282,  1411,  1552,  1707,  1878,  2066,
    2272,  2499,  2749,  3024,  3327,  3660,  4026,  4428,  4871,  5358,  5894,  6484,  7132,  7845,  8630,
    9493,  10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
};

static inline int between(int low, int value, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* Takes one code: its sign in bit 3, and its size in quarters of the step, plus an eighth, in the bits below. */
static inline int adpcm_decode(struct adpcm *state, int code)
{
    int step = step_size[state->index];
    int change = step >> 3;
    if (code & 4)
        change += step;
    if (code & 2)
        change += step >> 1;
    if (code & 1)
        change += step >> 2;
    state->predicted = between(-32768, code & 8 ? state->predicted - change : state->predicted + change, 32767);
    state->index = between(0, state->index + index_change[code & 7], 88);
    return state->predicted;
}

static inline int adpcm_encode(struct adpcm *state, int sample)
{
    int step = step_size[state->index], left = sample - state->predicted, code = 0;
    if (left < 0) {
        code = 8;
        left = -left;
    }
    if (left >= step) {
        code |= 4;
        left -= step;
    }
    if (left >= step >> 1) {
        code |= 2;
        left -= step >> 1;
    }
    if (left >= step >> 2)
        code |= 1;
    adpcm_decode(state, code);
    return code;
}
