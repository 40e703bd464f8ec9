// master.h: masters that play random bursts into a simulated memory, and know what must come back.
//
//   of each port:  places [0 .. PLACES)   a beat each, nobody else's
//                  asked  reads per ID: first place, beats, the versions that were certain then
//                         writes per ID, and data that is owed
//
// A beat written is {version, address, words made of both}. A read may find any version from the
// one that was answered for when it was asked to the newest that was sent: nothing older, no
// mixture.
//
// Promises   a check that fails ends the program, with the seed.
#ifndef CST_SIM_MASTER_H
#define CST_SIM_MASTER_H

#include "test.h"

#include <memory/memory.h>

enum { PLACES = 512, MASTER_IDS = 4, ASKED_MAX = 128, BURST_BEATS = 8, OWED_MAX = 128 };

typedef struct master_burst {
    uint32_t place, beats;
    uint64_t certain[BURST_BEATS]; // versions; writes: the version sent
} master_burst;

typedef struct master_list {
    master_burst bursts[ASKED_MAX];
    uint32_t head, tail;
} master_list;

typedef struct master {
    cst_sim_memory *memory;
    const cst_sim_view *view;
    uint32_t port, beat_bytes;
    uint64_t base; // address of its first place
    uint64_t random;
    uint64_t certain[PLACES]; // the version that a read must find at least
    uint64_t newest[PLACES];  // the one sent last
    uint64_t versions;
    master_list reads[MASTER_IDS], writes[MASTER_IDS], owed; // owed: data, in order of addresses
    uint32_t owed_beat, read_beat;
    int reading; // the ID whose burst is being answered, -1: none
    uint64_t asked, answered, wanted;
    bool shown; // a beat was not taken: it must stay
    cst_sim_view last;
    uint64_t digest;
} master;

static inline uint64_t master_random(master *m) {
    uint64_t z = (m->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void master_fill(const master *m, uint32_t place, uint64_t version, uint8_t *out) {
    uint64_t words[CST_SIM_BEAT_BYTES_MAX / 8] = {0};

    if (version > 0)
        for (uint32_t i = 0; i < m->beat_bytes / 8; i++)
            words[i] = i == 0 ? version : (version * 31 + place + m->port * 7919) * (i + 1);
    memcpy(out, words, m->beat_bytes);
}

static inline uint64_t master_address(const master *m, uint32_t place) {
    return m->base + (uint64_t)place * m->beat_bytes;
}

static inline master_burst *master_push(master_list *list) {
    CHECK(list->tail - list->head < ASKED_MAX);
    return &list->bursts[list->tail++ % ASKED_MAX];
}

static inline master_burst *master_first(master_list *list) {
    CHECK(list->tail != list->head);
    return &list->bursts[list->head % ASKED_MAX];
}

static inline void master_note(master *m, uint64_t what) {
    m->digest = (m->digest ^ what) * UINT64_C(0x100000001b3);
}

static inline void master_take_read(master *m) {
    const cst_sim_view *v = m->view;
    uint8_t wanted[CST_SIM_BEAT_BYTES_MAX];
    uint64_t version;
    master_burst *burst;
    uint32_t place;

    CHECK(v->r_id < MASTER_IDS);
    CHECK(m->reading < 0 || m->reading == v->r_id);
    burst = master_first(&m->reads[v->r_id]);
    place = burst->place + m->read_beat;
    CHECK_EQ(v->r_response, CST_SIM_OKAY);
    memcpy(&version, v->r_data, sizeof version);
    CHECK(version >= burst->certain[m->read_beat]);
    CHECK(version <= m->newest[place]);
    master_fill(m, place, version, wanted);
    CHECK_BYTES(v->r_data, wanted, m->beat_bytes);
    m->read_beat++;
    CHECK_EQ(v->r_last, m->read_beat == burst->beats);
    m->reading = v->r_id;
    if (v->r_last) {
        m->reads[v->r_id].head++;
        m->reading = -1;
        m->read_beat = 0;
        m->answered++;
    }
    master_note(m, version << 8 | v->r_id);
    master_note(m, cst_sim_memory_cycle(m->memory));
    cst_sim_memory_r(m->memory, m->port);
}

static inline void master_take_answer(master *m) {
    const cst_sim_view *v = m->view;
    master_burst *burst;

    CHECK(v->b_id < MASTER_IDS);
    burst = master_first(&m->writes[v->b_id]);
    CHECK_EQ(v->b_response, CST_SIM_OKAY);
    for (uint32_t i = 0; i < burst->beats; i++)
        if (burst->certain[i] > m->certain[burst->place + i])
            m->certain[burst->place + i] = burst->certain[i];
    m->writes[v->b_id].head++;
    m->answered++;
    master_note(m, cst_sim_memory_cycle(m->memory) << 3 | v->b_id);
    cst_sim_memory_b(m->memory, m->port);
}

// What was valid and not taken is there, as it was.
static inline void master_check_held(master *m, bool taken) {
    const cst_sim_view *v = m->view;

    if (m->shown) {
        CHECK(v->r_valid);
        CHECK_EQ(v->r_id, m->last.r_id);
        CHECK_EQ(v->r_last, m->last.r_last);
        CHECK(v->r_data == m->last.r_data);
    }
    m->shown = v->r_valid && !taken;
    m->last = *v;
}

static inline void master_send_data(master *m) {
    uint8_t data[CST_SIM_BEAT_BYTES_MAX];
    master_burst *burst;

    if (m->owed.head == m->owed.tail || !m->view->w_ready) return;
    burst = master_first(&m->owed);
    master_fill(m, burst->place + m->owed_beat, burst->certain[m->owed_beat], data);
    m->owed_beat++;
    cst_sim_memory_w(m->memory, m->port, data, UINT64_MAX, m->owed_beat == burst->beats);
    if (m->owed_beat == burst->beats) {
        m->owed.head++;
        m->owed_beat = 0;
    }
}

static inline void master_ask(master *m) {
    const uint64_t draw = master_random(m);
    const bool read = draw & 1;
    const uint16_t id = (uint16_t)(draw >> 1) % MASTER_IDS;
    const uint32_t beats = 1 + (uint32_t)(draw >> 8) % BURST_BEATS;
    // Few places first, so that bursts meet.
    const uint32_t span = draw >> 60 == 0 ? PLACES : 4 * BURST_BEATS;
    uint32_t place = (uint32_t)(draw >> 20) % span;
    master_list *list = read ? &m->reads[id] : &m->writes[id];
    master_burst *burst;

    if (m->asked == m->wanted || !(read ? m->view->ar_ready : m->view->aw_ready)) return;
    if (list->tail - list->head == ASKED_MAX || m->owed.tail - m->owed.head == OWED_MAX) return;
    if (place + beats > PLACES) place = PLACES - beats;
    if (master_address(m, place) % 4096 + beats * m->beat_bytes > 4096)
        place -= (uint32_t)(master_address(m, place) % 4096 + beats * m->beat_bytes - 4096) /
                 m->beat_bytes;
    burst = master_push(list);
    *burst = (master_burst){.place = place, .beats = beats};
    m->asked++;
    for (uint32_t i = 0; i < beats; i++) {
        if (!read) m->newest[place + i] = ++m->versions;
        burst->certain[i] = read ? m->certain[place + i] : m->newest[place + i];
    }
    if (!read) *master_push(&m->owed) = *burst;
    if (read)
        cst_sim_memory_ar(m->memory, m->port, id, master_address(m, place), beats);
    else
        cst_sim_memory_aw(m->memory, m->port, id, master_address(m, place), beats);
}

// One clock. With chance/256 it takes no answer, or asks nothing.
static inline void master_clock(master *m, uint32_t chance) {
    const uint64_t draw = master_random(m);
    const bool takes = draw % 256 >= chance;

    master_check_held(m, takes);
    if (takes && m->view->r_valid) master_take_read(m);
    if (takes && m->view->b_valid) master_take_answer(m);
    if ((draw >> 8) % 256 >= chance) master_send_data(m);
    if ((draw >> 16) % 256 >= chance) master_ask(m);
}

static inline cst_sim_memory *open_memory(const cst_sim_memory_config *config) {
    cst_sim_memory *memory = NULL;
    cst_err err = {0};

    if (cst_sim_memory_open(config, &memory, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return memory;
}

// One access, alone. Returns the clocks from handshake to handshake; -1: no answer in `patience`.
static inline int64_t read_one(cst_sim_memory *memory, uint32_t port, uint16_t id, uint64_t address,
                               cst_sim_view *out, int64_t patience) {
    const cst_sim_view *view = cst_sim_memory_view(memory, port);
    int64_t clocks = 0;

    CHECK(view->ar_ready);
    cst_sim_memory_ar(memory, port, id, address, 1);
    do {
        cst_sim_memory_tick(memory);
        if (clocks++ == patience) return -1;
    } while (!view->r_valid);
    CHECK_EQ(view->r_id, id);
    CHECK(view->r_last);
    *out = *view;
    cst_sim_memory_r(memory, port);
    return clocks;
}

static inline int64_t write_one(cst_sim_memory *memory, uint32_t port, uint16_t id,
                                uint64_t address, const uint8_t *data, uint64_t strobe,
                                int64_t patience) {
    const cst_sim_view *view = cst_sim_memory_view(memory, port);
    int64_t clocks = 0;

    CHECK(view->aw_ready);
    cst_sim_memory_aw(memory, port, id, address, 1);
    cst_sim_memory_tick(memory);
    CHECK(view->w_ready);
    cst_sim_memory_w(memory, port, data, strobe, true);
    do {
        cst_sim_memory_tick(memory);
        if (clocks++ == patience) return -1;
    } while (!view->b_valid);
    CHECK_EQ(view->b_id, id);
    cst_sim_memory_b(memory, port);
    return view->b_response == CST_SIM_OKAY ? clocks : -2 - view->b_response;
}

#endif
