/* The clocks of a module, and waiting for them. Part of wasm2c_host.c. */

static int clock_id(u32 clock, clockid_t *id)
{
    static const clockid_t known[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    if (clock > 3)
        return 0;
    *id = known[clock];
    return 1;
}

static u64 nanoseconds(struct timespec told)
{
    return (u64)told.tv_sec * 1000000000u + told.tv_nsec;
}

static u32 clock_of(HOST host, u32 clock, u32 to, int (*ask)(clockid_t, struct timespec *))
{
    struct timespec told;
    clockid_t id;
    if (!clock_id(clock, &id))
        return INVAL;
    if (ask(id, &told))
        return wasi_error();
    return put(host, to, nanoseconds(told), 8);
}

WASI(clock_time_get, u32 clock, u64 precision, u32 to)
{
    return clock_of(host, clock, to, clock_gettime);
}

WASI(clock_res_get, u32 clock, u32 to)
{
    return clock_of(host, clock, to, clock_getres);
}

/* Files are always ready. Where only clocks are waited for, sleep until the first is. */
WASI(poll_oneoff, u32 wanted, u32 events, u32 count, u32 done)
{
    struct subscription {
        u64 data;
        u32 type, unused;
        u32 what, unused2; /* a clock or a file */
        u64 time, precision;
        u32 flags, unused3;
    } *list = at(host, wanted, 48ull * count);
    struct {
        u64 data;
        uint16_t error;
        u8 type, unused[21];
    } event;
    u64 first = ~0ull, left[MOST_SLICES];
    int files_too = 0;
    u32 told = 0;
    if (count < 1 || count > MOST_SLICES)
        return INVAL;
    if (!list)
        return FAULT;
    for (u32 i = 0; i < count; i++) {
        u64 now = 0;
        if ((list[i].type & 255) != 0) {
            files_too = 1;
            continue;
        }
        if (list[i].flags & 1) {
            struct timespec told;
            clockid_t id;
            if (!clock_id(list[i].what, &id) || clock_gettime(id, &told))
                return INVAL;
            now = nanoseconds(told);
        }
        left[i] = list[i].time > now ? list[i].time - now : 0;
        first = left[i] < first ? left[i] : first;
    }
    if (!files_too)
        nanosleep(&(struct timespec){first / 1000000000u, first % 1000000000u}, NULL);
    for (u32 i = 0; i < count; i++) {
        int clock = (list[i].type & 255) == 0;
        void *to = at(host, events + 32 * told, 32);
        if (clock && (files_too || left[i] > first))
            continue;
        if (!to)
            return FAULT;
        memset(&event, 0, sizeof event);
        event.data = list[i].data;
        event.error = clock || host_fd(list[i].what) >= 0 ? 0 : BADF;
        event.type = list[i].type & 255;
        memcpy(to, &event, 32);
        told++;
    }
    return put(host, done, told, 4);
}
