/* CRC-32 of a file, as in ISO 3309: the polynomial 0xEDB88320, bits reversed, one table look-up a byte. */
#include "program.h"

static unsigned table[256];

APART unsigned update(unsigned crc, int c)
{
    return table[(crc ^ (unsigned)c) & 255] ^ crc >> 8;
}

static void run(void)
{
    for (unsigned i = 0; i < 256; i++) {
        unsigned crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
        table[i] = crc;
    }
    unsigned crc = 0xffffffff;
    open_input(INPUT);
    for (int c; (c = next_byte()) >= 0;)
        crc = update(crc, c);
    put_hex(~crc);
    put('\n');
}
