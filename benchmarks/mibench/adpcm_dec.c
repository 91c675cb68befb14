/* IMA ADPCM, two samples a byte, to 16-bit little-endian samples. */
#include "adpcm.h"

static void put_sample(int sample)
{
    put(sample & 255);
    put(sample >> 8 & 255);
}

static void run(void)
{
    struct adpcm state = {0, 0};
    open_input(INPUT);
    for (int c; (c = next_byte()) >= 0;) {
        put_sample(adpcm_decode(&state, c >> 4));
        put_sample(adpcm_decode(&state, c & 15));
    }
}
