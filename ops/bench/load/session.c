/* SMTP sessions of the source: each takes one message after the other and goes through the dialogue. */
#define _GNU_SOURCE
#include "source.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

/* What a session waits for. */
enum phase {
    UNCONNECTED, RESTING, CONNECTING, SECURING, BANNER, EHLO, STARTING_TLS, IDLE, MAIL, RCPT, DATA, DOT, RSET, QUITTING,
    PHASES
};
static const char *const names[PHASES] = {
    "unconnected", "waiting to connect again", "connect", "TLS handshake", "banner", "EHLO", "STARTTLS", "idle", "MAIL",
    "RCPT", "DATA", "the final dot", "RSET", "QUIT"};

static const uint64_t nothing = UINT64_MAX;
static const int64_t rest = 100 * 1000000; /* before a lost connection is tried again */
enum { LINE = 80, PIECE = LINE * 819, PIECES = 16, INPUT = 4096 };

struct session {
    struct wire wire;
    enum phase phase;
    uint32_t number;
    uint64_t message;    /* the one in hand, or `nothing` */
    uint64_t carried;    /* by this connection */
    uint64_t answered;   /* recipients of the message */
    uint64_t slot;       /* in the list of free ones that it is in, if it is */
    int64_t again;       /* when RESTING ends */
    int starttls;        /* EHLO offered it */
    char *head;          /* what is to be written: this, then `body` octets of content, then `tail` */
    size_t head_length, tail_length;
    uint64_t body, written;
    const char *tail;
    size_t length;       /* octets in `input` */
    char input[INPUT];
};

struct list {
    struct session **sessions;
    uint64_t count;
};

static struct session *all;
static struct list idle, unconnected; /* those that have no message in hand */
static uint64_t open_connections;
static struct session **resting; /* a ring: each rests equally long */
static uint64_t resting_first, resting_count;
static int epoll;
static size_t head_room;
static char piece[PIECE];
static SSL_CTX *context;
static SSL_SESSION *ticket; /* of the last connection, for the next */
static uint64_t dice;

static void begin_message(struct session *session, uint64_t number);

static void put(struct list *list, struct session *session) {
    session->slot = list->count;
    list->sessions[list->count++] = session;
}

static void drop(struct list *list, struct session *session) {
    struct session *last = list->sessions[--list->count];
    list->sessions[session->slot] = last;
    last->slot = session->slot;
}

static void *room_for_all(size_t size) {
    void *room = calloc(plan.sessions, size);
    if (!room) quit("no memory for so many sessions");
    return room;
}

static int keep_ticket(SSL *tls, SSL_SESSION *fresh) {
    (void)tls;
    if (ticket) SSL_SESSION_free(ticket);
    ticket = fresh;
    return 1;
}

void sessions_begin(int descriptor) {
    epoll = descriptor;
    dice = plan.seed * 2 + 1;
    head_room = 1024 + plan.recipients * (strlen(plan.recipient) + 64) + strlen(plan.sender);
    for (size_t at = 0; at < PIECE; at++) piece[at] = at % LINE == LINE - 2 ? '\r' : at % LINE == LINE - 1 ? '\n' : 'X';
    all = room_for_all(sizeof *all);
    idle.sessions = room_for_all(sizeof *idle.sessions);
    unconnected.sessions = room_for_all(sizeof *unconnected.sessions);
    resting = room_for_all(sizeof *resting);
    for (uint64_t each = plan.sessions; each-- > 0;) {
        all[each] = (struct session){.wire = {.socket = -1}, .number = (uint32_t)each, .message = nothing};
        all[each].head = malloc(head_room);
        if (!all[each].head) quit("no memory for so many sessions");
        put(&unconnected, &all[each]);
    }
    if (plan.security == CLEAR) return;
    context = SSL_CTX_new(TLS_client_method());
    if (!context) quit("OpenSSL does not start");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (!plan.fresh_tls) SSL_CTX_sess_set_new_cb(context, keep_ticket);
}

/* xorshift64*: the same seed gives the same load. */
static uint64_t roll(uint64_t sides) {
    dice ^= dice >> 12;
    dice ^= dice << 25;
    dice ^= dice >> 27;
    return (dice * 0x2545F4914F6CDD1DULL >> 32) % sides;
}

static void dial(struct session *session) {
    int number = socket(plan.to.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (number < 0) quit("socket: %s", strerror(errno));
    setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (plan.from_address.length) {
        struct place from = place_after(plan.from_address, (uint32_t)(session->number % plan.from_addresses));
        setsockopt(number, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(number, (struct sockaddr *)&from.address, from.length) != 0) quit("bind: %s", strerror(errno));
    }
    if (connect(number, (struct sockaddr *)&plan.to.address, plan.to.length) != 0 && errno != EINPROGRESS)
        quit("connect: %s", strerror(errno));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = session};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, number, &event) != 0) quit("epoll: %s", strerror(errno));
    session->wire = (struct wire){.socket = number};
    session->phase = CONNECTING;
    session->carried = session->length = session->written = session->head_length = session->tail_length = 0;
    session->body = 0;
    session->starttls = 0;
    account.connections++;
    open_connections++;
}

static void hang_up(struct session *session) {
    if (session->phase == IDLE && session->message == nothing) drop(&idle, session);
    if (session->wire.tls && SSL_session_reused(session->wire.tls)) account.resumed++;
    wire_close(&session->wire, 1);
    session->phase = UNCONNECTED;
    open_connections--;
}

/* The message in hand is over: `code` as in `struct sent`. */
static void done_with_message(struct session *session, unsigned code) {
    struct sent *message = &account.messages[session->message];
    message->replied = account.last = nanoseconds();
    message->code = code;
    session->message = nothing;
    if (code / 100 == 2) {
        account.accepted++;
    } else if (code) {
        account.refused++;
        account.codes[code % 1000]++;
    } else {
        account.broken++;
    }
}

/* The connection is gone. */
static void lost(struct session *session, const char *why) {
    enum phase phase = session->phase;
    if (phase == QUITTING || (phase == IDLE && (plan.tolerate || plan.rate > 0 || finished() == plan.messages))) {
        hang_up(session);
        put(&unconnected, session);
        return;
    }
    if (!plan.tolerate) quit("session %u, %s: %s", session->number, names[phase], why);
    if (phase >= MAIL && session->message != nothing) done_with_message(session, 0);
    hang_up(session);
    session->phase = RESTING;
    session->again = nanoseconds() + rest;
    resting[(resting_first + resting_count++) % plan.sessions] = session;
}

int64_t sessions_retry(int64_t now) {
    for (; resting_count > 0; resting_count--) {
        struct session *session = resting[resting_first];
        if (session->again > now) return session->again;
        resting_first = (resting_first + 1) % plan.sessions;
        session->phase = UNCONNECTED;
        if (session->message != nothing) {
            dial(session);
        } else {
            put(&unconnected, session);
        }
    }
    return INT64_MAX;
}

/* Writes what is left to be written; 0 when the connection broke. */
static int flush_output(struct session *session) {
    uint64_t before_tail = session->head_length + session->body, total = before_tail + session->tail_length;
    while (session->written < total) {
        struct iovec parts[PIECES + 2];
        int count = 0;
        uint64_t at = session->written;
        if (at < session->head_length) {
            parts[count++] = (struct iovec){session->head + at, session->head_length - at};
            at = session->head_length;
        }
        for (int pieces = 0; at < before_tail && pieces < PIECES; pieces++) {
            uint64_t offset = (at - session->head_length) % PIECE, length = PIECE - offset;
            if (length > before_tail - at) length = before_tail - at;
            parts[count++] = (struct iovec){piece + offset, length};
            at += length;
        }
        if (at >= before_tail && session->tail_length > 0)
            parts[count++] = (struct iovec){(char *)session->tail + (at - before_tail), total - at};
        ssize_t put = wire_write(&session->wire, parts, count);
        if (put == WIRE_AGAIN) return 1;
        if (put < 0) return 0;
        session->written += (uint64_t)put;
    }
    if (session->phase == DOT && session->message != nothing && !account.messages[session->message].dot)
        account.messages[session->message].dot = nanoseconds();
    return 1;
}

/* Writes what `head` has now; a broken connection is seen by the reading that follows. */
static void say(struct session *session, enum phase phase, size_t length) {
    if (length >= head_room) quit("an address is too long");
    session->phase = phase;
    session->head_length = length;
    session->body = session->tail_length = session->written = 0;
    flush_output(session);
}

/* As smtp-source does, several recipients of a message are told apart by a number before their name. */
static size_t put_recipient(char *at, size_t room, uint64_t number) {
    size_t length = 0;
    if (plan.recipients > 1) length = (size_t)snprintf(at, room, "%llu", (unsigned long long)number + 1);
    const char *mark = strchr(plan.recipient, '#');
    if (!mark) return length + (size_t)snprintf(at + length, room - length, "%s", plan.recipient);
    return length + (size_t)snprintf(at + length, room - length, "%.*s%04llu%s", (int)(mark - plan.recipient),
                                     plan.recipient, (unsigned long long)roll(plan.domains), mark + 1);
}

static size_t put_rcpt(char *at, size_t room, uint64_t number) {
    size_t length = (size_t)snprintf(at, room, "RCPT TO:<");
    length += put_recipient(at + length, room - length, number);
    return length + (size_t)snprintf(at + length, room - length, ">\r\n");
}

static void say_envelope(struct session *session) {
    size_t length = (size_t)snprintf(session->head, head_room, "MAIL FROM:<%s>\r\n", plan.sender);
    if (plan.pipelining) {
        for (uint64_t each = 0; each < plan.recipients; each++)
            length += put_rcpt(session->head + length, head_room - length, each);
        length += (size_t)snprintf(session->head + length, head_room - length, "DATA\r\n");
    }
    say(session, MAIL, length);
}

static const char *date(void) {
    static char text[64];
    static time_t of;
    time_t now = time(NULL);
    if (now != of) {
        struct tm parts;
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &parts));
        of = now;
    }
    return text;
}

static void say_content(struct session *session) {
    static const char end[] = "\r\n.\r\n";
    uint64_t in_line = plan.size % LINE;
    session->tail = end + (in_line == 0 ? 2 : in_line == LINE - 1 ? 1 : 0);
    session->tail_length = strlen(session->tail);
    session->head_length = (size_t)snprintf(
        session->head, head_room,
        "From: <%s>\r\nTo: undisclosed-recipients:;\r\nDate: %s\r\nMessage-Id: <%llx.%llx@%s>\r\n" STAMP_NAME
        "%016llx %016llx\r\n\r\n",
        plan.sender, date(), (unsigned long long)account.start, (unsigned long long)session->message, plan.name,
        (unsigned long long)session->message, (unsigned long long)nanoseconds());
    if (session->head_length >= head_room) quit("an address is too long");
    session->body = plan.size;
    session->written = 0;
    session->phase = DOT;
    flush_output(session);
}

static void say_ehlo(struct session *session) {
    say(session, EHLO, (size_t)snprintf(session->head, head_room, "EHLO %s\r\n", plan.name));
}

static void say_word(struct session *session, enum phase phase, const char *word) {
    say(session, phase, (size_t)snprintf(session->head, head_room, "%s\r\n", word));
}

/* TLS begins; the handshake goes on as far as it can. */
static void secure(struct session *session) {
    wire_secure(&session->wire, context);
    SSL_set_connect_state(session->wire.tls);
    if (ticket) {
        /* A copy: OpenSSL spoils the one it was given as soon as a new ticket comes. */
        SSL_SESSION *copy = SSL_SESSION_dup(ticket);
        SSL_set_session(session->wire.tls, copy);
        SSL_SESSION_free(copy);
    }
    session->length = 0;
    session->phase = SECURING;
}

/* Nothing is in hand: takes the next message if the connection may carry it, else QUIT. */
static void next(struct session *session) {
    if (plan.per_session > 0 && session->carried >= plan.per_session) {
        say_word(session, QUITTING, "QUIT");
    } else {
        session->phase = IDLE;
        put(&idle, session);
    }
}

/* EHLO, and TLS where it is wanted, are done. */
static void ready(struct session *session) {
    session->phase = IDLE;
    if (session->message != nothing) {
        begin_message(session, session->message);
    } else {
        put(&idle, session);
    }
}

static void refused(struct session *session, unsigned code, const char *line) {
    enum phase phase = session->phase;
    if (phase == IDLE) return lost(session, line);
    if (!plan.tolerate) quit("session %u, %s: %s", session->number, names[phase], line);
    if (phase < MAIL) return lost(session, line);
    if (session->message != nothing) done_with_message(session, code);
    if (code == 421) return lost(session, line);
    if (phase == DOT) {
        next(session);
    } else if (plan.pipelining && phase < DATA) {
        /* More replies are to come, perhaps a 354: a new connection is the clear way on. */
        hang_up(session);
        put(&unconnected, session);
    } else {
        say_word(session, RSET, "RSET");
    }
}

static void replied(struct session *session, unsigned code, const char *line) {
    unsigned wanted = session->phase == BANNER || session->phase == STARTING_TLS ? 220
                      : session->phase == DATA                                    ? 354
                                                                                  : 250;
    if (session->phase == QUITTING) {
        hang_up(session);
        put(&unconnected, session);
        return;
    }
    if (session->phase == IDLE || (code != wanted && !(session->phase == RCPT && code == 251))) {
        refused(session, code, line);
        return;
    }
    switch (session->phase) {
    case BANNER: say_ehlo(session); break;
    case EHLO:
        if (plan.security != STARTTLS || session->wire.tls) {
            ready(session);
        } else if (!session->starttls) {
            quit("session %u: EHLO does not offer STARTTLS", session->number);
        } else {
            say_word(session, STARTING_TLS, "STARTTLS");
        }
        break;
    case STARTING_TLS: secure(session); break;
    case MAIL:
        session->phase = RCPT;
        session->answered = 0;
        if (!plan.pipelining) say(session, RCPT, put_rcpt(session->head, head_room, session->answered));
        break;
    case RCPT:
        if (++session->answered == plan.recipients) {
            session->phase = DATA;
            if (!plan.pipelining) say_word(session, DATA, "DATA");
        } else if (!plan.pipelining) {
            say(session, RCPT, put_rcpt(session->head, head_room, session->answered));
        }
        break;
    case DATA: say_content(session); break;
    case DOT:
        done_with_message(session, code);
        next(session);
        break;
    case RSET: next(session); break;
    default: break;
    }
}

/* One line of a reply, its end taken off. */
static void line_read(struct session *session, char *line) {
    size_t length = strlen(line);
    if (length < 3 || !isdigit(line[0]) || !isdigit(line[1]) || !isdigit(line[2]))
        quit("session %u, %s: this is no reply: '%s'", session->number, names[session->phase], line);
    if (session->phase == EHLO && length >= 12 && strcasecmp(line + 4, "STARTTLS") == 0) session->starttls = 1;
    if (line[3] == '-') return;
    replied(session, (unsigned)strtoul((char[]){line[0], line[1], line[2], 0}, NULL, 10), line);
}

/* Handles all whole lines of the input. */
static void lines_read(struct session *session) {
    size_t from = 0;
    char *end;
    while (session->phase > CONNECTING && session->phase != SECURING &&
           (end = memchr(session->input + from, '\n', session->length - from))) {
        size_t next_line = (size_t)(end - session->input) + 1;
        *end = 0;
        if (end > session->input + from && end[-1] == '\r') end[-1] = 0;
        line_read(session, session->input + from);
        from = next_line;
        if (from > session->length) return; /* TLS or a new connection has begun with an empty input */
    }
    memmove(session->input, session->input + from, session->length - from);
    session->length -= from;
}

void session_woken(struct session *session, uint32_t events) {
    if (session->phase == CONNECTING) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(session->wire.socket, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error) return lost(session, strerror(error));
        if (!(events & EPOLLOUT)) return;
        session->phase = BANNER;
        if (plan.security == IMPLICIT) secure(session);
    }
    for (;;) {
        if (session->phase == SECURING) {
            int done = wire_handshake(&session->wire);
            if (done == WIRE_AGAIN) return;
            if (done != 1) return lost(session, wire_fault());
            session->phase = BANNER;
            if (plan.security == STARTTLS) say_ehlo(session);
        }
        if (!flush_output(session)) return lost(session, wire_fault());
        if (session->length == INPUT - 1) quit("session %u: a line without an end", session->number);
        size_t room = INPUT - 1 - session->length;
        ssize_t got = wire_read(&session->wire, session->input + session->length, room);
        if (got == WIRE_AGAIN) return;
        if (got == WIRE_ENDED) return lost(session, "the other side has closed");
        if (got < 0) return lost(session, wire_fault());
        session->length += (size_t)got;
        int socket = session->wire.socket;
        lines_read(session);
        if (session->wire.socket != socket || session->phase <= CONNECTING) return;
        if (!session->wire.tls && (size_t)got < room && !(events & EPOLLRDHUP)) return;
    }
}

static void begin_message(struct session *session, uint64_t number) {
    session->message = number;
    if (session->phase == UNCONNECTED) return dial(session);
    session->carried++;
    say_envelope(session);
}

/* Takes a session out of a list, NULL when there is none. */
static struct session *take(struct list *list) {
    if (list->count == 0) return NULL;
    return list->sessions[--list->count];
}

void sessions_take(uint64_t due) {
    while (account.begun < due) {
        struct session *session = take(&idle);
        if (!session) session = take(&unconnected);
        if (!session) break;
        struct sent *message = &account.messages[account.begun];
        message->sequence = account.begun;
        if (!message->due) message->due = nanoseconds();
        begin_message(session, account.begun++);
    }
    if (due - account.begun > account.most_waiting) account.most_waiting = due - account.begun;
}

void sessions_connect(void) {
    for (struct session *session; (session = take(&unconnected));) dial(session);
}

uint64_t sessions_idle(void) { return idle.count; }

uint64_t sessions_leave(void) {
    for (struct session *session; (session = take(&idle));) say_word(session, QUITTING, "QUIT");
    return open_connections;
}

const char *sessions_states(void) {
    static char text[600];
    uint64_t counts[PHASES] = {0};
    size_t length = 0;
    for (uint64_t each = 0; each < plan.sessions; each++) counts[all[each].phase]++;
    for (int each = 0; each < PHASES; each++)
        if (counts[each] > 0 && length < sizeof text)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%llu in %s", length ? ", " : "",
                                       (unsigned long long)counts[each], names[each]);
    return text;
}
