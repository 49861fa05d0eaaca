/* What the source tells at its end. */
#define _GNU_SOURCE
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int ascending(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

/* The value that this part of all are not above. */
static double part(const int64_t *sorted, uint64_t count, double which) {
    uint64_t at = (uint64_t)(which * (double)count);
    return (double)sorted[at < count ? at : count - 1] / 1e6;
}

/* Percentiles and a histogram of the latencies of accepted messages, in milliseconds; its steps are 1, 2 and 5. */
static void latencies(const char *name, int64_t (*of)(const struct sent *)) {
    int64_t *sorted = malloc((plan.messages + 1) * sizeof *sorted), sum = 0;
    uint64_t count = 0;
    if (!sorted) quit("no memory for the latencies");
    for (uint64_t each = 0; each < plan.messages; each++)
        if (account.messages[each].code / 100 == 2) sum += sorted[count++] = of(&account.messages[each]);
    if (count == 0) {
        free(sorted);
        return;
    }
    qsort(sorted, count, sizeof *sorted, ascending);
    printf(", \"%s\": {\"mean\": %.3f, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, \"max\": %.3f, "
           "\"histogram\": [",
           name, (double)sum / 1e6 / (double)count, part(sorted, count, 0.5), part(sorted, count, 0.9),
           part(sorted, count, 0.99), part(sorted, count, 0.999), (double)sorted[count - 1] / 1e6);
    static const int64_t steps[] = {1, 2, 5};
    int64_t decade = 10000; /* 10 microseconds */
    uint64_t at = 0, before = 0;
    for (int step = 0; at < count; step = (step + 1) % 3) {
        int64_t upper = steps[step] * decade;
        while (at < count && sorted[at] <= upper) at++;
        if (at > before) printf("%s[%g, %llu]", before ? ", " : "", (double)upper / 1e6,
                                (unsigned long long)(at - before));
        before = at;
        if (step == 2) decade *= 10;
    }
    printf("]}");
    free(sorted);
}

static int64_t from_dot(const struct sent *message) { return message->replied - message->dot; }
static int64_t from_due(const struct sent *message) { return message->replied - message->due; }

static void write_record(void) {
    FILE *file = fopen(plan.record, "wb");
    if (!file) quit("%s: %s", plan.record, strerror(errno));
    size_t written = fwrite(account.messages, sizeof *account.messages, plan.messages, file);
    if (written != plan.messages || fclose(file) != 0) quit("%s: %s", plan.record, strerror(errno));
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

void report(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double elapsed = (double)(account.last - account.start) / 1e9;
    printf("{\"messages\": %llu, \"accepted\": %llu, \"refused\": %llu, \"broken\": %llu, \"connections\": %llu, "
           "\"resumed\": %llu, \"seconds\": %.6f, \"rate\": %.1f, \"cpu\": %.3f, \"most_waiting\": %llu, \"codes\": {",
           (unsigned long long)plan.messages, (unsigned long long)account.accepted,
           (unsigned long long)account.refused, (unsigned long long)account.broken,
           (unsigned long long)account.connections, (unsigned long long)account.resumed, elapsed,
           elapsed > 0 ? (double)account.accepted / elapsed : 0, seconds(used.ru_utime) + seconds(used.ru_stime),
           (unsigned long long)(plan.rate > 0 ? account.most_waiting : 0));
    int first = 1;
    for (int code = 0; code < 1000; code++) {
        if (account.codes[code] == 0) continue;
        printf("%s\"%d\": %llu", first ? "" : ", ", code, (unsigned long long)account.codes[code]);
        first = 0;
    }
    printf("}");
    latencies("dot_to_250_ms", from_dot);
    if (plan.rate > 0) latencies("due_to_250_ms", from_due);
    printf("}\n");
    fflush(stdout);
    if (plan.record) write_record();
}
