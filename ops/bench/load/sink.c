/* Takes mail over SMTP and throws it away, as cheaply as smtp-sink does, and with what that cannot: TLS, the time at
 * which each message came, and the ways in which a receiver can be of no use.
 *
 * build: gcc -O2 -o sink sink.c receive.c wire.c -lssl -lcrypto
 */
#define _GNU_SOURCE
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

struct duty duty = {.connections = 4000};
struct counters *counters;

enum { PLACES = 64, ROOM = 1 << 16 };
static struct place places[PLACES];
static int listeners[PLACES], place_count;
static uint64_t messages;
static int64_t limit = 3600 * 1000000000LL;
static const char *counters_file;
static volatile sig_atomic_t asked_to_end;

static const char usage[] =
    "usage: sink [option]... --listen ADDRESS:PORT...\n"
    "Takes mail over SMTP, throws it away, and ends with one line of JSON: what it counted.\n"
    "\n"
    "  --listen ADDRESS:PORT   may be repeated; port 0 is a free one. When all are open it prints `listening` and\n"
    "                          their ports\n"
    "  --connections N         at the same time at most; more stay in the backlog (4000)\n"
    "  --messages N            ends after so many (0: does not)\n"
    "  --limit SECONDS         ends after that time (3600); so it does on SIGTERM and SIGINT\n"
    "  --counters FILE         keeps its counts there while it runs: struct counters (sink.h), 8 octets each:\n"
    "                          messages, recipients, connections, open, secured, resumed, refused, octets\n"
    "  --record FILE           for each message its struct arrived (wire.h): sequence, time its content began at the\n"
    "                          source, time of its final dot here; only those of our source have a stamp, others are\n"
    "                          left out\n"
    "  --certificate FILE --key FILE   offers STARTTLS with them\n"
    "  --implicit              TLS from the first octet instead\n"
    "  --delay MS              waits before the reply to the final dot (0)\n"
    "  --mode MODE             take (the default), refuse (a port that nobody listens at), close (closes at once),\n"
    "                          hang (takes the connection and says nothing), busy (421 instead of the banner),\n"
    "                          later (450 to RCPT), never (550 to RCPT), full (452 to the final dot)\n"
    "  --only-domains PREFIX   later, never and full concern recipients alone whose domain begins with it\n";

static void read_options(int count, char **words) {
    static const struct option options[] = {
        {"listen", 1, 0, 'l'}, {"connections", 1, 0, 'c'}, {"messages", 1, 0, 'm'}, {"limit", 1, 0, 'L'},
        {"counters", 1, 0, 'n'}, {"record", 1, 0, 'w'}, {"certificate", 1, 0, 'C'}, {"key", 1, 0, 'K'},
        {"implicit", 0, 0, 'i'}, {"delay", 1, 0, 'D'}, {"mode", 1, 0, 'M'}, {"only-domains", 1, 0, 'o'},
        {"help", 0, 0, 'h'}, {0, 0, 0, 0}};
    static const char *const modes[] = {"take", "refuse", "close", "hang", "busy", "later", "never", "full", NULL};
    const char *certificate = NULL, *key = NULL;
    for (int letter; (letter = getopt_long(count, words, "", options, NULL)) >= 0;) {
        switch (letter) {
        case 'l':
            if (place_count == PLACES) quit("at most %d times --listen", PLACES);
            places[place_count++] = place_of(optarg);
            break;
        case 'c': duty.connections = number_of("--connections", optarg, 1, 100000); break;
        case 'm': messages = number_of("--messages", optarg, 0, 1ULL << 40); break;
        case 'L': limit = (int64_t)number_of("--limit", optarg, 1, 1000000) * 1000000000; break;
        case 'n': counters_file = optarg; break;
        case 'w': duty.record = optarg; break;
        case 'C': certificate = optarg; break;
        case 'K': key = optarg; break;
        case 'i': duty.implicit = 1; break;
        case 'D': duty.delay = (int64_t)number_of("--delay", optarg, 0, 600000) * 1000000; break;
        case 'M':
            duty.mode = TAKE;
            while (modes[duty.mode] && strcmp(modes[duty.mode], optarg)) duty.mode++;
            if (!modes[duty.mode]) quit("--mode: no mode '%s'", optarg);
            break;
        case 'o': duty.only_domains = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs("sink: --help tells the options\n", stderr); exit(2);
        }
    }
    if (optind != count) quit("'%s' is one word too many; --help tells the options", words[optind]);
    if (!place_count) quit("--listen is missing; --help tells the options");
    if (!certificate != !key) quit("--certificate and --key go together");
    if (duty.implicit && !key) quit("--implicit needs a certificate");
    if (!key) return;
    duty.tls = SSL_CTX_new(TLS_server_method());
    if (!duty.tls || SSL_CTX_use_certificate_chain_file(duty.tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(duty.tls, key, SSL_FILETYPE_PEM) != 1)
        quit("%s and %s are no certificate and its key", certificate, key);
    SSL_CTX_set_session_id_context(duty.tls, (const unsigned char *)"sink", 4);
}

static void end(int signal) {
    (void)signal;
    asked_to_end = 1;
}

/* Counts lie in a file that others map, so that nobody has to be told of each. */
static void map_counters(void) {
    int flags = MAP_SHARED | MAP_ANONYMOUS, file = -1;
    if (counters_file) {
        file = open(counters_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (file < 0 || ftruncate(file, sizeof *counters) != 0) quit("%s: %s", counters_file, strerror(errno));
        flags = MAP_SHARED;
    }
    counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, flags, file, 0);
    if (counters == MAP_FAILED) quit("mmap: %s", strerror(errno));
    if (file >= 0) close(file);
}

static void listen_at(int number) {
    struct place *place = &places[number];
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, on = 1;
    int listener = socket(place->address.ss_family, type, 0);
    if (listener < 0) quit("socket: %s", strerror(errno));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&place->address, place->length) != 0) quit("bind: %s", strerror(errno));
    if (duty.mode != REFUSE && listen(listener, 4096) != 0) quit("listen: %s", strerror(errno));
    getsockname(listener, (struct sockaddr *)&place->address, &place->length);
    printf(" %d", place_port(place));
    listeners[number] = listener;
}

static void take_all(int epoll, int number) {
    while (counters->open < duty.connections) {
        int socket = accept4(listeners[number], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            begin_receiving(epoll, socket);
        } else if (errno != ECONNABORTED && errno != EINTR) {
            if (errno != EAGAIN && errno != EMFILE && errno != ENFILE) quit("accept: %s", strerror(errno));
            return;
        }
    }
}

static void report(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"messages\": %llu, \"recipients\": %llu, \"connections\": %llu, \"secured\": %llu, \"resumed\": %llu, "
           "\"refused\": %llu, \"octets\": %llu, \"cpu\": %.3f}\n",
           (unsigned long long)counters->messages, (unsigned long long)counters->recipients,
           (unsigned long long)counters->connections, (unsigned long long)counters->secured,
           (unsigned long long)counters->resumed, (unsigned long long)counters->refused,
           (unsigned long long)counters->octets, cpu);
    fflush(stdout);
}

int main(int count, char **words) {
    read_options(count, words);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, end);
    signal(SIGINT, end);
    allow_sockets(duty.connections);
    map_counters();
    prepare_receiving();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) quit("epoll: %s", strerror(errno));
    printf("listening");
    for (int each = 0; each < place_count; each++) {
        listen_at(each);
        /* Level-triggered, and known by a small number where connections have an address. */
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)each};
        if (duty.mode != REFUSE && epoll_ctl(epoll, EPOLL_CTL_ADD, listeners[each], &event) != 0)
            quit("epoll: %s", strerror(errno));
    }
    printf("\n");
    fflush(stdout);
    int64_t deadline = nanoseconds() + limit;
    int full = 0;
    while (!asked_to_end && !(messages && counters->messages >= messages)) {
        int64_t now = nanoseconds(), until = say_what_is_due(now);
        if (now >= deadline) break;
        if (until > deadline) until = deadline;
        if (full != (counters->open >= duty.connections)) {
            full = !full;
            for (int each = 0; each < place_count; each++) {
                struct epoll_event event = {.events = full ? 0 : EPOLLIN, .data.u64 = (uint64_t)each};
                epoll_ctl(epoll, EPOLL_CTL_MOD, listeners[each], &event);
            }
        }
        /* A signal between the check above and the wait is noticed after half a second. */
        int64_t wait = until - now < 500000000 ? until - now : 500000000;
        struct timespec time = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
        struct epoll_event events[512];
        int woken = epoll_pwait2(epoll, events, sizeof events / sizeof *events, &time, NULL);
        if (woken < 0 && errno != EINTR) quit("epoll: %s", strerror(errno));
        for (int each = 0; each < woken; each++) {
            if (events[each].data.u64 < PLACES) {
                take_all(epoll, (int)events[each].data.u64);
            } else {
                receive(events[each].data.ptr, events[each].events);
            }
        }
    }
    report();
    write_arrivals();
    return 0;
}
