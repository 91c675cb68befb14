/* The transcendental functions that the suite needs, within about 1e-15 of the true value near zero and 1e-12 for
   arguments of a few thousand. */
#pragma once

static const double PI = 3.14159265358979323846;

static inline double absolute(double x)
{
    return __builtin_fabs(x);
}

/* Taylor's series for |x| <= pi/4. */
static double sine_near_zero(double x)
{
    double xx = x * x, term = x, sum = x;
    for (int n = 2; n <= 16; n += 2) {
        term *= -xx / (double)(n * (n + 1));
        sum += term;
    }
    return sum;
}

static double cosine_near_zero(double x)
{
    double xx = x * x, term = 1, sum = 1;
    for (int n = 1; n <= 15; n += 2) {
        term *= -xx / (double)(n * (n + 1));
        sum += term;
    }
    return sum;
}

static double sine(double x)
{
    double quarters = __builtin_floor(x * (2 / PI) + 0.5);
    double rest = x - quarters * 1.57079632679489655800 - quarters * 6.12323399573676603587e-17;
    switch ((long long)quarters & 3) {
    case 0: return sine_near_zero(rest);
    case 1: return cosine_near_zero(rest);
    case 2: return -sine_near_zero(rest);
    default: return -cosine_near_zero(rest);
    }
}

static inline double cosine(double x)
{
    return sine(x + PI / 2);
}

/* By halving the angle twice, then the series for |x| <= tan(pi/16) or so. */
static inline double arctangent(double x)
{
    double scale = 1;
    for (int i = 0; i < 3; i++, scale *= 2)
        x = x / (1 + __builtin_sqrt(1 + x * x));
    double xx = x * x, power = x, sum = 0;
    for (int n = 1; n <= 23; n += 2) {
        sum += power / n;
        power *= -xx;
    }
    return scale * sum;
}

static inline double arccosine(double x)
{
    return x <= -1 ? PI : 2 * arctangent(__builtin_sqrt((1 - x) / (1 + x)));
}

/* Newton's iteration for y^3 = x > 0, from above, until it no longer falls. */
static inline double cube_root(double x)
{
    double y = x < 1 ? 1 : x, next;
    if (x == 0)
        return 0;
    while ((next = y - (y - x / (y * y)) / 3) < y)
        y = next;
    return y;
}
