// rpc.hpp: messages of XRT's hardware emulation (2.13), as they stand on its sockets.
//
//   request   09 | body's bytes (8) | 15 | call (4) | body      the body: protobuf's wire format
//   answer    09 | body's bytes (8)                 | body
//
// The fields of each call that are used here are named beside it in card.cc.
#ifndef CST_SIM_XRT_RPC_HPP
#define CST_SIM_XRT_RPC_HPP

#include <cstdint>
#include <cstring>
#include <string>

namespace cst_sim {

constexpr size_t RPC_REQUEST_BYTES = 14, RPC_ANSWER_BYTES = 9;
constexpr uint64_t RPC_BODY_BYTES_MAX = UINT64_C(1) << 30;

enum class RpcCall : uint32_t {
    Close = 1,
    AllocBuffer = 4,
    FreeBuffer = 5,
    CopyToDevice = 6,
    CopyFromDevice = 7,
    WriteRegister = 9,
    ReadRegister = 11,
    GetMessages = 19,
    SetEnvironment = 20,
};

struct RpcHeader {
    uint64_t bytes;
    RpcCall call;
};

// False: it is no header of a request.
inline bool rpc_header_read(const uint8_t *from, RpcHeader &out) {
    uint32_t call;

    if (from[0] != 0x09 || from[9] != 0x15) return false;
    memcpy(&out.bytes, from + 1, sizeof out.bytes);
    memcpy(&call, from + 10, sizeof call);
    out.call = RpcCall(call);
    return out.bytes <= RPC_BODY_BYTES_MAX;
}

// What a body says of the fields 1 to 15: the last value of each.
class RpcFields {
  public:
    struct Field {
        uint64_t value;
        const uint8_t *bytes; // of a text or of bytes; NULL: a number
    };

    // False: it is no message.
    bool read(const uint8_t *at, size_t bytes) {
        const uint8_t *end = at + bytes;

        while (at < end) {
            uint64_t tag, value = 0;
            const uint8_t *text = nullptr;

            if (!number_read(at, end, tag)) return false;
            if ((tag & 7) == 0) {
                if (!number_read(at, end, value)) return false;
            } else if ((tag & 7) == 2) {
                if (!number_read(at, end, value) || value > uint64_t(end - at)) return false;
                text = at;
                at += value;
            } else {
                return false;
            }
            if (tag >> 3 < FIELDS) fields_[tag >> 3] = {value, text};
        }
        return true;
    }
    uint64_t number(unsigned field) const { return fields_[field].value; }
    const Field &text(unsigned field) const { return fields_[field]; }

  private:
    static constexpr unsigned FIELDS = 16;

    static bool number_read(const uint8_t *&at, const uint8_t *end, uint64_t &out) {
        out = 0;
        for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
            const uint8_t byte = *at++;

            out |= uint64_t(byte & 127) << shift;
            if (byte < 128) return true;
        }
        return false;
    }

    Field fields_[FIELDS] = {};
};

inline void rpc_put_varint(std::string &out, uint64_t value) {
    for (; value > 127; value >>= 7) out += char(value | 128);
    out += char(value);
}

inline void rpc_put_number(std::string &out, unsigned field, uint64_t value) {
    rpc_put_varint(out, field << 3);
    rpc_put_varint(out, value);
}

inline void rpc_put_bytes(std::string &out, unsigned field, const void *bytes, size_t count) {
    rpc_put_varint(out, field << 3 | 2);
    rpc_put_varint(out, count);
    out.append(static_cast<const char *>(bytes), count);
}

} // namespace cst_sim
#endif
