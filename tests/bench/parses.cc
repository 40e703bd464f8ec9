// parses.cc: readers of NDJSON, on the rows of `bids`.
#include "peers_internal.h"

#include <simdjson.h>

#include <string_view>

namespace peers {
namespace {

// As its documents show it: a stream of documents, members looked up in the order they come in.
std::size_t simdjson_bids(const char *text, std::size_t bytes, const bench_parse_columns *out) {
    constexpr std::size_t batch_bytes = 1000000; // its own default
    static simdjson::ondemand::parser parser;
    simdjson::ondemand::document_stream stream;
    std::size_t row = 0;
    std::int32_t used = 0;

    const simdjson::padded_string_view padded(text, bytes, bytes + BENCH_PARSE_SLACK_BYTES);
    if (parser.iterate_many(padded.data(), bytes, batch_bytes).get(stream)) return 0;
    out->channel_offsets[0] = 0;
    for (auto document : stream) {
        simdjson::ondemand::object object;
        std::string_view channel;

        if (row == out->rows_max || document.get_object().get(object)) return 0;
        if (object["auction"].get_uint64().get(out->auction[row]) ||
            object["bidder"].get_uint64().get(out->bidder[row]) ||
            object["price"].get_uint64().get(out->price[row]) ||
            object["channel"].get_string().get(channel) ||
            object["at"].get_int64().get(out->at[row]))
            return 0;
        std::memcpy(out->channel + used, channel.data(), channel.size());
        used += static_cast<std::int32_t>(channel.size());
        out->channel_offsets[++row] = used;
    }
    return row;
}

} // namespace

const bench_peer_parse parses[] = {{"simdjson::ondemand", simdjson_bids}};
const std::size_t parses_count = sizeof parses / sizeof *parses;

} // namespace peers
