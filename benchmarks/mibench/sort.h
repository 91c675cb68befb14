/* Hoare's quicksort of equally long items in memory, with the middle of three as the pivot. */
#pragma once
#include "program.h"

typedef int comparison(const void *, const void *);

static inline void swap(byte *a, byte *b, unsigned size)
{
    for (unsigned i = 0; i < size; i += 4) {
        unsigned *p = (unsigned *)(a + i), *q = (unsigned *)(b + i), kept = *p;
        *p = *q;
        *q = kept;
    }
}

/* `size` is a multiple of 4, and so is the address of the first item. */
APART void sort(byte *items, int count, unsigned size, comparison *compare)
{
    while (count > 1) {
        byte *last = items + (unsigned)(count - 1) * size, *middle = items + (unsigned)(count / 2) * size;
        if (compare(middle, items) < 0)
            swap(middle, items, size);
        if (compare(last, items) < 0)
            swap(last, items, size);
        if (compare(last, middle) < 0)
            swap(last, middle, size);
        if (count < 4)
            return;
        swap(items, middle, size); /* the pivot is first: nothing below is less than it beyond the left end */
        int left = 0, right = count;
        for (;;) {
            while (compare(items + (unsigned)++left * size, items) < 0 && left < count - 1)
                ;
            while (compare(items + (unsigned)--right * size, items) > 0)
                ;
            if (left >= right)
                break;
            swap(items + (unsigned)left * size, items + (unsigned)right * size, size);
        }
        swap(items, items + (unsigned)right * size, size);
        int rest = count - right - 1;
        if (right < rest) { /* the shorter part by recursion, so that the stack stays low */
            sort(items, right, size, compare);
            items += (unsigned)(right + 1) * size;
            count = rest;
        } else {
            sort(items + (unsigned)(right + 1) * size, rest, size, compare);
            count = right;
        }
    }
}
