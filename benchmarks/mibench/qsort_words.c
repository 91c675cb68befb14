/* Sorts the words of a file, one a line, by their bytes. */
#include "sort.h"

static char words[60000][32];

static int by_bytes(const void *a, const void *b)
{
    const byte *p = a, *q = b;
    while (*p && *p == *q) {
        p++;
        q++;
    }
    return *p - *q;
}

static int read_word(char word[32])
{
    int c = next_byte(), length = 0;
    for (; c > ' '; c = next_byte())
        if (length < 31)
            word[length++] = (char)c;
    word[length] = 0;
    return length;
}

static void run(void)
{
    int count = 0;
    open_input(INPUT);
    while (count < (int)LENGTH(words) && read_word(words[count]))
        count++;
    sort((byte *)words, count, sizeof words[0], by_bytes);
    for (int i = 0; i < count; i++) {
        put_text(words[i]);
        put('\n');
    }
}
