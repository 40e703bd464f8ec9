#define _GNU_SOURCE 1 // memrchr
#include "stream/tcp_internal.h"

#include "codec/types.h"
#include "stream/push_line.h"
#include "stream/text_write.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    NUMBER_LINE_BYTES = 48,
    ERROR_LINE_BYTES = 6 * TCP_MESSAGE_BYTES_MAX + 128,
    TLS_FIRST_BYTE = 0x16, // of a handshake
};

// ---- Answers ------------------------------------------------------------------------------------

static void waits_leave(tcp_connection *c) {
    if (!c->waits) return;
    *(c->waits_before ? &c->waits_before->waits_next : &c->server->waiting) = c->waits_next;
    if (c->waits_next) c->waits_next->waits_before = c->waits_before;
    c->waits_next = c->waits_before = NULL;
    c->waits = false;
}

static void waits_join(tcp_connection *c) {
    if (c->waits) return;
    c->waits_next = c->server->waiting;
    if (c->waits_next) c->waits_next->waits_before = c;
    c->server->waiting = c;
    c->waits = true;
}

static ssize_t bytes_send(tcp_connection *c, const void *from, size_t bytes) {
    return c->tls ? csti_tls_send(c->tls, from, bytes) : send(c->fd, from, bytes, MSG_NOSIGNAL);
}

// Sends what it can; the rest goes when there is room.
void csti_tcp_write(tcp_connection *c) {
    csti_buffer *out = &c->out;

    while (c->out_sent < out->used_bytes) {
        const ssize_t sent = bytes_send(c, out->bytes + c->out_sent, out->used_bytes - c->out_sent);

        if (sent > 0) {
            c->out_sent += (size_t)sent;
            c->out_ns = c->server->now_ns;
        } else if (sent < 0 && errno == EINTR) {
            continue;
        } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (c->out_ns == 0) c->out_ns = c->server->now_ns;
            // TLS may have to read first: then it is tried again behind that.
            if (!c->tls || csti_tls_waits_to_write(c->tls))
                csti_tcp_events(c, c->events | EPOLLOUT);
            return;
        } else { // it is gone: nobody can be told
            c->out_sent = out->used_bytes;
            c->state = TCP_DRAINS;
            c->deadline_ns = c->server->now_ns;
        }
    }
    csti_buffer_reset(out);
    c->out_sent = 0;
    c->out_ns = 0;
    csti_tcp_events(c, c->events & ~(uint32_t)EPOLLOUT);
    // Closing at once would reset the connection, and what was said last with it.
    if (c->state != TCP_DRAINS) return;
    if (c->tls) csti_tls_end(c->tls);
    (void)shutdown(c->fd, SHUT_WR);
}

// A line that does not fit the memory is as one that does not get through: the client asks again.
static void say(tcp_connection *c, const char *text, size_t bytes) {
    if (csti_buffer_append(&c->out, text, bytes, NULL) == CST_OK) csti_tcp_write(c);
}

static void say_number(tcp_connection *c, const char *name, uint64_t number) {
    char text[NUMBER_LINE_BYTES];
    char *at = text + snprintf(text, sizeof text, "{\"%s\":", name);

    at = csti_u64_text(at, number);
    *at++ = '}';
    *at++ = '\n';
    say(c, text, (size_t)(at - text));
}

// One answer is under way at a time: the next one says all that became due meanwhile.
static void ack(tcp_connection *c) {
    if (c->due <= c->acked || c->out.used_bytes > 0 || c->state == TCP_DRAINS) return;
    c->acked = c->due;
    csti_metric_add(c->server->gauges.acks, 1);
    say_number(c, "ack", c->acked);
}

void csti_tcp_mark(tcp_connection *c, uint64_t position, uint64_t seq) {
    tcp_mark *last = c->marks_count > 0 ? &c->marks[c->marks_count - 1] : NULL;

    if (c->state == TCP_DRAINS) return;
    // Without room for another, the last one's rows are answered with these.
    if (last && (last->position == position || c->marks_count == TCP_MARKS_MAX))
        *last = (tcp_mark){position, seq};
    else
        c->marks[c->marks_count++] = (tcp_mark){position, seq};
    waits_join(c);
}

// What it waited for is over.
static void settle(tcp_connection *c) {
    if (c->marks_count > 0) return;
    waits_leave(c);
    if (c->state != TCP_FAILS && (c->state != TCP_ENDS || c->out.used_bytes > 0)) return;
    c->deadline_ns = c->server->now_ns; // its time has come: csti_tcp_look
    c->server->timers_ns = c->server->now_ns;
}

void csti_tcp_answer(tcp_connection *c, uint64_t limit) {
    uint32_t done = 0;

    while (done < c->marks_count && c->marks[done].position < limit) {
        if (c->marks[done].seq > c->due) c->due = c->marks[done].seq;
        done++;
    }
    c->marks_count -= done;
    if (done > 0) memmove(c->marks, c->marks + done, c->marks_count * sizeof *c->marks);
    ack(c);
    settle(c);
}

// ---- Ends ---------------------------------------------------------------------------------------

static void held_free(tcp_connection *c) {
    c->server->held_bytes -= c->held_capacity;
    free(c->held);
    c->held = NULL;
    c->held_bytes = c->held_capacity = 0;
}

// Its rows stay; it is told of nothing any more.
static void producer_leave(tcp_connection *c) {
    csti_tcp_server *server = c->server;
    csti_producer *producer = c->producer;

    if (!producer) return;
    c->producer = NULL;
    producer->holder = NULL;
    if (producer == &c->nobody)
        csti_push_giver_leaves(server->batches, c->split, producer);
    else if (producer->seq == 0)
        csti_producers_remove(server->options.producers, producer);
}

void csti_tcp_close(tcp_connection *c) {
    csti_tcp_server *server = c->server;

    waits_leave(c);
    producer_leave(c);
    held_free(c);
    csti_buffer_release(&c->out);
    free(c->failure);
    if (server->stalled == c) server->stalled = NULL;
    csti_tls_close(c->tls);
    (void)close(c->fd); // epoll forgets it
    csti_tcp_slot_free(c);
    free(c);
}

static void error_line(char out[ERROR_LINE_BYTES], cst_code code, uint64_t seq,
                       const char *message) {
    size_t bytes = strnlen(message, TCP_MESSAGE_BYTES_MAX);
    char *at =
        out + snprintf(out, ERROR_LINE_BYTES,
                       "{\"error\":\"%s\",\"seq\":%" PRIu64 ",\"message\":", cst_code_name(code),
                       seq);

    bytes = csti_utf8_error_at((const uint8_t *)message, bytes); // it may have been cut
    at = csti_json_text(at, message, bytes);
    memcpy(at, "}\n", 3);
}

void csti_tcp_fails_now(tcp_connection *c) {
    const char *text = c->failure;

    waits_leave(c);
    producer_leave(c);
    c->marks_count = 0;
    c->state = TCP_DRAINS;
    c->deadline_ns = c->server->now_ns + CSTI_TCP_DRAIN_NS;
    if (text)
        say(c, text, strlen(text));
    else
        csti_tcp_write(c);
    csti_tcp_events(c, c->events | EPOLLIN);
}

void csti_tcp_refuse(tcp_connection *c, cst_code code, uint64_t seq, const char *message) {
    char text[ERROR_LINE_BYTES];

    if (c->state == TCP_FAILS || c->state == TCP_DRAINS) return;
    csti_tcp_count_refusal(c->server, code);
    error_line(text, code, seq, message);
    c->failure = strdup(text); // without memory it is closed without a word
    c->state = TCP_FAILS;
    c->deadline_ns = c->server->now_ns + CSTI_TCP_ANSWER_NS;
    held_free(c);
    csti_tcp_events(c, c->events & ~(uint32_t)EPOLLIN);
    c->server->timers_ns = c->server->now_ns; // its rows are on their way to the log until then
}

void csti_tcp_refuse_now(tcp_connection *c, cst_code code, uint64_t seq, const char *message) {
    csti_tcp_refuse(c, code, seq, message);
    if (c->state == TCP_FAILS) csti_tcp_fails_now(c);
}

// ---- Lines --------------------------------------------------------------------------------------

// A newer connection has the producer from now on.
static cst_code producer_take(tcp_connection *c, const csti_push_line *line, cst_err *err) {
    csti_tcp_server *server = c->server;
    csti_producers *producers = server->options.producers;
    csti_producer *producer = csti_producers_find(producers, line->id, line->id_bytes);
    tcp_connection *older = producer ? producer->holder : NULL;

    if (older) {
        producer->holder = NULL;
        older->producer = NULL;
        csti_tcp_refuse_now(older, CST_PRODUCER_REPLACED, 0,
                            "a newer connection sends for this producer");
    }
    if (!producer) producer = csti_producers_add(producers, line->id, line->id_bytes);
    if (!producer) return cst_fail(err, CST_NO_MEMORY, "a producer");
    producer->holder = c;
    c->producer = producer;
    c->split = csti_tcp_split_of(server, line->id, line->id_bytes);
    say_number(c, "next", producer->seq + 1);
    if (producer->placed > 0) csti_tcp_mark(c, producer->position, producer->placed);
    return CST_OK;
}

static cst_code row_order_fail(const tcp_connection *c, uint64_t seq, cst_err *err) {
    const csti_producer *producer = c->producer;
    const uint32_t bytes = producer->id_bytes;

    if (bytes > 0 && producer->seq == 0)
        return cst_fail(err, CST_PRODUCER_EXPIRED,
                        "producer %.*s is not known here: its rows begin at 1, not at %" PRIu64
                        ". If rows of it were acknowledged before, it was forgotten since",
                        (int)bytes, producer->id, seq);
    return cst_fail(err, CST_PRODUCER_GAP, "row %" PRIu64 "%s%.*s: %" PRIu64 " was expected", seq,
                    bytes ? " of producer " : "", (int)bytes, producer->id, producer->seq + 1);
}

// A row that stands in the columns, behind the batch's last one.
static cst_code row_take(tcp_connection *c, const csti_push_line *line, size_t bytes,
                         bool *counts_out, cst_err *err) {
    csti_tcp_server *server = c->server;
    csti_producer *producer = c->producer;
    const csti_push_id id = {producer->id, producer->id_bytes};
    cst_code code;

    if (line->seq <= producer->seq && id.bytes > 0) { // it came before
        csti_metric_add(server->gauges.repeated, 1);
        if (producer->placed > c->due) csti_tcp_mark(c, producer->position, producer->placed);
        return CST_OK;
    }
    if (line->seq != producer->seq + 1) return row_order_fail(c, line->seq, err);
    code = csti_push_row_end(server->batches, c->split, bytes, id, line->seq, producer, err);
    if (code != CST_OK) return code;
    *counts_out = true;
    csti_metric_add(server->gauges.rows, 1);
    if (id.bytes > 0)
        csti_producers_raise(server->options.producers, producer, line->seq);
    else
        producer->seq = line->seq;
    return CST_OK;
}

static void nobody_become(tcp_connection *c) {
    c->nobody.holder = c;
    c->producer = &c->nobody;
}

static cst_code said_take(tcp_connection *c, const csti_push_line *line, size_t bytes,
                          bool *counts_out, cst_err *err) {
    if (line->said == CSTI_PUSH_PRODUCER && c->producer)
        return cst_fail(err, CST_SOURCE_RECORD, "a producer is said in the first line");
    if (c->state == TCP_NEW) c->state = TCP_OPEN;
    if (line->said == CSTI_PUSH_PRODUCER) return producer_take(c, line, err);
    if (!c->producer) nobody_become(c);
    return row_take(c, line, bytes, counts_out, err);
}

// Whether the line is the first row of a producer, and as many are known as there may be.
static bool needs_room(const tcp_connection *c, const csti_push_line *line) {
    const csti_tcp_server_options *options = &c->server->options;

    return line->said == CSTI_PUSH_ROW && line->seq == 1 && c->producer &&
           c->producer != &c->nobody && c->producer->seq == 0 &&
           options->producers->count >= options->producers_max;
}

// Parses it to where its row would stand.
static cst_code line_read(tcp_connection *c, const char *at, size_t bytes, csti_push_line *line,
                          csti_row_columns **columns_out, uint32_t *row_out, cst_err *err) {
    csti_tcp_server *server = c->server;
    csti_text text = {.at = at, .end = at + bytes};
    cst_code code =
        csti_push_row_begin(server->batches, c->split, bytes, columns_out, row_out, err);

    *line = (csti_push_line){.said = CSTI_PUSH_NOTHING};
    if (code != CST_OK) return code;
    code = csti_push_line_read(&server->json, &text, *columns_out, *row_out, line, err);
    if (code != CST_OK) csti_columns_row_undo(*columns_out, *row_out);
    return code;
}

// One whole line. AGAIN, WAL_FULL: nothing of it was done.
static cst_code line_take(tcp_connection *c, const char *at, size_t bytes, uint64_t *seq_out,
                          cst_err *err) {
    csti_row_columns *columns = NULL;
    csti_push_line line;
    uint32_t row = 0;
    bool counts = false;
    cst_code code = line_read(c, at, bytes, &line, &columns, &row, err);

    *seq_out = line.seq;
    if (code == CST_OK && needs_room(c, &line)) {
        // The batch may go to the log meanwhile, and the row's place with it.
        csti_columns_row_undo(columns, row);
        code = csti_tcp_producer_room(c->server, err);
        if (code == CST_OK) code = line_read(c, at, bytes, &line, &columns, &row, err);
    }
    if (code != CST_OK || line.said == CSTI_PUSH_NOTHING) return code;
    code = said_take(c, &line, bytes, &counts, err);
    if (!counts) csti_columns_row_undo(columns, row);
    return code;
}

// Whole lines; returns behind those that were taken. *code_out: AGAIN, WAL_FULL: the next one
// waits; else the connection may be at its end.
static const char *lines_take(tcp_connection *c, const char *at, const char *end,
                              cst_code *code_out, cst_err *err) {
    const uint32_t line_bytes_max = c->server->options.line_bytes_max;
    cst_err why; // half a KiB: of each line only its beginning is cleared

    *code_out = CST_OK;
    while (at < end && c->state != TCP_FAILS && c->state != TCP_DRAINS) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        const size_t bytes = (size_t)(line_end - at) + 1;
        uint64_t seq = 0;
        cst_code code;

        assert(line_end);
        why.code = CST_OK;
        why.text[0] = '\0';
        code = bytes > line_bytes_max
                   ? cst_fail(&why, CST_LIMIT, "a line has more than %" PRIu32 " bytes",
                              line_bytes_max)
                   : line_take(c, at, bytes, &seq, &why);
        if (code == CST_AGAIN || code == CST_WAL_FULL || code == CST_IO || code == CST_STORE_FULL) {
            *code_out = code;
            if (err) *err = why;
            return at;
        }
        if (code != CST_OK) csti_tcp_refuse(c, code, seq, why.text);
        at = line_end + 1;
    }
    return end;
}

// ---- Bytes --------------------------------------------------------------------------------------

static bool held_grow(tcp_connection *c, size_t bytes) {
    csti_tcp_server *server = c->server;
    size_t capacity = c->held_capacity ? c->held_capacity : 1024;
    char *held;

    if (c->held_bytes + bytes + CSTI_TEXT_SLACK_BYTES <= c->held_capacity) return true;
    while (capacity < c->held_bytes + bytes + CSTI_TEXT_SLACK_BYTES) capacity *= 2;
    if (server->held_bytes + (capacity - c->held_capacity) > TCP_HELD_BYTES_MAX) {
        csti_tcp_refuse(c, CST_LIMIT, 0, "too many lines are half here: send whole ones");
        return false;
    }
    held = realloc(c->held, capacity);
    if (!held) {
        csti_tcp_refuse(c, CST_NO_MEMORY, 0, "no memory for a line");
        return false;
    }
    server->held_bytes += capacity - c->held_capacity;
    c->held = held;
    c->held_capacity = capacity;
    return true;
}

// What is left over: a line that is not whole, or whole ones that wait.
static void rest_keep(tcp_connection *c, const char *at, const char *end, bool is_held,
                      bool waits) {
    const size_t bytes = (size_t)(end - at);

    if (c->state == TCP_FAILS || c->state == TCP_DRAINS) return;
    if (bytes == 0) {
        held_free(c);
        if (c->state == TCP_OPEN) c->deadline_ns = 0;
        return;
    }
    if (is_held) {
        memmove(c->held, at, bytes);
    } else {
        c->held_bytes = 0;
        if (!held_grow(c, bytes)) return;
        memcpy(c->held, at, bytes);
    }
    c->held_bytes = bytes;
    if (waits) { // not its fault
        c->deadline_ns = c->state == TCP_NEW ? c->server->now_ns + CSTI_TCP_FIRST_LINE_NS : 0;
    } else if (c->state == TCP_OPEN) {
        c->deadline_ns = c->server->now_ns + CSTI_TCP_LINE_NS;
    }
}

// New bytes behind what is held; the text is a whole one up to its last line's end.
static cst_code text_take(tcp_connection *c, const char *from, size_t bytes, size_t known,
                          cst_err *err) {
    const char *const end = from + bytes;
    const char *last = memrchr(from + known, '\n', bytes - known);
    const bool is_held = from == c->held;
    const char *at = from;
    cst_code code = CST_OK;

    if (last) at = lines_take(c, from, last + 1, &code, err);
    if (!last && known > 0) { // the line goes on, and its time runs
        c->held_bytes = bytes;
    } else {
        rest_keep(c, at, end, is_held, code != CST_OK);
    }
    if (code == CST_OK && c->state != TCP_FAILS && c->state != TCP_DRAINS &&
        c->held_bytes >= c->server->options.line_bytes_max) {
        char why[64];

        (void)snprintf(why, sizeof why, "a line has more than %" PRIu32 " bytes",
                       c->server->options.line_bytes_max);
        csti_tcp_refuse(c, CST_LIMIT, 0, why);
    }
    return code;
}

void csti_tcp_input_end(tcp_connection *c) {
    held_free(c);
    csti_tcp_events(c, c->events & ~(uint32_t)EPOLLIN);
    c->state = TCP_ENDS;
    c->deadline_ns = c->server->now_ns + CSTI_TCP_ENDS_NS;
    settle(c);
}

// Closes, drains or goes on; what cannot be read is over. True: it is to be read again later.
static bool received(tcp_connection *c, ssize_t bytes) {
    if (bytes > 0) {
        csti_metric_add(c->server->gauges.bytes, (uint64_t)bytes);
        return true;
    }
    if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
    if (bytes < 0 || c->state == TCP_DRAINS)
        csti_tcp_close(c); // reset, or drained
    else
        csti_tcp_input_end(c);
    return false;
}

// Where bytes go, so that the text begins with what is held; NULL: there is no room for so many.
static char *room_of(tcp_connection *c, size_t bytes_max) {
    if (c->held_bytes == 0) return c->server->chunk;
    return held_grow(c, bytes_max) ? c->held + c->held_bytes : NULL;
}

static cst_code tls_read(tcp_connection *c, size_t bytes_max, cst_err *err) {
    const size_t known = c->held_bytes;
    size_t bytes;
    char *to;

    if (!csti_tcp_handshake(c)) return CST_OK;
    to = room_of(c, bytes_max + CSTI_TLS_RECORD_BYTES);
    if (!to) return CST_OK;
    bytes = csti_tcp_tls_receive(c, to, bytes_max);
    if (bytes == 0) return CST_OK;
    csti_metric_add(c->server->gauges.bytes, bytes);
    return text_take(c, to - known, known + bytes, known, err);
}

// A client that speaks TLS here would wait for an answer, and does not say why.
static bool is_tls(const tcp_connection *c, const char *text) {
    return c->state == TCP_NEW && c->held_bytes == 0 && text[0] == TLS_FIRST_BYTE;
}

cst_code csti_tcp_read(tcp_connection *c, size_t bytes_max, cst_err *err) {
    const size_t known = c->held_bytes;
    ssize_t bytes;
    char *to;

    if (c->state == TCP_ENDS || c->state == TCP_FAILS) return CST_OK;
    if (c->tls && c->state != TCP_DRAINS) return tls_read(c, bytes_max, err);
    to = room_of(c, bytes_max);
    if (!to) return CST_OK;
    bytes = recv(c->fd, to, bytes_max, 0);
    if (!received(c, bytes) || c->state == TCP_DRAINS) return CST_OK;
    if (is_tls(c, to)) {
        csti_tcp_refuse_now(c, CST_TLS, 0, "TLS, and [source] has no tls_cert: rows go in plain");
        return CST_OK;
    }
    return text_take(c, to - known, known + (size_t)bytes, known, err);
}

cst_code csti_tcp_resume(tcp_connection *c, cst_err *err) {
    return text_take(c, c->held, c->held_bytes, 0, err);
}

// ---- Time ---------------------------------------------------------------------------------------

void csti_tcp_look(tcp_connection *c) {
    const uint64_t now_ns = c->server->now_ns;

    // What came before its end may still wait for room in the log.
    if (c->tls && !c->server->blocked) csti_tcp_tls_look(c);
    ack(c);
    settle(c);
    if (c->out_ns != 0 && now_ns - c->out_ns >= CSTI_TCP_OUT_NS) {
        csti_tcp_count_refusal(c->server, CST_DEADLINE); // it reads nothing: it cannot be told
        csti_tcp_close(c);
        return;
    }
    if (c->deadline_ns == 0 || now_ns < c->deadline_ns) return;
    switch (c->state) {
    case TCP_NEW:
        if (c->tls && !csti_tls_is_ready(c->tls)) {
            csti_tcp_tls_fail(c, CSTI_TLS_TIME, "the handshake did not come");
            break;
        }
        csti_tcp_refuse_now(c, CST_DEADLINE, 0, "the first line did not come");
        break;
    case TCP_OPEN:
        csti_tcp_refuse_now(c, CST_DEADLINE, 0, "the rest of a line did not come");
        break;
    case TCP_FAILS:
        csti_tcp_fails_now(c);
        break;
    case TCP_ENDS:
    case TCP_DRAINS:
        csti_tcp_close(c);
        break;
    }
}
