/* Reads and writes more memory than most caches hold. */
enum { WORDS = 1 << 20, ROUNDS = 2 };

static volatile unsigned long long memory[WORDS];

__attribute__((export_name("_start"))) void _start(void)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < WORDS; i++)
            memory[i] += (unsigned)i;
}
