/* Encodes a Sun audio file of mu-law samples, 8000 a second, as GSM full-rate frames (see gsm.h). */
#include "gsm.h"

/* Table 5.4, 5.5 and 5.6 */
static const short gain_decision[3] = {6554, 16384, 26214};
static const short weights[11] = {-134, -374, 0, 2054, 5741, 8192, 5741, 2054, 0, -374, -134};
static const short inverse_mantissa[8] = {29128, 26215, 23832, 21846, 20165, 18725, 17476, 16384};

/* What is kept from one frame to the next. */
static int z1, l_z2, mp;                 /* offset compensation and pre-emphasis */
static int last_lars[8], u[8];           /* short-term filter */
static int residual[HISTORY + SUBFRAME]; /* the reconstructed short-term residual; this sub-frame's at its end */

/* How far to shift left until bit 30 differs from the sign. */
static int norm(int x)
{
    if (x < 0) {
        if (x <= -1073741824)
            return 0;
        x = ~x;
    }
    return __builtin_clz((unsigned)x) - 1;
}

static int divide(int numerator, int denominator)
{
    int quotient = 0;
    for (int i = 0; i < 15; i++) {
        quotient <<= 1;
        numerator <<= 1;
        if (numerator >= denominator) {
            numerator -= denominator;
            quotient++;
        }
    }
    return quotient;
}

static int greatest(const int *x, int count)
{
    int found = 0;
    for (int k = 0; k < count; k++)
        if (magnitude(x[k]) > found)
            found = magnitude(x[k]);
    return found;
}

static int add32(int a, int b)
{
    int sum;
    return __builtin_add_overflow(a, b, &sum) ? (a < 0 ? -2147483647 - 1 : 2147483647) : sum;
}

/* 5.2.1 to 5.2.3 */
APART void prepare(const int pcm[FRAME], int s[FRAME])
{
    for (int k = 0; k < FRAME; k++) {
        int so = (pcm[k] >> 3) * 4, s1 = so - z1;
        z1 = so;
        int msp = l_z2 >> 15, lsp = l_z2 - msp * 32768;
        l_z2 = add32(msp * 32735, s1 * 32768 + mult_r(lsp, 32735));
        int rounded = add32(l_z2, 16384) >> 15;
        s[k] = add(rounded, mult_r(mp, -28180));
        mp = rounded;
    }
}

/* 5.2.4 */
APART void correlate(int s[FRAME], int acf[9])
{
    int maximum = greatest(s, FRAME), scale = maximum ? 4 - norm(maximum << 16) : 0;
    if (scale > 0)
        for (int k = 0; k < FRAME; k++)
            s[k] = mult_r(s[k], 16384 >> (scale - 1));
    for (int k = 0; k < 9; k++) {
        int sum = 0;
        for (int i = k; i < FRAME; i++)
            sum += s[i] * s[i - k];
        acf[k] = sum * 2;
    }
    if (scale > 0)
        for (int k = 0; k < FRAME; k++)
            s[k] *= 1 << scale;
}

/* 5.2.5: Schur's recursion. */
APART void reflect(const int l_acf[9], int r[8])
{
    int p[9], k[8];
    for (int i = 0; i < 8; i++)
        r[i] = 0;
    if (l_acf[0] == 0)
        return;
    int shift = norm(l_acf[0]);
    for (int i = 0; i < 9; i++)
        p[i] = (int)((unsigned)l_acf[i] << shift) >> 16;
    for (int i = 1; i < 8; i++)
        k[i] = p[i];
    for (int n = 1; n <= 8; n++) {
        int x = magnitude(p[1]);
        if (p[0] < x)
            return;
        int coefficient = x == 0 ? 0 : divide(x, p[0]);
        if (p[1] > 0)
            coefficient = -coefficient;
        r[n - 1] = coefficient;
        if (n == 8)
            return;
        p[0] = add(p[0], mult_r(p[1], coefficient));
        for (int m = 1; m <= 8 - n; m++) {
            p[m] = add(p[m + 1], mult_r(k[m], coefficient));
            k[m] = add(k[m], mult_r(p[m + 1], coefficient));
        }
    }
}

/* 5.2.6 and 5.2.7 */
static void code_lars(const int r[8], struct frame *frame)
{
    for (int i = 0; i < 8; i++) {
        int x = magnitude(r[i]);
        x = x < 22118 ? x >> 1 : x < 31130 ? x - 11059 : (x - 26112) * 4;
        int lar = r[i] < 0 ? -x : x;
        x = add(add(mult(lar_a[i], lar), lar_b[i]), 256) >> 9;
        x = x > lar_most[i] ? lar_most[i] : x < lar_least[i] ? lar_least[i] : x;
        frame->lar[i] = x - lar_least[i];
    }
}

/* 5.2.10, for the samples from `start` up to `end` */
APART void analyse(const int rp[8], int *s, int start, int end)
{
    for (int k = start; k < end; k++) {
        int d = s[k], above = s[k];
        for (int i = 0; i < 8; i++) {
            int kept = u[i];
            u[i] = above;
            above = add(kept, mult_r(rp[i], d));
            d = add(d, mult_r(rp[i], kept));
        }
        s[k] = d;
    }
}

/* 5.2.11: the lag at which the past is most like this sub-frame, and the gain. */
APART void find_lag(const int d[SUBFRAME], const int *past, int *lag, int *gain)
{
    int scaled[SUBFRAME], most = 0, best = 40;
    int maximum = greatest(d, SUBFRAME), scale = maximum ? norm(maximum << 16) : 0;
    scale = maximum == 0 || scale > 6 ? 0 : 6 - scale;
    for (int k = 0; k < SUBFRAME; k++)
        scaled[k] = d[k] >> scale;
    for (int candidate = 40; candidate <= 120; candidate++) {
        int sum = 0;
        for (int k = 0; k < SUBFRAME; k++)
            sum += scaled[k] * past[k - candidate];
        if (sum > most) {
            most = sum;
            best = candidate;
        }
    }
    *lag = best;
    most = (most * 2) >> (6 - scale);
    int power = 0;
    for (int k = 0; k < SUBFRAME; k++)
        power += (past[k - best] >> 3) * (past[k - best] >> 3);
    power *= 2;
    *gain = 0;
    if (most <= 0)
        return;
    *gain = 3;
    if (most >= power)
        return;
    int shift = norm(power), ratio = most << shift >> 16, whole = power << shift >> 16;
    for (int i = 2; i >= 0; i--)
        if (ratio <= mult(whole, gain_decision[i]))
            *gain = i;
}

/* 5.2.13 */
static void weight(const int e[SUBFRAME], int x[SUBFRAME])
{
    for (int k = 0; k < SUBFRAME; k++) {
        int sum = 4096;
        for (int i = 0; i < 11; i++)
            if (k + i >= 5 && k + i < SUBFRAME + 5)
                sum += e[k + i - 5] * weights[i];
        x[k] = saturate(sum >> 13);
    }
}

/* 5.2.14 */
static int choose_grid(const int x[SUBFRAME])
{
    int most = 0, grid = 0;
    for (int m = 0; m < 4; m++) {
        int energy = 0;
        for (int i = 0; i < 13; i++)
            energy += (x[m + 3 * i] >> 2) * (x[m + 3 * i] >> 2);
        if (energy > most) {
            most = energy;
            grid = m;
        }
    }
    return grid;
}

/* 5.2.15 */
static int code_maximum(int maximum)
{
    int exponent = 0;
    for (int x = maximum >> 9; x > 0 && exponent < 6; x >>= 1)
        exponent++;
    return add(maximum >> (exponent + 5), exponent * 8);
}

/* 5.2.12 to 5.2.18 for the sub-frame whose short-term residual is `d` */
static void code_subframe(const int d[SUBFRAME], struct frame *frame, int j)
{
    int predicted[SUBFRAME], e[SUBFRAME], x[SUBFRAME], chosen[13], exponent, mantissa;
    int *now = residual + HISTORY, lag, gain;
    find_lag(d, now, &lag, &gain);
    for (int k = 0; k < SUBFRAME; k++) {
        predicted[k] = mult_r(gain_level[gain], now[k - lag]);
        e[k] = sub(d[k], predicted[k]);
    }
    weight(e, x);
    int grid = choose_grid(x);
    for (int i = 0; i < 13; i++)
        chosen[i] = x[grid + 3 * i];
    int maximum = code_maximum(greatest(chosen, 13));
    split_maximum(maximum, &exponent, &mantissa);
    int *pulses = frame->sub[j].pulses;
    for (int i = 0; i < 13; i++)
        pulses[i] = (mult(chosen[i] * (1 << (6 - exponent)), inverse_mantissa[mantissa]) >> 12) + 4;
    frame->sub[j].lag = lag;
    frame->sub[j].gain = gain;
    frame->sub[j].grid = grid;
    frame->sub[j].block_maximum = maximum;
    place_pulses(pulses, grid, exponent, mantissa, e);
    for (int k = 0; k < HISTORY - SUBFRAME; k++)
        residual[k] = residual[k + SUBFRAME];
    for (int k = 0; k < SUBFRAME; k++)
        residual[HISTORY - SUBFRAME + k] = add(e[k], predicted[k]);
}

APART void encode(const int pcm[FRAME], struct frame *frame)
{
    int s[FRAME], acf[9], r[8], lars[8], rp[8];
    prepare(pcm, s);
    correlate(s, acf);
    reflect(acf, r);
    code_lars(r, frame);
    decode_lars(frame, lars);
    for (int stretch = 0; stretch < 4; stretch++) {
        reflections(last_lars, lars, stretch, rp);
        analyse(rp, s, stretch_start[stretch], stretch_start[stretch + 1]);
    }
    for (int i = 0; i < 8; i++)
        last_lars[i] = lars[i];
    for (int j = 0; j < 4; j++)
        code_subframe(s + j * SUBFRAME, frame, j);
}

static unsigned bits, bit_count;

static void put_bits(int value, int count)
{
    bits = bits << count | (unsigned)value;
    for (bit_count += (unsigned)count; bit_count >= 8; bit_count -= 8)
        put((int)(bits >> (bit_count - 8) & 255));
}

static void put_frame(const struct frame *frame)
{
    put_bits(0xd, 4);
    for (int i = 0; i < 8; i++)
        put_bits(frame->lar[i], lar_bits[i]);
    for (int j = 0; j < 4; j++) {
        put_bits(frame->sub[j].lag, 7);
        put_bits(frame->sub[j].gain, 2);
        put_bits(frame->sub[j].grid, 2);
        put_bits(frame->sub[j].block_maximum, 6);
        for (int i = 0; i < 13; i++)
            put_bits(frame->sub[j].pulses[i], 3);
    }
}

static void run(void)
{
    static byte header[8], codes[FRAME];
    static int pcm[FRAME];
    static struct frame frame;
    unsigned count;
    open_input(INPUT);
    read_input(header, 8);
    for (int at = 8; at < (header[6] << 8 | header[7]); at++)
        next_byte();
    while ((count = read_input(codes, FRAME)) > 0) {
        for (unsigned k = 0; k < FRAME; k++)
            pcm[k] = k < count ? mu_law_decode(codes[k]) : 0;
        encode(pcm, &frame);
        put_frame(&frame);
    }
}
