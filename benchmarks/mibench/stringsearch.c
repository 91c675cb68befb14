/* Looks for phrases in sentences by Horspool's variant of Boyer and Moore's search: how far to move on depends on the
   sentence's character below the phrase's last one. The file has a phrase on one line, its sentence on the next. */
#include "program.h"

static char phrase[256], sentence[1024];

APART void prepare(const char *wanted, int length, int move[256])
{
    for (int c = 0; c < 256; c++)
        move[c] = length;
    for (int i = 0; i < length - 1; i++)
        move[(byte)wanted[i]] = length - 1 - i;
}

/* Where `wanted` begins in `text`, or -1. */
APART int find(const char *wanted, int length, const char *text, int end)
{
    static int move[256];
    prepare(wanted, length, move);
    for (int at = 0; at + length <= end; at += move[(byte)text[at + length - 1]]) {
        int i = length - 1;
        while (i >= 0 && text[at + i] == wanted[i])
            i--;
        if (i < 0)
            return at;
    }
    return -1;
}

static int read_line(char *line, int size)
{
    int length = 0;
    for (int c; (c = next_byte()) >= 0 && c != '\n';)
        if (length < size - 1)
            line[length++] = (char)c;
    line[length] = 0;
    return length;
}

static void run(void)
{
    int length;
    open_input(INPUT);
    while ((length = read_line(phrase, sizeof phrase)) > 0) {
        int end = read_line(sentence, sizeof sentence);
        int at = find(phrase, length, sentence, end);
        put_text(phrase);
        if (at < 0) {
            put_text(" is not there\n");
        } else {
            put_text(" is at ");
            put_whole((u64)at);
            put('\n');
        }
    }
}
