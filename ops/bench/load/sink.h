/* The parts of the sink: its duty, its counts, its connections. */
#ifndef SINK_H
#define SINK_H

#include "wire.h"

enum mode { TAKE, REFUSE, CLOSE, HANG, BUSY, LATER, NEVER, FULL };

struct duty {
    uint64_t connections;
    enum mode mode;
    int implicit;
    int64_t delay; /* nanoseconds before the reply to the final dot */
    const char *only_domains, *record;
    SSL_CTX *tls; /* NULL: not offered */
};
extern struct duty duty;

/* As in the file that others read while it runs. `octets` are those of content, dots and all. */
struct counters {
    uint64_t messages, recipients, connections, open, secured, resumed, refused, octets;
};
extern struct counters *counters;

struct connection;
void prepare_receiving(void);
void begin_receiving(int epoll, int socket);
void receive(struct connection *connection, uint32_t events);
/* Sends delayed replies whose time has come; returns when the next one's comes, or INT64_MAX. */
int64_t say_what_is_due(int64_t now);
/* Writes the record of arrivals, if there is to be one. */
void write_arrivals(void);

#endif
