/* Sleeps. */
struct subscription {
    unsigned long long data;
    unsigned kind, unused, clock, unused2;
    unsigned long long time, precision;
    unsigned flags, unused3;
};

struct event {
    unsigned long long data;
    unsigned short error;
    unsigned char kind, unused[21];
};

__attribute__((import_module("wasi_snapshot_preview1"), import_name("poll_oneoff"))) int
poll_oneoff(const struct subscription *, struct event *, unsigned, unsigned *);

__attribute__((export_name("_start"))) void _start(void)
{
    struct subscription wake = {.kind = 0, .clock = 1, .time = 20000000, .precision = 1000};
    struct event event;
    unsigned count;
    if (poll_oneoff(&wake, &event, 1, &count))
        __builtin_trap();
}
