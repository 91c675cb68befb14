/* Three small computations that processors often lack an instruction for: the real roots of cubic polynomials, square
   roots, and angles between degrees and radians. */
#include "maths.h"
#include "program.h"

/* The real roots of a x^3 + b x^2 + c x + d by Cardano's formula, or Viete's where there are three; how many. */
APART int solve_cubic(double a, double b, double c, double d, double roots[3])
{
    double a1 = b / a, a2 = c / a, a3 = d / a;
    double q = (a1 * a1 - 3 * a2) / 9;
    double r = (2 * a1 * a1 * a1 - 9 * a1 * a2 + 27 * a3) / 54;
    double rest = r * r - q * q * q;
    if (rest <= 0) {
        double theta = arccosine(r / __builtin_sqrt(q * q * q));
        for (int k = 0; k < 3; k++)
            roots[k] = -2 * __builtin_sqrt(q) * cosine((theta + 2 * PI * k) / 3) - a1 / 3;
        return 3;
    }
    double s = cube_root(__builtin_sqrt(rest) + absolute(r));
    s += q / s;
    roots[0] = (r < 0 ? s : -s) - a1 / 3;
    return 1;
}

/* The square root with 16 binary digits after the point, rounded down, one digit after the other. */
APART unsigned digit_root(unsigned x)
{
    u64 rest = 0;
    unsigned root = 0;
    for (int i = 0; i < 32; i++) {
        rest = rest << 2 | x >> 30;
        x <<= 2;
        root <<= 1;
        u64 next = 2 * (u64)root + 1;
        if (rest >= next) {
            rest -= next;
            root++;
        }
    }
    return root;
}

static void put_roots(double a, double b, double c, double d)
{
    double roots[3];
    int count = solve_cubic(a, b, c, d, roots);
    for (int k = 0; k < count; k++) {
        put_fixed(roots[k]);
        put(k == count - 1 ? '\n' : ' ');
    }
}

static void put_angle(double from, double factor)
{
    put_fixed(from);
    put(' ');
    put_fixed(from * factor);
    put('\n');
}

static void run(void)
{
    for (int a = 1; a < 10; a++)
        for (int i = 0; 10 - i * B_STEP > 0; i++)
            for (int j = 0; 5 + j * C_STEP < 15; j++)
                for (int k = 0; -1 - k * D_STEP > -11; k++)
                    put_roots(a, 10 - i * B_STEP, 5 + j * C_STEP, -1 - k * D_STEP);

    u64 sum = 0;
    for (unsigned x = 0; x < ROOTS; x++)
        sum += digit_root(x * ROOT_STEP);
    for (unsigned x = 0x3fed0169; x < 0x3fed0169 + MORE_ROOTS; x++)
        sum += digit_root(x);
    put_whole(sum);
    put('\n');

    for (int i = 0; i < ANGLES; i++)
        put_angle(i * (360.0 / (ANGLES - 1)), PI / 180);
    for (int i = 0; i < ANGLES; i++)
        put_angle(i * (2 * PI / (ANGLES - 1)), 180 / PI);
}
