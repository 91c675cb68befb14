/* Sorts the points of a file, three whole coordinates each, by their distance from the origin. */
#include "sort.h"

struct point {
    int x, y, z, unused;
    double distance;
};

static struct point points[60000];

static int by_distance(const void *a, const void *b)
{
    double p = ((const struct point *)a)->distance, q = ((const struct point *)b)->distance;
    return (p > q) - (p < q);
}

static void run(void)
{
    int count = 0;
    struct point p = {0, 0, 0, 0, 0};
    open_input(INPUT);
    while (count < (int)LENGTH(points) && read_number(&p.x) && read_number(&p.y) && read_number(&p.z)) {
        double x = p.x, y = p.y, z = p.z;
        p.distance = __builtin_sqrt(x * x + y * y + z * z);
        points[count++] = p;
    }
    sort((byte *)points, count, sizeof points[0], by_distance);
    for (int i = 0; i < count; i++) {
        put_whole((u64)points[i].x);
        put(' ');
        put_whole((u64)points[i].y);
        put(' ');
        put_whole((u64)points[i].z);
        put('\n');
    }
}
