// card.cc: constellation-card, the emulated card: the process that XRT's hardware emulation starts
// in a card's place, and talks to by a socket.
//
//   XRT (libxrt_hwemu) ── socket ──► calls ──► registers ─► unit 0, unit 1, ...   csti_sim_card
//                                       └────► memory  ◄─── their ports          32 banks, shared
//
// A unit is the Verilated kernel with the models of card memory, those of sim: (device/sim_card.h),
// but the bytes of all units are one memory: as on a card a buffer's address says which bank it is
// in. Each unit has the channels' time to itself. Clocks run while the host asks for something, and
// for IDLE_CLOCKS behind that, so that a host that waits by itself costs no processor.
//
// The process ends when the host says so, closes its socket, or dies; it leaves no socket behind.
#include "device/kernel_map.h"
#include "device/sim_card.h"
#include "xrt/rpc.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace {

using cst_sim::RpcCall;
using cst_sim::RpcFields;

constexpr uint64_t UNITS_AT = 0x1800000; // as constellation-mkxclbin has it
constexpr uint64_t UNIT_BYTES = 0x10000;
constexpr unsigned UNITS_MAX = 8;
constexpr uint64_t TURN_CLOCKS = 64; // between two looks at the socket
constexpr uint64_t IDLE_CLOCKS = 100000;
// A host that moves something moves more of it soon: no turn in between. One that looks at a
// completion waits for a turn.
constexpr long MOVES_NS = 200000;
constexpr size_t LOOK_BYTES = 128;
constexpr unsigned CONNECT_TRIES = 20000; // a millisecond apart: the host listens soon

// As kernel_map.h has it.
struct Kind {
    const char *name;
    uint64_t banks, bank_bytes;
    uint32_t clock_khz;
    uint64_t bytes() const { return banks * bank_bytes; }
};
constexpr Kind kinds[] = {
#define KIND(NAME, PLATFORM, BANKS, MIB, MHZ) {NAME, BANKS, uint64_t(MIB) << 20, MHZ * 1000},
    CSTI_KERNEL_CARD_MAP(KIND)
#undef KIND
};

[[noreturn]] void fail(const char *what) {
    fprintf(stderr, "constellation-card: %s\n", what);
    exit(1);
}

// The library of the simulated card, beside this program as it is built and installed.
const csti_sim_card_ops *library_load() {
    char own[4096];
    const ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    std::string path(own, length > 0 ? size_t(length) : 0);

    path = path.substr(0, path.find_last_of('/') + 1) + "../lib/libconstellation-sim.so";
    void *library = dlopen(path.c_str(), RTLD_NOW);
    if (!library) library = dlopen("libconstellation-sim.so", RTLD_NOW);
    if (!library) fail(dlerror());
    const auto entry = reinterpret_cast<csti_sim_card_entry>(dlsym(library, CSTI_SIM_CARD_ENTRY));
    if (!entry || entry()->version != CSTI_SIM_CARD_VERSION)
        fail("libconstellation-sim.so is of another version: build it again");
    return entry();
}

// ---- Memory and units ---------------------------------------------------------------------------

class Memory {
  public:
    explicit Memory(const Kind &kind) : kind_(kind) {
        void *mapped = mmap(nullptr, kind.bytes(), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (mapped == MAP_FAILED) fail("no address space for the card's memory");
        bytes_ = static_cast<uint8_t *>(mapped);
    }
    // NULL: it is not all there.
    uint8_t *at(uint64_t address, uint64_t bytes) {
        if (address > kind_.bytes() || bytes > kind_.bytes() - address) return nullptr;
        return bytes_ + address;
    }
    static uint8_t *locate(void *context, uint32_t channel, uint64_t address) {
        Memory *memory = static_cast<Memory *>(context);

        return memory->at(channel * memory->kind_.bank_bytes + address, 64);
    }

  private:
    const Kind kind_;
    uint8_t *bytes_;
};

// What the card does wrong, for tests. 0: nothing of it.
struct Mistakes {
    uint32_t version;              // that its units have
    unsigned long hide_arguments;  // they cannot be read back
    unsigned long lose_done;       // no done is seen from the Nth on
    unsigned long lose_completion; // nor a completion
};

class Units {
  public:
    Units(const Kind &kind, unsigned count, const Mistakes &mistakes, Memory &memory)
        : ops_(library_load()), mistakes_(mistakes) {
        for (unsigned u = 0; u < count; u++) {
            csti_sim_card_config config = {};
            csti_sim_card *unit = nullptr;
            cst_err err = {};

            config.channels = CSTI_SIM_CHANNELS;
            config.clock_khz = kind.clock_khz;
            config.channel_bytes = kind.bank_bytes;
            config.seed = 1 + u;
            config.locates_all = true;
            config.locate = Memory::locate;
            config.locate_context = &memory;
            config.error_port = -1;
            if (ops_->open(&config, &unit, &err) != CST_OK) fail(err.text);
            units_.push_back(unit);
        }
        left_.resize(count);
        begun_.resize(count);
    }
    ~Units() {
        for (csti_sim_card *unit : units_) ops_->close(unit);
    }
    Units(const Units &) = delete;
    Units &operator=(const Units &) = delete;

    // False: no unit has such a register.
    bool write(uint64_t address, const uint8_t *words, uint64_t bytes) {
        unsigned unit;

        if (!find(address, bytes, unit)) return false;
        for (uint64_t at = 0; at + 4 <= bytes; at += 4) {
            uint32_t value;

            memcpy(&value, words + at, sizeof value);
            ops_->write(units_[unit], uint32_t(address + at) & (UNIT_BYTES - 1), value);
        }
        begun_[unit] = true;
        left_[unit] = IDLE_CLOCKS;
        return true;
    }
    bool read(uint64_t address, uint8_t *words, uint64_t bytes) {
        unsigned unit;

        if (!find(address, bytes, unit)) return false;
        for (uint64_t at = 0; at + 4 <= bytes; at += 4) {
            const uint32_t offset = uint32_t(address + at) & (UNIT_BYTES - 1);
            uint32_t value = ops_->read(units_[unit], offset);

            value = mistaken(offset, value);
            memcpy(words + at, &value, sizeof value);
        }
        return true;
    }
    // Somebody looks: those that were begun go on.
    void wake() {
        for (size_t u = 0; u < units_.size(); u++)
            if (begun_[u]) left_[u] = IDLE_CLOCKS;
    }
    // False: none has anything to do until the host asks again.
    bool run() {
        bool runs = false;

        for (size_t u = 0; u < units_.size(); u++) {
            static const uint32_t never = 0;

            if (left_[u] == 0) continue;
            (void)ops_->run(units_[u], &never, 1, TURN_CLOCKS);
            left_[u] -= TURN_CLOCKS < left_[u] ? TURN_CLOCKS : left_[u];
            runs = true;
        }
        return runs;
    }

  private:
    bool find(uint64_t address, uint64_t bytes, unsigned &unit) const {
        if (address < UNITS_AT || address % 4 != 0 || bytes % 4 != 0) return false;
        unit = unsigned((address - UNITS_AT) / UNIT_BYTES);
        return unit < units_.size() && (address - UNITS_AT) % UNIT_BYTES + bytes <= UNIT_BYTES;
    }

    uint32_t mistaken(uint32_t offset, uint32_t value) {
        if (mistakes_.version && offset == CSTI_KERNEL_STATUS)
            return (value & 0xffffff) | mistakes_.version << CSTI_KERNEL_STATUS_VERSION_SHIFT;
        if (mistakes_.hide_arguments && offset >= CSTI_KERNEL_AT_RING &&
            offset < CSTI_KERNEL_STATUS)
            return 0;
        if (offset != CSTI_KERNEL_CTRL || !(value & CSTI_KERNEL_DONE)) return value;
        dones_++;
        return mistakes_.lose_done && dones_ >= mistakes_.lose_done
                   ? value & ~uint32_t(CSTI_KERNEL_DONE | CSTI_KERNEL_IDLE) // XRT takes either
                   : value;
    }

    const csti_sim_card_ops *ops_;
    const Mistakes mistakes_;
    unsigned long dones_ = 0; // that somebody saw, or should have
    std::vector<csti_sim_card *> units_;
    std::vector<uint64_t> left_; // clocks of each until the host asks again
    std::vector<bool> begun_;    // somebody wrote a register of it
};

// ---- The host -----------------------------------------------------------------------------------

int connect_to(const std::string &path) {
    sockaddr_un address = {};
    const int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sun_family = AF_UNIX;
    if (socket_fd < 0 || path.size() >= sizeof address.sun_path) fail("no socket");
    memcpy(address.sun_path, path.c_str(), path.size());
    if (connect(socket_fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0)
        return socket_fd;
    close(socket_fd);
    return -1;
}

class Host {
  public:
    Host() {
        const char *user = getenv("USER"), *id = getenv("EMULATION_SOCKETID");
        const std::string folder = user ? std::string("/tmp/") + user + "/" : "/tmp/";

        path_ = folder + (user && id ? id : "xcl_sock");
        // What it asks of us beside that, and waits for at the end.
        other_path_ = folder + "D2X_unix_sock_" + (id ? id : "");
        for (unsigned i = 0; i < CONNECT_TRIES && fd_ < 0; i++) {
            fd_ = connect_to(path_);
            if (fd_ < 0) (void)poll(nullptr, 0, 1);
        }
        if (fd_ < 0) fail("the host does not listen");
    }
    ~Host() {
        (void)unlink(path_.c_str());
        (void)unlink(other_path_.c_str());
    }
    Host(const Host &) = delete;
    Host &operator=(const Host &) = delete;

    // Whether something is there to read, or the other end is gone, within so many nanoseconds; -1:
    // it waits for that.
    bool asks(long ns) {
        pollfd polled = {fd_, POLLIN, 0};
        const timespec time = {0, ns};

        return ppoll(&polled, 1, ns < 0 ? nullptr : &time, nullptr) > 0;
    }
    // False: the host is gone.
    bool receive(cst_sim::RpcHeader &header, std::vector<uint8_t> &body) {
        uint8_t head[cst_sim::RPC_REQUEST_BYTES];

        if (!take(head, sizeof head)) return false;
        if (!cst_sim::rpc_header_read(head, header)) fail("a request of another version of XRT");
        body.resize(header.bytes);
        return take(body.data(), body.size());
    }
    bool answer(const std::string &body) {
        uint8_t head[cst_sim::RPC_ANSWER_BYTES] = {0x09};
        const uint64_t bytes = body.size();

        memcpy(head + 1, &bytes, sizeof bytes);
        return give(fd_, head, sizeof head) && give(fd_, body.data(), body.size());
    }
    // The host has a second socket, on which it listens for this alone.
    void tell_closed() {
        uint8_t head[cst_sim::RPC_REQUEST_BYTES] = {0x09};
        const uint32_t call = uint32_t(RpcCall::Close);
        const int other = connect_to(other_path_);

        head[9] = 0x15;
        memcpy(head + 10, &call, sizeof call);
        if (other >= 0) (void)give(other, head, sizeof head);
    }

  private:
    bool take(void *to, size_t bytes) {
        for (size_t at = 0; at < bytes;) {
            const ssize_t got = ::read(fd_, static_cast<uint8_t *>(to) + at, bytes - at);

            if (got == 0 || (got < 0 && errno != EINTR)) return false;
            if (got > 0) at += size_t(got);
        }
        return true;
    }
    static bool give(int to, const void *from, size_t bytes) {
        for (size_t at = 0; at < bytes;) {
            const ssize_t sent =
                send(to, static_cast<const uint8_t *>(from) + at, bytes - at, MSG_NOSIGNAL);

            if (sent < 0 && errno != EINTR) return false;
            if (sent > 0) at += size_t(sent);
        }
        return true;
    }

    std::string path_, other_path_;
    int fd_ = -1;
};

// ---- Calls --------------------------------------------------------------------------------------

class Card {
  public:
    Card(const Kind &kind, unsigned units, const Mistakes &mistakes)
        : memory_(kind), units_(kind, units, mistakes, memory_),
          lose_completion_(mistakes.lose_completion) {}

    // Until the host has enough, or is gone.
    void serve() {
        cst_sim::RpcHeader header;
        std::vector<uint8_t> body;

        for (bool runs = false, moves = false;;) {
            if (!host_.asks(moves ? MOVES_NS : runs ? 0 : -1)) {
                moves = false;
                runs = units_.run();
                continue;
            }
            if (!host_.receive(header, body)) return;
            units_.wake();
            const std::string answer = call(header.call, body);
            if (header.call == RpcCall::Close) host_.tell_closed();
            if (!host_.answer(answer) || header.call == RpcCall::Close) return;
            moves = header.call != RpcCall::CopyFromDevice || answer.size() > LOOK_BYTES;
            runs = moves || units_.run();
        }
    }

  private:
    std::string call(RpcCall call, const std::vector<uint8_t> &body) {
        RpcFields fields;
        std::string answer;

        if (!fields.read(body.data(), body.size())) fail("a request that is no message");
        switch (call) {
        case RpcCall::CopyToDevice:
            copy_to(fields, answer);
            break;
        case RpcCall::CopyFromDevice:
            copy_from(fields, answer);
            break;
        case RpcCall::WriteRegister:
            write(fields, answer);
            break;
        case RpcCall::ReadRegister:
            read(fields, answer);
            break;
        case RpcCall::GetMessages:
            break;
        case RpcCall::SetEnvironment:
        case RpcCall::AllocBuffer:
        case RpcCall::FreeBuffer:
        case RpcCall::Close:
            cst_sim::rpc_put_number(answer, 1, 1);
            break;
        default:
            fail("a call of another version of XRT");
        }
        return answer;
    }

    // dest = 3, src = 4, size = 5, seek = 6 -> size = 1
    void copy_to(const RpcFields &fields, std::string &answer) {
        const RpcFields::Field &source = fields.text(4);
        const uint64_t bytes = fields.number(5);
        uint8_t *to = memory_.at(fields.number(3) + fields.number(6), bytes);

        if (!to || !source.bytes || source.value < bytes) fail("a copy to where no memory is");
        memcpy(to, source.bytes, bytes);
        cst_sim::rpc_put_number(answer, 1, bytes);
    }
    // src = 4, size = 5, skip = 6 -> size = 1, dest = 2
    void copy_from(const RpcFields &fields, std::string &answer) {
        const uint64_t bytes = fields.number(5);
        const uint8_t *from = memory_.at(fields.number(4) + fields.number(6), bytes);

        if (!from) fail("a copy from where no memory is");
        cst_sim::rpc_put_number(answer, 1, bytes);
        if (bytes <= LOOK_BYTES && is_lost(from)) {
            const std::vector<uint8_t> nothing(bytes);

            cst_sim::rpc_put_bytes(answer, 2, nothing.data(), bytes);
            return;
        }
        cst_sim::rpc_put_bytes(answer, 2, from, bytes);
    }
    // What a host that looks for a completion is not shown.
    bool is_lost(const uint8_t *completion) {
        uint32_t number;

        memcpy(&number, completion, sizeof number);
        if (number != 0) completions_++;
        return lose_completion_ && completions_ >= lose_completion_;
    }
    // addr = 2, size = 3, data = 4 -> valid = 1
    void write(const RpcFields &fields, std::string &answer) {
        const RpcFields::Field &data = fields.text(4);
        const uint64_t bytes = fields.number(3);

        if (!data.bytes || data.value < bytes) fail("a write to a register without its value");
        cst_sim::rpc_put_number(answer, 1, units_.write(fields.number(2), data.bytes, bytes));
    }
    // addr = 2, size = 3 -> valid = 1, data = 2
    void read(const RpcFields &fields, std::string &answer) {
        std::vector<uint8_t> words(fields.number(3) & (UNIT_BYTES - 1));

        cst_sim::rpc_put_number(answer, 1,
                                units_.read(fields.number(2), words.data(), words.size()));
        cst_sim::rpc_put_bytes(answer, 2, words.data(), words.size());
    }

    Memory memory_;
    Units units_;
    const unsigned long lose_completion_;
    unsigned long completions_ = 0; // that were asked for and there
    Host host_;
};

} // namespace

// The number behind an option; `other`: it is not there.
static unsigned long option(int argc, char **argv, const char *name, unsigned long other) {
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0) return strtoul(argv[i + 1], nullptr, 10);
    return other;
}

// `--card NAME`; without it the first.
const Kind *kind_of(int argc, char **argv) {
    const char *name = kinds[0].name;

    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--card") == 0) name = argv[i + 1];
    for (const Kind &kind : kinds)
        if (strcmp(kind.name, name) == 0) return &kind;
    return nullptr;
}

int main(int argc, char **argv) {
    const Kind *kind = kind_of(argc, argv);
    const unsigned long units = option(argc, argv, "--units", 0);
    const Mistakes mistakes = {uint32_t(option(argc, argv, "--version", 0)),
                               option(argc, argv, "--hide-arguments", 0),
                               option(argc, argv, "--lose-done", 0),
                               option(argc, argv, "--lose-completion", 0)};

    if (!kind || units < 1 || units > UNITS_MAX || mistakes.version > 255) {
        fprintf(stderr,
                "usage: constellation-card --card CARD --units 1..%u, started by XRT alone: see "
                "constellation "
                "device emulate\n  for tests: --version N, --hide-arguments 1, --lose-done N, "
                "--lose-completion N\n",
                UNITS_MAX);
        return 2;
    }
    Card(*kind, unsigned(units), mistakes).serve();
    return 0;
}
