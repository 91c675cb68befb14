/* 16-bit little-endian samples to IMA ADPCM, two samples a byte, the first in the upper half. */
#include "adpcm.h"

static byte pcm[4], codes[500];

static void run(void)
{
    struct adpcm state = {0, 0};
    unsigned count = 0;
    open_input(INPUT);
    while (read_input(pcm, 4) == 4) {
        int first = adpcm_encode(&state, (short)(pcm[0] | pcm[1] << 8));
        int second = adpcm_encode(&state, (short)(pcm[2] | pcm[3] << 8));
        codes[count++] = (byte)(first << 4 | second);
        if (count == sizeof codes) {
            put_bytes(codes, count);
            count = 0;
        }
    }
    put_bytes(codes, count);
}
