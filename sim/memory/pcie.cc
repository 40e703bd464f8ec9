// pcie.cc: two wires, five kinds of traffic, each with its costs.
#include "memory/pcie.h"

#include "memory/faults.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace {

using cst_sim::NEVER;

constexpr uint32_t LOOKED_AT_BYTES = 64; // where a corrupted transfer has its wrong bit

struct Underway {
    cst_sim_transfer transfer;
    uint64_t done_ps;
    cst_sim_response response;
    uint32_t flip; // bit + 1; 0: none
};

struct Kind {
    std::array<Underway, CST_SIM_PCIE_QUEUE_MAX> ring;
    uint64_t head = 0, tail = 0;
    uint64_t free_ps = 0;

    bool empty() const { return head == tail; }
    Underway &first() { return ring[head % ring.size()]; }
    const Underway &first() const { return ring[head % ring.size()]; }
};

// What a kind costs: before its bytes, for them, and after them while others go on.
struct Cost {
    uint64_t before_ps, mb_s, after_ps;
    uint32_t wire; // 0 to the card, 1 from it
};

} // namespace

struct cst_sim_pcie {
    cst_sim_pcie_parameters parameters;
    std::array<Kind, CST_SIM_PCIE_KINDS> kinds;
    std::array<uint64_t, 2> wire_free_ps;
    cst_sim::Faults faults;
};

namespace {

Cost cost_of(const cst_sim_pcie_parameters &p, cst_sim_pcie_kind kind) {
    switch (kind) {
    case CST_SIM_PCIE_TO_CARD:
        return {p.descriptor_ps, p.to_card_mb_s, 0, 0};
    case CST_SIM_PCIE_FROM_CARD:
        return {p.descriptor_ps, p.from_card_mb_s, 0, 1};
    case CST_SIM_PCIE_KERNEL_READ:
        return {p.access_ps, p.read_mb_s, p.trip_ps, 0};
    case CST_SIM_PCIE_KERNEL_WRITE:
        return {p.access_ps, p.write_mb_s, p.trip_ps, 1};
    case CST_SIM_PCIE_COMMAND:
        break;
    }
    return {p.command_ps, 0, p.launch_ps, 0};
}

// The kind whose first transfer is over first, NULL: nothing will be.
const Kind *earliest(const cst_sim_pcie *pcie) {
    const Kind *best = nullptr;

    for (const Kind &kind : pcie->kinds)
        if (!kind.empty() && kind.first().done_ps != NEVER &&
            (!best || kind.first().done_ps < best->first().done_ps))
            best = &kind;
    return best;
}

} // namespace

extern "C" {

cst_code cst_sim_pcie_open(const cst_sim_pcie_parameters *parameters, uint64_t seed,
                           cst_sim_pcie **out, cst_err *err) {
    const cst_sim_pcie_parameters &p = *parameters;

    if (p.queue == 0 || p.queue > CST_SIM_PCIE_QUEUE_MAX)
        return cst_fail(err, CST_USAGE, "simulated PCIe: a queue of %llu, not 1 to %d",
                        (unsigned long long)p.queue, CST_SIM_PCIE_QUEUE_MAX);
    if (p.read_mb_s == 0 || p.write_mb_s == 0 || p.to_card_mb_s == 0 || p.from_card_mb_s == 0)
        return cst_fail(err, CST_USAGE, "simulated PCIe: a rate of 0");
    auto pcie = std::unique_ptr<cst_sim_pcie>(new (std::nothrow) cst_sim_pcie());
    if (!pcie) return cst_fail(err, CST_NO_MEMORY, "simulated PCIe");
    pcie->parameters = p;
    pcie->faults.open(seed, LOOKED_AT_BYTES);
    *out = pcie.release();
    return CST_OK;
}

void cst_sim_pcie_close(cst_sim_pcie *pcie) {
    delete pcie;
}

cst_code cst_sim_pcie_submit(cst_sim_pcie *pcie, uint64_t now_ps, const cst_sim_transfer *transfer,
                             cst_err *err) {
    Kind &kind = pcie->kinds[transfer->kind];
    const Cost cost = cost_of(pcie->parameters, transfer->kind);
    uint64_t at = std::max(now_ps, kind.free_ps) + cost.before_ps;
    cst_sim_injected injected;

    if (kind.tail - kind.head == pcie->parameters.queue)
        return cst_fail(err, CST_AGAIN, "simulated PCIe: %llu transfers are under way",
                        (unsigned long long)pcie->parameters.queue);
    if (cost.mb_s != 0) {
        uint64_t &wire_ps = pcie->wire_free_ps[cost.wire];

        at = wire_ps = std::max(at, wire_ps) + transfer->bytes * 1000000 / cost.mb_s;
    }
    kind.free_ps = at;
    Underway &under_way = kind.ring[kind.tail++ % kind.ring.size()];
    under_way = {*transfer, at + cost.after_ps, CST_SIM_OKAY, 0};
    if (!pcie->faults.hit(false, transfer->kind, 0, 0, 0, &injected)) return CST_OK;
    switch (injected.kind) {
    case CST_SIM_FAULT_SLVERR:
        under_way.response = CST_SIM_SLVERR;
        break;
    case CST_SIM_FAULT_DECERR:
        under_way.response = CST_SIM_DECERR;
        break;
    case CST_SIM_FAULT_CORRUPT:
        under_way.flip = injected.bit + 1;
        break;
    case CST_SIM_FAULT_SILENT:
        under_way.done_ps = NEVER;
        break;
    }
    return CST_OK;
}

bool cst_sim_pcie_poll(cst_sim_pcie *pcie, uint64_t now_ps, cst_sim_done *out) {
    const Kind *found = earliest(pcie);

    if (!found || found->first().done_ps > now_ps) return false;
    Kind &kind = pcie->kinds[(size_t)(found - pcie->kinds.data())];
    const Underway &over = kind.first();
    const cst_sim_transfer &transfer = over.transfer;

    if (over.response == CST_SIM_OKAY && transfer.bytes > 0 && transfer.to) {
        memmove(transfer.to, transfer.from, transfer.bytes);
        if (over.flip) {
            const uint64_t bit = (over.flip - 1) % (transfer.bytes * 8);
            ((uint8_t *)transfer.to)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    *out = {transfer.tag, over.done_ps, over.response};
    kind.head++;
    return true;
}

uint64_t cst_sim_pcie_next_ps(const cst_sim_pcie *pcie) {
    const Kind *found = earliest(pcie);

    return found ? found->first().done_ps : NEVER;
}

void cst_sim_pcie_reset(cst_sim_pcie *pcie, uint64_t now_ps) {
    for (Kind &kind : pcie->kinds) {
        kind.head = kind.tail = 0;
        kind.free_ps = now_ps;
    }
    for (uint64_t &free_ps : pcie->wire_free_ps) free_ps = now_ps;
}

cst_code cst_sim_pcie_inject(cst_sim_pcie *pcie, const cst_sim_fault *fault, cst_err *err) {
    if (!pcie->faults.add(*fault))
        return cst_fail(err, CST_LIMIT, "simulated PCIe: more than %d faults", CST_SIM_FAULTS_MAX);
    return CST_OK;
}

} // extern "C"
