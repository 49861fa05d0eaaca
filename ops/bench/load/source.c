/* Sends mail over SMTP, as cheaply as smtp-source does, and with what that cannot: TLS, many recipient domains, a given
 * rate, and the latency of each message.
 *
 * build: gcc -O2 -o source source.c session.c report.c wire.c -lssl -lcrypto -lm
 */
#define _GNU_SOURCE
#include "source.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct plan plan = {
    .sessions = 1, .messages = 1, .size = 4096, .recipients = 1, .domains = 1, .seed = 1, .from_addresses = 1,
    .limit = 300 * 1000000000LL, .sender = "author@customer.example", .recipient = "reader@sink.example",
    .name = "load.example"};
struct account account;

static const char usage[] =
    "usage: source [option]... ADDRESS:PORT\n"
    "Sends messages over SMTP and ends with one line of JSON: what was accepted and how long each took.\n"
    "\n"
    "  --messages N        in all (1)\n"
    "  --sessions N        connections at the same time (1)\n"
    "  --per-session N     messages that a connection carries; 0: all that come (0)\n"
    "  --size N            octets of content without its header (4096)\n"
    "  --recipients N      of each message (1); when more, a number stands before the name of each\n"
    "  --from ADDRESS      sender (author@customer.example)\n"
    "  --to ADDRESS        recipient (reader@sink.example); a # in it becomes a number drawn for each: with\n"
    "                      --to reader@d#.example --domains 10000 from reader@d0000.example to reader@d9999.example\n"
    "  --domains N         how many numbers there are for # (1)\n"
    "  --seed N            of all that is drawn (1)\n"
    "  --pipelining        MAIL, RCPT and DATA in one write; else each waits for the reply before it, as smtp-source\n"
    "  --rate N            open loop: N messages a second become due whatever the server does (0: closed loop,\n"
    "                      each session goes on as soon as it may); a message that finds no session free waits, and\n"
    "                      its latency counts from when it was due\n"
    "  --even              equal times between due messages; else they come at random (a Poisson process)\n"
    "  --tls WAY           starttls or implicit; certificates are not checked, TLS sessions are resumed\n"
    "  --fresh-tls         a full handshake on every connection\n"
    "  --bind ADDRESS:0    address that connections come from\n"
    "  --bind-addresses N  that many, upward from it, the sessions taking them in turn (1)\n"
    "  --name NAME         said in EHLO (load.example)\n"
    "  --tolerate          counts refusals and broken connections and goes on; else the first one is the end\n"
    "  --limit SECONDS     the end, with an error, when it is not done by then (300)\n"
    "  --record FILE       for each message its struct sent (wire.h): sequence, due, dot, replied, code; 8 octets\n"
    "                      each\n"
    "\n"
    "Each message has a header field X-Load-Stamp: its sequence number and the time its content began. Times are of\n"
    "CLOCK_MONOTONIC in nanoseconds, which the sink of the same machine uses too. In the result, dot_to_250_ms is\n"
    "from the last octet written to the reply; due_to_250_ms (open loop) from when it was due; histogram is a list of\n"
    "[upper limit in ms, messages]; most_waiting is how many messages were due and without a session at worst.\n";

static void read_options(int count, char **words) {
    static const struct option options[] = {
        {"messages", 1, 0, 'm'}, {"sessions", 1, 0, 's'}, {"per-session", 1, 0, 'p'}, {"size", 1, 0, 'l'},
        {"recipients", 1, 0, 'r'}, {"from", 1, 0, 'f'}, {"to", 1, 0, 't'}, {"domains", 1, 0, 'd'},
        {"seed", 1, 0, 'e'}, {"pipelining", 0, 0, 'P'}, {"rate", 1, 0, 'R'}, {"even", 0, 0, 'E'},
        {"tls", 1, 0, 'T'}, {"fresh-tls", 0, 0, 'F'}, {"bind", 1, 0, 'b'}, {"bind-addresses", 1, 0, 'B'},
        {"name", 1, 0, 'n'}, {"tolerate", 0, 0, 'o'}, {"limit", 1, 0, 'L'}, {"record", 1, 0, 'w'},
        {"help", 0, 0, 'h'}, {0, 0, 0, 0}};
    for (int letter; (letter = getopt_long(count, words, "", options, NULL)) >= 0;) {
        switch (letter) {
        case 'm': plan.messages = number_of("--messages", optarg, 1, 50000000); break;
        case 's': plan.sessions = number_of("--sessions", optarg, 1, 100000); break;
        case 'p': plan.per_session = number_of("--per-session", optarg, 0, 50000000); break;
        case 'l': plan.size = number_of("--size", optarg, 0, 1ULL << 40); break;
        case 'r': plan.recipients = number_of("--recipients", optarg, 1, 10000); break;
        case 'f': plan.sender = optarg; break;
        case 't': plan.recipient = optarg; break;
        case 'd': plan.domains = number_of("--domains", optarg, 1, 1000000000); break;
        case 'e': plan.seed = number_of("--seed", optarg, 0, 1ULL << 60); break;
        case 'P': plan.pipelining = 1; break;
        case 'R':
            plan.rate = atof(optarg);
            if (!(plan.rate >= 0.001 && plan.rate <= 1e7)) quit("--rate: '%s' is not a rate", optarg);
            break;
        case 'E': plan.even = 1; break;
        case 'T':
            plan.security = !strcmp(optarg, "starttls") ? STARTTLS : IMPLICIT;
            if (plan.security == IMPLICIT && strcmp(optarg, "implicit")) quit("--tls is starttls or implicit");
            break;
        case 'F': plan.fresh_tls = 1; break;
        case 'b': plan.from_address = place_of(optarg); break;
        case 'B': plan.from_addresses = number_of("--bind-addresses", optarg, 1, 1 << 24); break;
        case 'n': plan.name = optarg; break;
        case 'o': plan.tolerate = 1; break;
        case 'L': plan.limit = (int64_t)number_of("--limit", optarg, 1, 1000000) * 1000000000; break;
        case 'w': plan.record = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs("source: --help tells the options\n", stderr); exit(2);
        }
    }
    if (optind != count - 1) quit("one ADDRESS:PORT is needed; --help tells the options");
    if (plan.domains > 1 && !strchr(plan.recipient, '#')) quit("--domains needs a # in --to");
    plan.to = place_of(words[optind]);
}

/* Nanoseconds from one due message to the next. */
static int64_t gap(void) {
    double mean = 1e9 / plan.rate;
    return (int64_t)(plan.even ? mean : -log(1 - drand48()) * mean);
}

static void wait_and_handle(int epoll, int64_t until) {
    struct epoll_event events[512];
    int64_t left = until - nanoseconds();
    if (left < 0) left = 0;
    struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    int count = epoll_pwait2(epoll, events, sizeof events / sizeof *events, &wait, NULL);
    if (count < 0 && errno != EINTR) quit("epoll: %s", strerror(errno));
    for (int each = 0; each < count; each++) session_woken(events[each].data.ptr, events[each].events);
}

int main(int count, char **words) {
    read_options(count, words);
    signal(SIGPIPE, SIG_IGN);
    allow_sockets(plan.sessions);
    srand48((long)plan.seed);
    account.messages = calloc(plan.messages, sizeof *account.messages);
    if (!account.messages) quit("no memory for so many messages");
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) quit("epoll: %s", strerror(errno));
    int64_t deadline = nanoseconds() + plan.limit;
    account.start = account.last = nanoseconds();
    sessions_begin(epoll);
    if (plan.rate > 0 && plan.per_session == 0) {
        /* Connecting is not what the open loop asks about. */
        sessions_connect();
        while (sessions_idle() < plan.sessions && nanoseconds() < deadline) {
            int64_t again = sessions_retry(nanoseconds());
            sessions_connect();
            wait_and_handle(epoll, again < deadline ? again : deadline);
        }
        account.start = nanoseconds();
    }
    uint64_t due = plan.rate > 0 ? 0 : plan.messages;
    int64_t next = account.start;
    while (finished() < plan.messages) {
        int64_t now = nanoseconds();
        if (now > deadline)
            quit("not done within %lld s: %llu accepted, %llu refused, %llu broken of %llu; sessions: %s",
                 (long long)(plan.limit / 1000000000), (unsigned long long)account.accepted,
                 (unsigned long long)account.refused, (unsigned long long)account.broken,
                 (unsigned long long)plan.messages, sessions_states());
        int64_t again = sessions_retry(now);
        for (; due < plan.messages && next <= now; next += gap()) account.messages[due++].due = next;
        sessions_take(due);
        if (account.begun == plan.messages) sessions_leave();
        int64_t until = due < plan.messages && next < again ? next : again;
        wait_and_handle(epoll, until < deadline ? until : deadline + 1);
    }
    int64_t patience = nanoseconds() + 2000000000;
    while (sessions_leave() > 0 && nanoseconds() < patience) wait_and_handle(epoll, patience);
    report();
    return 0;
}
