/* One connection as source and sink see it: a socket that never blocks, in the clear or under TLS.
 *
 * Both are waited for edge-triggered and once for all, so that a message costs no epoll_ctl: whoever is woken goes on
 * until WIRE_AGAIN.
 */
#ifndef WIRE_H
#define WIRE_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What reading and writing return instead of a number of octets. */
enum { WIRE_ENDED = 0, WIRE_AGAIN = -1, WIRE_BROKEN = -2 };

struct wire {
    int socket; /* -1: none */
    SSL *tls;   /* NULL: in the clear */
};

/* An address and a port; `length` is what bind and connect want to know. */
struct place {
    struct sockaddr_storage address;
    socklen_t length;
};

/* Reads up to `room` octets. */
ssize_t wire_read(struct wire *wire, void *into, size_t room);
/* Writes what it can of the parts; at most 16 KB at a time under TLS. After WIRE_AGAIN the same octets must follow. */
ssize_t wire_write(struct wire *wire, const struct iovec *parts, int count);
/* Puts TLS over the connection; wire_handshake does the rest. */
void wire_secure(struct wire *wire, SSL_CTX *context);
/* 1 when TLS stands, else WIRE_AGAIN or WIRE_BROKEN. */
int wire_handshake(struct wire *wire);
/* Closes; `abruptly` by RST, which leaves no TIME_WAIT behind, as smtp-source does. */
void wire_close(struct wire *wire, int abruptly);
/* Why the last call said WIRE_BROKEN. */
const char *wire_fault(void);

/* Reads ADDRESS:PORT or [IPV6]:PORT; ends the program with a clear word when it is neither. */
struct place place_of(const char *text);
int place_port(const struct place *place);
/* The same address with a number added to it, the port kept. */
struct place place_after(struct place place, uint32_t steps);

/* A number from `least` to `most`; ends the program when the text is something else. */
uint64_t number_of(const char *option, const char *text, uint64_t least, uint64_t most);
/* Nanoseconds of the clock that source and sink of one machine share (CLOCK_MONOTONIC). */
int64_t nanoseconds(void);
/* Lets the process open as many sockets as the system grants; ends it when they are fewer than `wanted`. */
void allow_sockets(uint64_t wanted);
/* Prints `NAME: text` on standard error and ends with 1. */
noreturn void quit(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line in the header of a message, which tells the sink what it is: sequence number and the time that the source
 * began its content, in nanoseconds, both as 16 hexadecimal digits. */
#define STAMP_NAME "X-Load-Stamp: "
enum { STAMP_DIGITS = 16, STAMP_LENGTH = sizeof STAMP_NAME - 1 + STAMP_DIGITS + 1 + STAMP_DIGITS };

/* Records of source and sink; files of them have the machine's own byte order. Times are `nanoseconds`, 0: never. */
struct sent {
    uint64_t sequence;
    int64_t due, dot, replied; /* when it should have begun; when its last octet was written; when the reply came */
    uint64_t code;             /* of the reply, or of the refusal before it; 0: the connection broke */
};
struct arrived {
    uint64_t sequence;
    int64_t begun, time; /* as in the stamp; when the final dot was read */
};

#endif
