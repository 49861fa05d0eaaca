/* The receiver's side of the dialogue: a connection reads what has come, answers all of it at once, and goes on. */
#define _GNU_SOURCE
#include "sink.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { LINE = 2048, HEAD = 8192, INPUT = 1 << 16, ANSWERS = 1 << 14 };
enum state { HANDSHAKE, COMMANDS, CONTENT, DELAYED, GONE };

struct connection {
    struct wire wire;
    enum state state;
    int accepted, refused; /* recipients of this transaction */
    int greeted;
    size_t line_length;    /* of a command whose end has not come */
    char line[LINE];
    char tail[4];          /* the last octets of content, of which `tail_length` are known */
    int tail_length;
    char *head;            /* what may have the stamp; NULL when nobody asks for it or it is found */
    size_t head_length;
    struct arrived stamp;
    int stamped;
    char *unsent;          /* answers that the socket did not take */
    size_t unsent_length;
    struct connection *next; /* among those that will answer after the delay, or that are free */
    int64_t answer_at;
};

static struct connection *spare;
static struct connection *first_delayed, *last_delayed;
static struct arrived *arrivals;
static uint64_t arrival_count, arrival_room;
static char input[INPUT], answers[ANSWERS];
static size_t answers_length;

void prepare_receiving(void) {
    if (!duty.record) return;
    arrival_room = 1 << 16;
    arrivals = malloc(arrival_room * sizeof *arrivals);
    if (!arrivals) quit("no memory for the record");
}

void write_arrivals(void) {
    if (!duty.record) return;
    FILE *file = fopen(duty.record, "wb");
    if (!file) quit("%s: %s", duty.record, strerror(errno));
    if (fwrite(arrivals, sizeof *arrivals, arrival_count, file) != arrival_count || fclose(file) != 0)
        quit("%s: %s", duty.record, strerror(errno));
}

static void recycle(struct connection *connection) {
    connection->next = spare;
    spare = connection;
}

static void end_connection(struct connection *connection, int abruptly) {
    if (connection->wire.tls && SSL_session_reused(connection->wire.tls)) counters->resumed++;
    wire_close(&connection->wire, abruptly);
    free(connection->head);
    free(connection->unsent);
    connection->head = connection->unsent = NULL;
    answers_length = 0;
    counters->open--;
    /* One that is still to answer stands in the list of those; its time comes and finds it gone. */
    int listed = connection->state == DELAYED;
    connection->state = GONE;
    if (!listed) recycle(connection);
}

/* Writes the answers collected; 0 when the connection is gone. */
static int send_answers(struct connection *connection) {
    if (answers_length == 0) return 1;
    size_t length = answers_length, done = 0;
    answers_length = 0;
    while (!connection->unsent && done < length) {
        struct iovec part = {answers + done, length - done};
        ssize_t put = wire_write(&connection->wire, &part, 1);
        if (put == WIRE_AGAIN) break;
        if (put < 0) {
            end_connection(connection, 1);
            return 0;
        }
        done += (size_t)put;
    }
    if (done == length) return 1;
    connection->unsent = realloc(connection->unsent, connection->unsent_length + length - done);
    if (!connection->unsent) quit("no memory for answers");
    memcpy(connection->unsent + connection->unsent_length, answers + done, length - done);
    connection->unsent_length += length - done;
    return 1;
}

/* Writes answers that the socket did not take before; 0 when the connection is gone. */
static int send_unsent(struct connection *connection) {
    size_t done = 0;
    while (done < connection->unsent_length) {
        struct iovec part = {connection->unsent + done, connection->unsent_length - done};
        ssize_t put = wire_write(&connection->wire, &part, 1);
        if (put == WIRE_AGAIN) break;
        if (put < 0) {
            end_connection(connection, 1);
            return 0;
        }
        done += (size_t)put;
    }
    connection->unsent_length -= done;
    if (connection->unsent_length > 0) {
        memmove(connection->unsent, connection->unsent + done, connection->unsent_length);
    } else {
        free(connection->unsent);
        connection->unsent = NULL;
    }
    return 1;
}

static int answer(struct connection *connection, const char *text) {
    size_t length = strlen(text);
    if (answers_length + length > ANSWERS && !send_answers(connection)) return 0;
    memcpy(answers + answers_length, text, length);
    answers_length += length;
    return 1;
}

static int greet(struct connection *connection) {
    connection->greeted = 1;
    if (duty.mode == BUSY) {
        if (answer(connection, "421 4.3.2 sink.example is busy\r\n") && send_answers(connection))
            end_connection(connection, 0);
        return 0;
    }
    return answer(connection, "220 sink.example ESMTP\r\n");
}

/* What a recipient hears: 0 when it is taken, else its code. */
static int concerned(const char *line) {
    if (duty.mode < LATER) return 0;
    if (!duty.only_domains) return 1;
    const char *at = strrchr(line, '@');
    return at && strncasecmp(at + 1, duty.only_domains, strlen(duty.only_domains)) == 0;
}

static int is(const char *line, const char *word) { return strncasecmp(line, word, strlen(word)) == 0; }

static void begin_content(struct connection *connection) {
    connection->state = CONTENT;
    memcpy(connection->tail, "\r\n", 2);
    connection->tail_length = 2;
    connection->stamped = 0;
    connection->head_length = 0;
    if (duty.record && !connection->head && !(connection->head = malloc(HEAD))) quit("no memory for a header");
}

static int take_command(struct connection *connection, const char *line) {
    if (is(line, "MAIL FROM:")) {
        connection->accepted = connection->refused = 0;
        return answer(connection, "250 2.1.0 sender taken\r\n");
    }
    if (is(line, "RCPT TO:")) {
        int touched = concerned(line);
        if (touched && duty.mode != FULL) {
            counters->refused++;
            return answer(connection, duty.mode == LATER ? "450 4.2.0 not now\r\n" : "550 5.1.1 never\r\n");
        }
        connection->accepted++;
        connection->refused += touched;
        return answer(connection, "250 2.1.5 recipient taken\r\n");
    }
    if (is(line, "DATA")) {
        if (connection->accepted == 0) return answer(connection, "554 5.5.1 no recipients\r\n");
        begin_content(connection);
        return answer(connection, "354 go ahead\r\n");
    }
    if (is(line, "EHLO")) {
        return answer(connection, "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n") &&
               (!duty.tls || connection->wire.tls || answer(connection, "250-STARTTLS\r\n")) &&
               answer(connection, "250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n");
    }
    if (is(line, "HELO") || is(line, "NOOP")) return answer(connection, "250 sink.example\r\n");
    if (is(line, "RSET")) {
        connection->accepted = connection->refused = 0;
        return answer(connection, "250 2.0.0 forgotten\r\n");
    }
    if (is(line, "QUIT")) {
        if (answer(connection, "221 2.0.0 bye\r\n") && send_answers(connection)) end_connection(connection, 0);
        return 0;
    }
    if (is(line, "STARTTLS") && duty.tls && !connection->wire.tls) {
        if (!answer(connection, "220 2.0.0 ready\r\n") || !send_answers(connection)) return 0;
        connection->state = HANDSHAKE;
        return 1;
    }
    return answer(connection, "502 5.5.2 unknown\r\n");
}

static void keep_arrival(struct connection *connection) {
    if (!connection->stamped) return;
    if (arrival_count == arrival_room) {
        arrivals = realloc(arrivals, (arrival_room *= 2) * sizeof *arrivals);
        if (!arrivals) quit("no memory for the record");
    }
    connection->stamp.time = nanoseconds();
    arrivals[arrival_count++] = connection->stamp;
}

static int content_answer(struct connection *connection) {
    return answer(connection, connection->refused ? "452 4.2.2 full\r\n" : "250 2.0.0 taken\r\n");
}

static int end_content(struct connection *connection) {
    connection->state = COMMANDS;
    if (connection->refused) {
        counters->refused += (uint64_t)connection->accepted;
    } else {
        if (duty.record) keep_arrival(connection);
        counters->messages++;
        counters->recipients += (uint64_t)connection->accepted;
    }
    connection->accepted = 0;
    if (!duty.delay) return content_answer(connection);
    connection->state = DELAYED;
    connection->answer_at = nanoseconds() + duty.delay;
    connection->next = NULL;
    if (last_delayed) {
        last_delayed->next = connection;
    } else {
        first_delayed = connection;
    }
    last_delayed = connection;
    return 1;
}

/* Looks for the stamp in what has come of the header so far. */
static void find_stamp(struct connection *connection, const char *from, size_t length) {
    size_t room = HEAD - connection->head_length, old = connection->head_length;
    if (length > room) length = room;
    memcpy(connection->head + old, from, length);
    connection->head_length += length;
    char *found = memmem(connection->head, connection->head_length, STAMP_NAME, sizeof STAMP_NAME - 1);
    if (!found) return;
    if (found + STAMP_LENGTH > connection->head + connection->head_length) return;
    char digits[STAMP_DIGITS + 1] = {0};
    memcpy(digits, found + sizeof STAMP_NAME - 1, STAMP_DIGITS);
    connection->stamp.sequence = strtoull(digits, NULL, 16);
    memcpy(digits, found + sizeof STAMP_NAME - 1 + STAMP_DIGITS + 1, STAMP_DIGITS);
    connection->stamp.begun = (int64_t)strtoull(digits, NULL, 16);
    connection->stamped = 1;
}

/* Where content ends (after CRLF.CRLF) in these octets; 0 when it goes on. What came before them is in `tail`. */
static size_t end_of_content(const struct connection *connection, const char *from, size_t length) {
    const char *tail = connection->tail + connection->tail_length;
    int known = connection->tail_length;
    if (known >= 3 && !memcmp(tail - 3, "\r\n.", 3) && length >= 2 && from[0] == '\r' && from[1] == '\n') return 2;
    if (known >= 4 && !memcmp(tail - 4, "\r\n.\r", 4) && from[0] == '\n') return 1;
    const char *end = from + length, *dot = from;
    while ((dot = memchr(dot, '.', (size_t)(end - dot)))) {
        char before = dot > from ? dot[-1] : tail[-1];
        char earlier = dot > from + 1 ? dot[-2] : dot > from ? tail[-1] : known >= 2 ? tail[-2] : 0;
        if (before == '\n' && earlier == '\r' && end - dot > 2 && dot[1] == '\r' && dot[2] == '\n')
            return (size_t)(dot - from) + 3;
        if (++dot == end) break;
    }
    return 0;
}

static void keep_tail(struct connection *connection, const char *from, size_t length) {
    size_t kept = length < 4 ? length : 4, old = (size_t)connection->tail_length;
    if (old > 4 - kept) {
        memmove(connection->tail, connection->tail + old - (4 - kept), 4 - kept);
        old = 4 - kept;
    }
    memcpy(connection->tail + old, from + length - kept, kept);
    connection->tail_length = (int)(old + kept);
}

/* Takes content; returns how many octets of it were there, 0: the connection is gone. */
static size_t take_content(struct connection *connection, const char *from, size_t length) {
    size_t end = end_of_content(connection, from, length), taken = end ? end : length;
    if (connection->head && !connection->stamped) find_stamp(connection, from, taken);
    counters->octets += taken;
    if (end) return end_content(connection) ? end : 0;
    keep_tail(connection, from, length);
    return length;
}

/* Takes one command, or the part of it that is there; returns how many octets that were, 0: the connection is gone. */
static size_t take_line(struct connection *connection, const char *from, size_t length) {
    const char *end = memchr(from, '\n', length);
    size_t taken = end ? (size_t)(end - from) + 1 : length;
    if (connection->line_length + taken >= LINE) {
        end_connection(connection, 1);
        return 0;
    }
    memcpy(connection->line + connection->line_length, from, taken);
    connection->line_length += taken;
    if (!end) return taken;
    connection->line[connection->line_length] = 0;
    connection->line_length = 0;
    return take_command(connection, connection->line) ? taken : 0;
}

/* Keeps commands that came while an answer is due. */
static size_t keep_for_later(struct connection *connection, const char *from, size_t length) {
    if (connection->line_length + length >= LINE) {
        end_connection(connection, 1);
        return 0;
    }
    memcpy(connection->line + connection->line_length, from, length);
    connection->line_length += length;
    return length;
}

/* Handles octets that were read; 0 when the connection is gone. */
static int take_input(struct connection *connection, const char *from, size_t length) {
    while (length > 0) {
        size_t taken;
        switch (connection->state) {
        case COMMANDS: taken = take_line(connection, from, length); break;
        case CONTENT: taken = take_content(connection, from, length); break;
        case DELAYED:
            /* QUIT may follow the final dot at once. */
            taken = keep_for_later(connection, from, length);
            break;
        default:
            /* Octets after STARTTLS and before its answer are an attack. */
            end_connection(connection, 1);
            taken = 0;
        }
        if (taken == 0) return 0;
        from += taken;
        length -= taken;
    }
    return send_answers(connection);
}

void begin_receiving(int epoll, int socket) {
    int on = 1;
    if (duty.mode == CLOSE) {
        close(socket);
        counters->connections++;
        return;
    }
    struct connection *connection = spare;
    if (connection) {
        spare = connection->next;
    } else if (!(connection = malloc(sizeof *connection))) {
        quit("no memory for a connection");
    }
    *connection = (struct connection){.wire = {.socket = socket}, .state = COMMANDS};
    counters->connections++;
    counters->open++;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) != 0) quit("epoll: %s", strerror(errno));
    if (duty.implicit) {
        connection->state = HANDSHAKE;
    } else if (duty.mode != HANG && greet(connection)) {
        send_answers(connection);
    }
}

/* Goes on with TLS; 0 when it is not complete or the connection is gone. */
static int handshake(struct connection *connection) {
    if (!connection->wire.tls) {
        wire_secure(&connection->wire, duty.tls);
        SSL_set_accept_state(connection->wire.tls);
    }
    int done = wire_handshake(&connection->wire);
    if (done == WIRE_AGAIN) return 0;
    if (done != 1) {
        end_connection(connection, 1);
        return 0;
    }
    counters->secured++;
    connection->state = COMMANDS;
    return connection->greeted || duty.mode == HANG || (greet(connection) && send_answers(connection));
}

void receive(struct connection *connection, uint32_t events) {
    if (connection->unsent && !send_unsent(connection)) return;
    for (;;) {
        if (connection->state == DELAYED || connection->state == GONE) return;
        if (connection->state == HANDSHAKE && !handshake(connection)) return;
        ssize_t got = wire_read(&connection->wire, input, INPUT);
        if (got == WIRE_AGAIN) return;
        if (got <= 0) {
            end_connection(connection, got != WIRE_ENDED);
            return;
        }
        if (duty.mode != HANG && !take_input(connection, input, (size_t)got)) return;
        int more = connection->wire.tls || got == INPUT || (events & EPOLLRDHUP) || connection->state == HANDSHAKE;
        if (!more) return;
    }
}

int64_t say_what_is_due(int64_t now) {
    while (first_delayed && first_delayed->answer_at <= now) {
        struct connection *connection = first_delayed;
        first_delayed = connection->next;
        if (!first_delayed) last_delayed = NULL;
        if (connection->state == GONE) {
            recycle(connection);
            continue;
        }
        char later[LINE];
        size_t length = connection->line_length;
        memcpy(later, connection->line, length);
        connection->line_length = 0;
        connection->state = COMMANDS;
        /* What came meanwhile woke nobody. */
        if (content_answer(connection) && send_answers(connection) &&
            (length == 0 || take_input(connection, later, length)))
            receive(connection, EPOLLRDHUP);
    }
    return first_delayed ? first_delayed->answer_at : INT64_MAX;
}
