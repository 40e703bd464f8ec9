#include "object/s3_http.h"

#include "base/clock.h"
#include "object/s3_exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLL_MS = 1000,
    WINDOW_UNIT = 1000, // the window counts in thousandths
    SHRINK_NS = 200 * 1000 * 1000,
    NS_PER_MS = 1000 * 1000,
    LATE_NS = 1000 * 1000 * 1000,
    SPARES_MAX = 8, // handles that keep their buffers, up to 1 MiB each, for who comes next
};

struct csti_s3_http {
    CURLM *multi;
    pthread_t thread;
    pthread_mutex_t mutex;
    csti_s3_exchange *queue; // under the mutex, and what follows
    csti_s3_exchange **queue_end;
    bool closing;
    uint32_t window;
    // The loop's.
    csti_s3_exchange *active;
    uint32_t active_count;
    uint64_t shrunk_ns;
    CURL *spares[SPARES_MAX];
    size_t spares_count;
    // Constant.
    csti_s3_http_options options;
    char *ca; // of the options
    char *proxy;
};

// ---- One exchange ------------------------------------------------------------------------------

static void end(csti_s3_exchange *e) {
    csti_s3_http *http = e->http;

    (void)pthread_mutex_lock(&http->mutex);
    e->done = true;
    (void)pthread_cond_signal(&e->ended);
    if (e->watcher) csti_unpark(e->watcher); // still locked: nobody takes the exchange away
    (void)pthread_mutex_unlock(&http->mutex);
}

static void end_without_answer(csti_s3_exchange *e, CURLcode result) {
    e->result = result;
    end(e);
}

static CURL *easy_take(csti_s3_http *http) {
    return http->spares_count > 0 ? http->spares[--http->spares_count] : curl_easy_init();
}

static void easy_give(csti_s3_http *http, CURL *easy, CURLcode result) {
    if (result != CURLE_OK || http->spares_count == SPARES_MAX || !csti_s3_exchange_renew(easy))
        curl_easy_cleanup(easy);
    else
        http->spares[http->spares_count++] = easy;
}

static void begin(csti_s3_http *http, csti_s3_exchange *e, bool unwanted) {
    const uint64_t now_ns = csti_clock_now_ns(csti_clock_real());
    const uint64_t left_ms = e->deadline_ns > now_ns ? (e->deadline_ns - now_ns) / NS_PER_MS : 0;

    if (left_ms == 0 || unwanted) {
        end_without_answer(e, CURLE_OPERATION_TIMEDOUT);
        return;
    }
    e->easy = easy_take(http);
    if (!e->easy || !csti_s3_exchange_prepare(e, &http->options, left_ms) ||
        curl_multi_add_handle(http->multi, e->easy) != CURLM_OK) {
        curl_easy_cleanup(e->easy);
        e->easy = NULL;
        end_without_answer(e, CURLE_OUT_OF_MEMORY);
        return;
    }
    e->next = http->active;
    http->active = e;
    http->active_count++;
}

// Additive increase, multiplicative decrease: several answers to one burst count once.
static void window_adapt(csti_s3_http *http, const csti_s3_exchange *e) {
    const uint64_t now_ns = csti_clock_now_ns(csti_clock_real());
    const uint32_t most = http->options.connections * WINDOW_UNIT;

    (void)pthread_mutex_lock(&http->mutex);
    if (e->status == 503 || e->status == 429) {
        if (now_ns - http->shrunk_ns >= SHRINK_NS) {
            http->window = http->window / 2 > WINDOW_UNIT ? http->window / 2 : WINDOW_UNIT;
            http->shrunk_ns = now_ns;
        }
    } else if (e->status / 100 == 2 && http->window < most) {
        http->window += WINDOW_UNIT * WINDOW_UNIT / http->window;
        if (http->window > most) http->window = most;
    }
    (void)pthread_mutex_unlock(&http->mutex);
}

static void finish(csti_s3_http *http, csti_s3_exchange *e, CURLcode result) {
    for (csti_s3_exchange **at = &http->active; *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            break;
        }
    http->active_count--;
    e->result = e->was_cut && result == CURLE_WRITE_ERROR ? CURLE_OK : result;
    if (e->result == CURLE_OK &&
        curl_easy_getinfo(e->easy, CURLINFO_RESPONSE_CODE, &e->status) != CURLE_OK)
        e->result = CURLE_RECV_ERROR;
    (void)curl_multi_remove_handle(http->multi, e->easy);
    easy_give(http, e->easy, result);
    e->easy = NULL;
    if (e->result == CURLE_OK) window_adapt(http, e);
    end(e);
}

// ---- The loop -----------------------------------------------------------------------------------

// *unwanted_out: it was cancelled while it waited.
static csti_s3_exchange *queue_take(csti_s3_http *http, bool *unwanted_out) {
    csti_s3_exchange *e = NULL;

    (void)pthread_mutex_lock(&http->mutex);
    if (http->queue && (http->active_count < http->window / WINDOW_UNIT || http->closing)) {
        e = http->queue;
        http->queue = e->next;
        if (!http->queue) http->queue_end = &http->queue;
        *unwanted_out = e->cancelled || http->closing;
    }
    (void)pthread_mutex_unlock(&http->mutex);
    return e;
}

// Cancelled, or overdue: what waits inside libcurl for room on a connection has no time-out there.
static csti_s3_exchange *unwanted(csti_s3_http *http, uint64_t now_ns) {
    csti_s3_exchange *e;

    (void)pthread_mutex_lock(&http->mutex);
    for (e = http->active; e; e = e->next)
        if (e->cancelled || now_ns > e->deadline_ns + LATE_NS) break;
    (void)pthread_mutex_unlock(&http->mutex);
    return e;
}

// Exchanges in the queue whose time is over, and those under way that nobody wants any more.
static void sweep(csti_s3_http *http) {
    const uint64_t now_ns = csti_clock_now_ns(csti_clock_real());
    csti_s3_exchange *late = NULL;

    (void)pthread_mutex_lock(&http->mutex);
    for (csti_s3_exchange **at = &http->queue; *at;) {
        csti_s3_exchange *e = *at;

        if (e->deadline_ns > now_ns && !e->cancelled) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        if (!*at) http->queue_end = at;
        e->next = late;
        late = e;
    }
    (void)pthread_mutex_unlock(&http->mutex);
    while (late) {
        csti_s3_exchange *next = late->next;

        end_without_answer(late, CURLE_OPERATION_TIMEDOUT);
        late = next;
    }
    // All of them: what several cancels say may come as one wake.
    for (csti_s3_exchange *e; (e = unwanted(http, now_ns)) != NULL;)
        finish(http, e, CURLE_OPERATION_TIMEDOUT);
}

static void reap(csti_s3_http *http) {
    const CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        csti_s3_exchange *e = NULL;
        const CURLcode result = message->data.result;

        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&e) != CURLE_OK)
            continue;
        finish(http, e, result);
    }
}

static bool has_room(csti_s3_http *http) {
    bool room;

    (void)pthread_mutex_lock(&http->mutex);
    room = http->queue && http->active_count < http->window / WINDOW_UNIT;
    (void)pthread_mutex_unlock(&http->mutex);
    return room;
}

static bool is_over(csti_s3_http *http) {
    bool over;

    (void)pthread_mutex_lock(&http->mutex);
    over = http->closing && !http->queue && http->active_count == 0;
    (void)pthread_mutex_unlock(&http->mutex);
    return over;
}

static void *loop(void *context) {
    csti_s3_http *http = context;
    int running = 0;

    while (!is_over(http)) {
        csti_s3_exchange *e;
        bool unwanted = false;

        sweep(http);
        while ((e = queue_take(http, &unwanted)) != NULL) begin(http, e, unwanted);
        (void)curl_multi_perform(http->multi, &running);
        reap(http);
        // What ended has made room: it is filled before anybody sleeps.
        if (!has_room(http) && !is_over(http))
            (void)curl_multi_poll(http->multi, NULL, 0, POLL_MS, NULL);
    }
    return NULL;
}

// ---- Calls --------------------------------------------------------------------------------------

void csti_s3_http_start(csti_s3_http *http, csti_s3_exchange *e) {
    bool first;

    e->http = http;
    e->result = CURLE_OK;
    e->done = e->cancelled = e->sent = e->too_long = e->was_cut = false;
    e->status = 0;
    e->answer = (csti_s3_headers){.length = UINT64_MAX};
    e->body = NULL;
    e->body_bytes = e->body_capacity = 0;
    e->range_at = e->range_offset = 0;
    e->problem[0] = '\0';
    e->next = NULL;
    (void)pthread_cond_init(&e->ended, NULL);
    (void)pthread_mutex_lock(&http->mutex);
    first = http->queue == NULL;
    *http->queue_end = e;
    http->queue_end = &e->next;
    (void)pthread_mutex_unlock(&http->mutex);
    // Behind another the loop was woken already, or has no room and looks when it has.
    if (first) (void)curl_multi_wakeup(http->multi);
}

void csti_s3_http_wait(csti_s3_exchange *e) {
    (void)pthread_mutex_lock(&e->http->mutex);
    while (!e->done) (void)pthread_cond_wait(&e->ended, &e->http->mutex);
    (void)pthread_mutex_unlock(&e->http->mutex);
    (void)pthread_cond_destroy(&e->ended);
}

bool csti_s3_http_is_done(csti_s3_exchange *e) {
    bool done;

    (void)pthread_mutex_lock(&e->http->mutex);
    done = e->done;
    (void)pthread_mutex_unlock(&e->http->mutex);
    return done;
}

void csti_s3_http_cancel(csti_s3_exchange *e) {
    (void)pthread_mutex_lock(&e->http->mutex);
    e->cancelled = true;
    (void)pthread_mutex_unlock(&e->http->mutex);
    (void)curl_multi_wakeup(e->http->multi);
}

uint32_t csti_s3_http_window(csti_s3_http *http) {
    uint32_t window;

    (void)pthread_mutex_lock(&http->mutex);
    window = http->window / WINDOW_UNIT;
    (void)pthread_mutex_unlock(&http->mutex);
    return window;
}

// ---- Open ---------------------------------------------------------------------------------------

static void global_init(void) {
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void release(csti_s3_http *http) {
    while (http->spares_count > 0) curl_easy_cleanup(http->spares[--http->spares_count]);
    (void)curl_multi_cleanup(http->multi);
    (void)pthread_mutex_destroy(&http->mutex);
    free(http->ca);
    free(http->proxy);
    free(http);
}

cst_code csti_s3_http_open(const csti_s3_http_options *options, csti_s3_http **out, cst_err *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    csti_s3_http *http = calloc(1, sizeof *http);

    if (!http) return cst_fail(err, CST_NO_MEMORY, "s3: a connection pool");
    (void)pthread_once(&once, global_init);
    (void)pthread_mutex_init(&http->mutex, NULL);
    http->queue_end = &http->queue;
    http->window = options->connections * WINDOW_UNIT;
    http->ca = strdup(options->ca);
    http->proxy = strdup(options->proxy);
    http->options = *options;
    http->options.ca = http->ca;
    http->options.proxy = http->proxy;
    http->multi = curl_multi_init();
    if (!http->ca || !http->proxy || !http->multi ||
        curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                          (long)options->connections) != CURLM_OK ||
        curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)options->connections) !=
            CURLM_OK ||
        pthread_create(&http->thread, NULL, loop, http) != 0) {
        release(http);
        return cst_fail(err, CST_NO_MEMORY, "s3: a connection pool");
    }
    *out = http;
    return CST_OK;
}

void csti_s3_http_close(csti_s3_http *http) {
    if (!http) return;
    (void)pthread_mutex_lock(&http->mutex);
    assert(!http->queue);
    http->closing = true;
    (void)pthread_mutex_unlock(&http->mutex);
    (void)curl_multi_wakeup(http->multi);
    (void)pthread_join(http->thread, NULL);
    release(http);
}
