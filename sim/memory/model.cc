// model.cc: a beat's way from a handshake to its answer.
#include "memory/model.hpp"

#include <cstring>
#include <sys/mman.h>

namespace cst_sim {

Backing::~Backing() {
    if (bytes_) (void)munmap(bytes_, size_);
}

bool Backing::open(uint64_t size) {
    void *bytes = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (bytes == MAP_FAILED) return false;
    bytes_ = (uint8_t *)bytes;
    size_ = size;
    return true;
}

bool Model::open(const cst_sim_memory_config &config) {
    Random draws(config.seed);

    config_ = config;
    channels_shift_ = (uint32_t)__builtin_ctz(config.channels);
    channel_shift_ = (uint32_t)__builtin_ctzll(config.channel_bytes);
    stripe_shift_ = config.stripe_bytes ? (uint32_t)__builtin_ctz(config.stripe_bytes) : 0;
    if (!backing_.open(config.channels * config.channel_bytes)) return false;
    lines_.open(config.ports * 2 * PORT_BEATS);
    flips_.assign(config.ports * 2 * PORT_BEATS, 0);
    wheel_.assign(WHEEL, List());
    switch_.open(config);
    faults_.open(draws.next(), config.beat_bytes);
    stalls_ = Random(draws.next());
    ports_.resize(config.ports);
    for (Port &port : ports_) {
        port.reads.open(config.reads_max);
        port.writes.open(config.writes_max);
        port.unsent.open(config.writes_max);
    }
    channels_.resize(config.channels);
    // Refreshes are spread over the channels, from a place that the seed chooses.
    const uint64_t first_ps = draws.below(config.dram.refi_ps);
    for (uint32_t c = 0; c < config.channels; c++)
        channels_[c].open(config, c,
                          config.dram.refi_ps / 8 +
                              (first_ps + config.dram.refi_ps * c / config.channels) %
                                  config.dram.refi_ps,
                          &lines_, &switch_, backing_.bytes());
    for (Port &port : ports_) show(&port);
    changed_ = UINT32_MAX >> (CST_SIM_PORTS_MAX - config_.ports);
    return true;
}

uint32_t Model::channel_of(uint64_t address, uint64_t *offset_out) const {
    const uint32_t mask = config_.channels - 1;
    uint64_t stripe, fold;

    if (config_.stripe_bytes == 0) {
        *offset_out = address & (config_.channel_bytes - 1);
        return (uint32_t)(address >> channel_shift_);
    }
    stripe = address >> stripe_shift_;
    fold = stripe;
    if (channels_shift_ > 0)
        for (uint64_t above = stripe >> channels_shift_; above != 0; above >>= channels_shift_)
            fold ^= above;
    *offset_out =
        (stripe >> channels_shift_) << stripe_shift_ | (address & (config_.stripe_bytes - 1));
    return (uint32_t)fold & mask;
}

void Model::check_burst(uint64_t address, uint32_t beats) const {
    const uint64_t bytes = (uint64_t)beats * config_.beat_bytes;

    assert(beats > 0);
    assert(address % config_.beat_bytes == 0);
    assert(address % CST_SIM_BURST_BYTES_MAX + bytes <= CST_SIM_BURST_BYTES_MAX);
    (void)bytes;
}

uint32_t Model::new_line(uint32_t port, uint32_t burst, uint64_t address, bool write) {
    const uint32_t index = lines_.take();
    Line &line = lines_[index];
    const uint8_t *stored;
    uint64_t offset;

    line = Line();
    line.address = address;
    line.next = line.sibling = NONE;
    line.burst = burst;
    line.port = (uint8_t)port;
    line.write = write;
    line.bursts = (uint8_t)(config_.beat_bytes / config_.dram.burst_bytes);
    if (line.bursts == 0) line.bursts = 1;
    flips_[index] = 0;
    if (address >= backing_.size() || !(stored = at(address))) {
        line.channel = NO_CHANNEL;
        line.response = CST_SIM_DECERR;
    } else {
        // It moves a hundred clocks and more from now: by then it is in the cache.
        __builtin_prefetch(stored);
        line.channel = (uint8_t)channel_of(address, &offset);
        channels_[line.channel].place(&line, offset);
    }
    return index;
}

// Into the wheel's slot of the clock in which it arrives, or as far ahead as the wheel goes.
void Model::fly(uint32_t index) {
    const uint64_t at = lines_[index].arrive_ps;
    const uint64_t least = cycle_ + 1;
    uint64_t slot = (at * (config_.clock_khz / 1000) + 999999) / 1000000; // at or before its clock

    while (time_of(slot) < at) slot++;
    if (slot < least) slot = least;
    if (slot > cycle_ + WHEEL - 1) slot = cycle_ + WHEEL - 1;
    lines_.append(&wheel_[slot % WHEEL], index);
}

void Model::send(uint32_t index) {
    Line &line = lines_[index];
    const uint64_t path_ps = config_.dram.path_ps + config_.dram.shell_ps;

    line.arrive_ps = now_ps_ + path_ps;
    if (line.channel != NO_CHANNEL) {
        line.arrive_ps += switch_.distance_ps(line.port, line.channel);
        if (line.write)
            line.arrive_ps = switch_.pass(line.port, line.channel, true, line.arrive_ps);
    }
    fly(index);
}

void Model::ar(uint32_t number, uint16_t id, uint64_t address, uint32_t beats) {
    Port &port = ports_[number];
    cst_sim_injected injected;
    uint32_t index;

    assert(port.view.ar_ready);
    assert(!port.ar);
    check_burst(address, beats);
    acting_ |= UINT32_C(1) << number;
    port.ar = true;
    index = port.reads.add(id, address, beats);
    Burst &burst = port.reads[index];
    for (uint32_t beat = 0; beat < beats; beat++, address += config_.beat_bytes) {
        const uint32_t line = new_line(number, index, address, false);

        if (burst.beats.head == NONE)
            burst.beats.head = line;
        else
            lines_[burst.beats.tail].sibling = line;
        burst.beats.tail = line;
        port.read_beats++;
        if (!faults_.hit(false, number, id, address, cycle_, &injected)) continue;
        if (injected.kind == CST_SIM_FAULT_SILENT) {
            burst.silent = true;
        } else if (injected.kind == CST_SIM_FAULT_CORRUPT) {
            flips_[line] = injected.bit + 1;
        } else {
            lines_[line].channel = NO_CHANNEL;
            lines_[line].response =
                injected.kind == CST_SIM_FAULT_SLVERR ? CST_SIM_SLVERR : CST_SIM_DECERR;
        }
    }
    for (uint32_t line = burst.beats.head; line != NONE && !burst.silent;
         line = lines_[line].sibling)
        send(line);
}

void Model::aw(uint32_t number, uint16_t id, uint64_t address, uint32_t beats) {
    Port &port = ports_[number];

    assert(port.view.aw_ready);
    assert(!port.aw);
    check_burst(address, beats);
    acting_ |= UINT32_C(1) << number;
    port.aw = true;
    port.unsent.push(port.writes.add(id, address, beats));
}

void Model::w(uint32_t number, const uint8_t *data, uint64_t strobe, bool last) {
    Port &port = ports_[number];
    const uint64_t whole = config_.dram.burst_bytes == 64 ? UINT64_MAX : UINT32_MAX;
    cst_sim_injected injected;

    assert(port.view.w_ready);
    assert(!port.w);
    acting_ |= UINT32_C(1) << number;
    port.w = true;
    const uint32_t index = port.unsent.front();
    Burst &burst = port.writes[index];
    const uint32_t number_of_line = new_line(number, index, burst.address, true);
    Line &line = lines_[number_of_line];

    assert(last == (burst.unsent == 1));
    (void)last;
    if (--burst.unsent == 0) (void)port.unsent.pop();
    port.write_beats++;
    if (config_.beat_bytes == 64)
        memcpy(lines_.data(number_of_line), data, 64);
    else
        memcpy(lines_.data(number_of_line), data, config_.beat_bytes);
    if (config_.beat_bytes < 64) strobe &= (UINT64_C(1) << config_.beat_bytes) - 1;
    line.strobe = strobe;
    line.bursts = 0;
    for (uint32_t at = 0; at < config_.beat_bytes; at += (uint32_t)config_.dram.burst_bytes) {
        const uint64_t part = strobe >> at & whole;

        line.bursts = (uint8_t)(line.bursts + (part != 0));
        line.masked = line.masked || (part != 0 && part != whole);
    }
    if (strobe == 0) line.channel = NO_CHANNEL; // nothing to write
    if (faults_.hit(true, number, burst.id, burst.address, cycle_, &injected)) {
        if (injected.kind == CST_SIM_FAULT_CORRUPT) {
            flip(number_of_line, injected.bit);
        } else {
            line.channel = NO_CHANNEL;
            burst.silent = burst.silent || injected.kind == CST_SIM_FAULT_SILENT;
            line.response = injected.kind == CST_SIM_FAULT_SILENT   ? CST_SIM_OKAY
                            : injected.kind == CST_SIM_FAULT_SLVERR ? CST_SIM_SLVERR
                                                                    : CST_SIM_DECERR;
        }
    }
    burst.address += config_.beat_bytes;
    send(number_of_line);
}

void Model::r(uint32_t port) {
    assert(ports_[port].view.r_valid);
    acting_ |= UINT32_C(1) << port;
    ports_[port].r = true;
}

void Model::b(uint32_t port) {
    assert(ports_[port].view.b_valid);
    acting_ |= UINT32_C(1) << port;
    ports_[port].b = true;
}

// Lines that arrive by now go to their channel; those that have none are answered.
void Model::land() {
    List &slot = wheel_[cycle_ % WHEEL];
    List landing = slot;

    slot = List();
    while (landing.head != NONE) {
        const uint32_t index = lines_.pop(&landing);
        const Line &line = lines_[index];

        if (line.arrive_ps > now_ps_) {
            fly(index); // it went further than the wheel
        } else if (line.channel == NO_CHANNEL) {
            complete(index);
        } else {
            channels_[line.channel].push(index);
            busy_ |= UINT32_C(1) << line.channel;
        }
    }
}

// A beat's data has moved, or never will.
void Model::complete(uint32_t index) {
    Line &line = lines_[index];
    Port &port = ports_[line.port];

    line.done = true;
    changed_ |= UINT32_C(1) << line.port;
    if (!line.write) {
        if (line.channel == NO_CHANNEL) memset(lines_.data(index), 0, config_.beat_bytes);
        if (flips_[index]) flip(index, flips_[index] - 1);
        if (port.reading != line.burst && port.reads[line.burst].beats.head == index &&
            port.reads.first_of_id(line.burst))
            port.reads.make_ready(line.burst);
        return;
    }
    Burst &burst = port.writes[line.burst];
    burst.response = std::max(burst.response, line.response);
    burst.unmoved--;
    if (burst.unmoved == 0 && !burst.silent && port.writes.first_of_id(line.burst))
        port.writes.make_ready(line.burst);
    port.write_beats--;
    lines_.give(index);
}

// What the master took at this edge.
void Model::taken(Port *port) {
    if (port->given != NONE) {
        lines_.give(port->given);
        port->read_beats--;
        port->given = NONE;
    }
    if (port->r) {
        Burst &burst = port->reads[port->reading];
        const uint32_t line = burst.beats.head;

        port->given = line;
        burst.beats.head = lines_[line].sibling;
        port->view.r_valid = false;
        if (burst.beats.head == NONE) {
            const uint32_t next = port->reads.remove(port->reading);

            port->reading = NONE;
            if (next != NONE && !port->reads[next].silent &&
                lines_[port->reads[next].beats.head].done)
                port->reads.make_ready(next);
        }
    }
    if (port->b) {
        const uint32_t next = port->writes.remove(port->answering);

        port->answering = NONE;
        port->view.b_valid = false;
        if (next != NONE && port->writes[next].unmoved == 0 && !port->writes[next].silent)
            port->writes.make_ready(next);
    }
    port->ar = port->aw = port->w = port->r = port->b = false;
}

// Which handshakes are held back in this clock.
uint32_t Model::held(Port *port) {
    uint64_t random;
    uint32_t mask = 0;

    if (port->stall_mask == 0) return 0;
    random = stalls_.next();
    if (port->silence_clocks > 0 && (random >> 40) % CST_SIM_SILENCES == 0)
        port->silent_until = cycle_ + port->silence_clocks;
    if (cycle_ < port->silent_until) return port->stall_mask;
    for (uint32_t i = 0; i < 5; i++)
        if ((random >> 8 * i) % CST_SIM_CHANCES < port->stall_chance) mask |= UINT32_C(1) << i;
    return mask & port->stall_mask;
}

void Model::show(Port *port) {
    const uint32_t burst_beats = CST_SIM_BURST_BYTES_MAX / config_.beat_bytes;
    const uint32_t mask = held(port);
    cst_sim_view &view = port->view;

    view.ar_ready =
        !(mask & CST_SIM_AR) && !port->reads.full() && port->read_beats + burst_beats <= PORT_BEATS;
    view.aw_ready = !(mask & CST_SIM_AW) && !port->writes.full();
    view.w_ready = !(mask & CST_SIM_W) && !port->unsent.empty() && port->write_beats < PORT_BEATS;
    if (!view.r_valid && !(mask & CST_SIM_R)) {
        if (port->reading == NONE && port->reads.any_ready())
            port->reading = port->reads.take_ready();
        if (port->reading != NONE) {
            const Burst &burst = port->reads[port->reading];
            const Line &line = lines_[burst.beats.head];

            view.r_valid = line.done;
            view.r_last = line.sibling == NONE;
            view.r_response = line.response;
            view.r_id = burst.id;
            view.r_data = lines_.data(burst.beats.head);
        }
    }
    if (!view.b_valid && !(mask & CST_SIM_B) && port->writes.any_ready()) {
        port->answering = port->writes.take_ready();
        view.b_valid = true;
        view.b_response = port->writes[port->answering].response;
        view.b_id = port->writes[port->answering].id;
    }
}

void Model::tick() {
    cycle_++;
    now_ps_ = time_of(cycle_);
    changed_ = acting_ | stalling_;
    acting_ = 0;
    for (uint32_t left = changed_; left != 0; left &= left - 1) {
        const uint32_t number = (uint32_t)__builtin_ctz(left);

        taken(&ports_[number]);
        if (ports_[number].given != NONE) acting_ |= UINT32_C(1) << number;
    }
    land();
    for (uint32_t left = busy_; left != 0; left &= left - 1) {
        const uint32_t number = (uint32_t)__builtin_ctz(left);
        Channel &channel = channels_[number];
        uint32_t index;

        channel.advance(now_ps_);
        while ((index = channel.take_done(now_ps_)) != NONE) complete(index);
        if (!channel.busy()) busy_ &= ~(UINT32_C(1) << number);
    }
    for (uint32_t left = changed_; left != 0; left &= left - 1)
        show(&ports_[(uint32_t)__builtin_ctz(left)]);
}

void Model::stall(uint32_t number, uint32_t handshakes, uint32_t chance, uint32_t silence_clocks) {
    Port &port = ports_[number];
    const uint32_t bit = UINT32_C(1) << number;

    port.stall_mask = chance + silence_clocks > 0 ? handshakes : 0;
    port.stall_chance = chance;
    port.silence_clocks = silence_clocks;
    if (silence_clocks == 0) port.silent_until = 0;
    stalling_ = port.stall_mask ? stalling_ | bit : stalling_ & ~bit;
    acting_ |= bit; // it is looked at once more
}

void Model::reset() {
    lines_.forget();
    for (List &slot : wheel_) slot = List();
    for (Channel &channel : channels_) channel.forget();
    busy_ = 0;
    for (Port &port : ports_) {
        port.reads.forget();
        port.writes.forget();
        port.unsent.open(config_.writes_max);
        port.reading = port.answering = port.given = NONE;
        port.read_beats = port.write_beats = 0;
        port.ar = port.aw = port.w = port.r = port.b = false;
        port.view = {};
        show(&port);
    }
    acting_ = 0;
    changed_ = UINT32_MAX >> (CST_SIM_PORTS_MAX - config_.ports);
}

cst_sim_counters Model::counters(uint32_t channel) const {
    cst_sim_counters counters = channels_[channel].counters();

    counters.clock_ps = now_ps_;
    return counters;
}

} // namespace cst_sim
