/* The parts of the source: its plan, its sessions, its account. */
#ifndef SOURCE_H
#define SOURCE_H

#include "wire.h"

enum security { CLEAR, STARTTLS, IMPLICIT };

/* What the command line asks for. */
struct plan {
    struct place to, from_address; /* the latter has no length when the system is to choose */
    uint64_t from_addresses;       /* how many, upward from the first */
    uint64_t sessions, messages, per_session, size, recipients, domains, seed;
    double rate;                   /* messages a second; 0: closed loop */
    int even, pipelining, tolerate, fresh_tls;
    enum security security;
    int64_t limit;                 /* nanoseconds */
    const char *sender, *recipient, *name, *record;
};
extern struct plan plan;

/* What has happened so far. */
struct account {
    struct sent *messages;            /* plan.messages of them, by number */
    uint64_t begun, accepted, refused, broken;
    uint64_t connections, resumed, most_waiting;
    int64_t start, last;              /* before the first connection; at the last reply to a message */
    uint64_t codes[1000];             /* refusals by their code */
};
extern struct account account;

static inline uint64_t finished(void) { return account.accepted + account.refused + account.broken; }

/* Prints the account as one line of JSON and writes the record if there is to be one. */
void report(void);

struct session;
/* Makes `plan.sessions` of them, none connected. */
void sessions_begin(int epoll);
/* Connects all that are not, without a message. */
void sessions_connect(void);
/* How many are connected and free. */
uint64_t sessions_idle(void);
/* Gives messages up to `due` (a number, not included) to sessions that are free. */
void sessions_take(uint64_t due);
/* Goes on where epoll says that something happened. */
void session_woken(struct session *session, uint32_t events);
/* Connects again what was lost and has waited; returns when the next one may, or INT64_MAX. */
int64_t sessions_retry(int64_t now);
/* Says QUIT on all that are free; returns how many connections are still open. */
uint64_t sessions_leave(void);
/* In which phases sessions are, for an error message. */
const char *sessions_states(void);

#endif
