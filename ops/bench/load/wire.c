#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char fault[300];

const char *wire_fault(void) { return fault; }

static int broken(const char *what) {
    snprintf(fault, sizeof fault, "%s: %s", what, strerror(errno));
    return WIRE_BROKEN;
}

/* What OpenSSL's answer means for the caller. */
static int tls_answer(struct wire *wire, int result, const char *what) {
    switch (SSL_get_error(wire->tls, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return WIRE_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return WIRE_ENDED;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        if (errno == 0) return WIRE_ENDED;
        return broken(what);
    default: {
        char reason[200];
        unsigned long error = ERR_get_error();
        int ended = ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
        ERR_error_string_n(error, reason, sizeof reason);
        snprintf(fault, sizeof fault, "%s: %s", what, reason);
        ERR_clear_error();
        return ended ? WIRE_ENDED : WIRE_BROKEN;
    }
    }
}

ssize_t wire_read(struct wire *wire, void *into, size_t room) {
    if (!wire->tls) {
        ssize_t got = recv(wire->socket, into, room, 0);
        if (got >= 0) return got;
        return errno == EAGAIN || errno == EINTR ? WIRE_AGAIN : broken("read");
    }
    errno = 0;
    int got = SSL_read(wire->tls, into, (int)room);
    return got > 0 ? got : tls_answer(wire, got, "TLS read");
}

ssize_t wire_write(struct wire *wire, const struct iovec *parts, int count) {
    if (!wire->tls) {
        struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
        ssize_t put = sendmsg(wire->socket, &message, MSG_NOSIGNAL);
        if (put >= 0) return put;
        return errno == EAGAIN || errno == EINTR ? WIRE_AGAIN : broken("write");
    }
    static char record[16384];
    size_t length = 0;
    for (int each = 0; each < count && length < sizeof record; each++) {
        size_t part = parts[each].iov_len;
        if (part > sizeof record - length) part = sizeof record - length;
        memcpy(record + length, parts[each].iov_base, part);
        length += part;
    }
    errno = 0;
    int put = SSL_write(wire->tls, record, (int)length);
    if (put > 0) return put;
    int answer = tls_answer(wire, put, "TLS write");
    if (answer != WIRE_ENDED) return answer;
    snprintf(fault, sizeof fault, "TLS write: the other side has closed");
    return WIRE_BROKEN;
}

void wire_secure(struct wire *wire, SSL_CTX *context) {
    wire->tls = SSL_new(context);
    if (!wire->tls || SSL_set_fd(wire->tls, wire->socket) != 1) quit("no memory for TLS");
    SSL_set_mode(wire->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
}

int wire_handshake(struct wire *wire) {
    errno = 0;
    int done = SSL_do_handshake(wire->tls);
    if (done == 1) return 1;
    int answer = tls_answer(wire, done, "TLS handshake");
    if (answer != WIRE_ENDED) return answer;
    snprintf(fault, sizeof fault, "TLS handshake: the other side has closed");
    return WIRE_BROKEN;
}

void wire_close(struct wire *wire, int abruptly) {
    if (wire->socket < 0) return;
    if (wire->tls) {
        /* Without this OpenSSL would not resume the session: it takes an end without a word for an attack. */
        SSL_set_quiet_shutdown(wire->tls, abruptly);
        SSL_shutdown(wire->tls);
        ERR_clear_error();
        SSL_free(wire->tls);
    }
    if (abruptly) {
        struct linger none = {.l_onoff = 1, .l_linger = 0};
        setsockopt(wire->socket, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    close(wire->socket);
    *wire = (struct wire){.socket = -1};
}

struct place place_of(const char *text) {
    char host[64];
    const char *colon = strrchr(text, ':'), *from = text;
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length >= 2 && *from == '[' && from[length - 1] == ']') {
        from++;
        length -= 2;
    }
    if (!colon || length == 0 || length >= sizeof host) quit("'%s' is not ADDRESS:PORT", text);
    memcpy(host, from, length);
    host[length] = 0;
    uint16_t port = htons((uint16_t)number_of("a port", colon + 1, 0, 65535));
    struct place place = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in *four = (struct sockaddr_in *)&place.address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&place.address;
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = port;
    } else if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = port;
        place.length = sizeof *six;
    } else {
        quit("'%s' is no address", host);
    }
    return place;
}

int place_port(const struct place *place) {
    /* The port lies at the same place in both kinds of address. */
    return ntohs(((const struct sockaddr_in *)&place->address)->sin_port);
}

struct place place_after(struct place place, uint32_t steps) {
    uint32_t low;
    void *last = place.address.ss_family == AF_INET
                     ? (void *)&((struct sockaddr_in *)&place.address)->sin_addr
                     : (void *)((char *)&((struct sockaddr_in6 *)&place.address)->sin6_addr + 12);
    memcpy(&low, last, sizeof low);
    low = htonl(ntohl(low) + steps);
    memcpy(last, &low, sizeof low);
    return place;
}

uint64_t number_of(const char *option, const char *text, uint64_t least, uint64_t most) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value < least || value > most)
        quit("%s: '%s' is not a number from %llu to %llu", option, text, (unsigned long long)least,
             (unsigned long long)most);
    return value;
}

int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void allow_sockets(uint64_t wanted) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted + 16)
        quit("%llu connections need that many files, and the system grants %llu (ulimit -n)",
             (unsigned long long)wanted, (unsigned long long)limit.rlim_cur);
}

noreturn void quit(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fflush(stdout);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(1);
}
