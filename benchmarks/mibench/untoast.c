/* Decodes GSM full-rate frames (see gsm.h) to mu-law samples, 8000 a second. */
#include "gsm.h"

/* What is kept from one frame to the next. */
static int last_lag = 40;                /* of the last frame that had a lag inside the range */
static int residual[HISTORY + SUBFRAME]; /* the reconstructed short-term residual; this sub-frame's at its end */
static int last_lars[8], v[9], msr;

/* 5.3.1 and 5.3.2: one sub-frame's short-term residual. */
APART void decode_subframe(const struct frame *frame, int j, int *out)
{
    int excitation[SUBFRAME], exponent, mantissa, *now = residual + HISTORY;
    split_maximum(frame->sub[j].block_maximum, &exponent, &mantissa);
    place_pulses(frame->sub[j].pulses, frame->sub[j].grid, exponent, mantissa, excitation);
    int lag = frame->sub[j].lag;
    if (lag < 40 || lag > 120)
        lag = last_lag;
    last_lag = lag;
    for (int k = 0; k < SUBFRAME; k++)
        out[k] = now[k] = add(excitation[k], mult_r(gain_level[frame->sub[j].gain], now[k - lag]));
    for (int k = 0; k < HISTORY; k++)
        residual[k] = residual[k + SUBFRAME];
}

/* 5.3.4, for the samples from `start` up to `end` */
APART void synthesise(const int rrp[8], int *s, int start, int end)
{
    for (int k = start; k < end; k++) {
        int x = s[k];
        for (int i = 7; i >= 0; i--) {
            x = sub(x, mult_r(rrp[i], v[i]));
            v[i + 1] = add(v[i], mult_r(rrp[i], x));
        }
        s[k] = v[0] = x;
    }
}

APART void decode(const struct frame *frame, int s[FRAME])
{
    int lars[8], rrp[8];
    for (int j = 0; j < 4; j++)
        decode_subframe(frame, j, s + j * SUBFRAME);
    decode_lars(frame, lars);
    for (int stretch = 0; stretch < 4; stretch++) {
        reflections(last_lars, lars, stretch, rrp);
        synthesise(rrp, s, stretch_start[stretch], stretch_start[stretch + 1]);
    }
    for (int i = 0; i < 8; i++)
        last_lars[i] = lars[i];
    for (int k = 0; k < FRAME; k++) { /* 5.3.5 to 5.3.7 */
        msr = add(s[k], mult_r(msr, 28180));
        s[k] = add(msr, msr) & -8;
    }
}

static const byte *packed;
static unsigned bit_at;

static int take_bits(int count)
{
    int value = 0;
    for (int i = 0; i < count; i++, bit_at++)
        value = value << 1 | (packed[bit_at / 8] >> (7 - bit_at % 8) & 1);
    return value;
}

/* Returns 0 for bytes that are no frame. */
static int take_frame(const byte bytes[FRAME_BYTES], struct frame *frame)
{
    packed = bytes;
    bit_at = 0;
    if (take_bits(4) != 0xd)
        return 0;
    for (int i = 0; i < 8; i++)
        frame->lar[i] = take_bits(lar_bits[i]);
    for (int j = 0; j < 4; j++) {
        frame->sub[j].lag = take_bits(7);
        frame->sub[j].gain = take_bits(2);
        frame->sub[j].grid = take_bits(2);
        frame->sub[j].block_maximum = take_bits(6);
        for (int i = 0; i < 13; i++)
            frame->sub[j].pulses[i] = take_bits(3);
    }
    return 1;
}

static void run(void)
{
    static byte bytes[FRAME_BYTES];
    static struct frame frame;
    static int s[FRAME];
    open_input(INPUT);
    while (read_input(bytes, FRAME_BYTES) == FRAME_BYTES) {
        if (!take_frame(bytes, &frame))
            __builtin_trap();
        decode(&frame, s);
        for (int k = 0; k < FRAME; k++)
            put(mu_law_encode(s[k]));
    }
}
