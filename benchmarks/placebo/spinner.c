/* Computes without touching memory: a generator whose every step needs the one before. */
volatile unsigned long long result;

__attribute__((export_name("_start"))) void _start(void)
{
    unsigned long long x = 88172645463325252;
    for (int i = 0; i < 500000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    result = x;
}
