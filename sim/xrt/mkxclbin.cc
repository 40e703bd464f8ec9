// usage: constellation-mkxclbin --card CARD --units N --simulate FILE OUT
//        constellation-mkxclbin --kernel-xml
//        constellation-mkxclbin --link CARD
// Writes the container that XRT loads for the emulated card: of device/kernel_map.h, with the
// script that XRT starts as the device. --kernel-xml prints what the packaging for Vitis takes
// (hw/vitis/kernel.xml), --link which port goes to which memory of a card (hw/vitis/CARD.cfg).
//
//   axlf | section headers | xml | memory | kernels | who uses which memory | zip: the script
//
// --damage NAME writes one that a host has to refuse, for tests: see damages.
#include "device/kernel_map.h"

#include <xrt/xclbin.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr uint64_t UNITS_AT = 0x1800000; // of the card's register space
constexpr uint64_t UNIT_BYTES = 0x10000;
constexpr unsigned UNITS_MAX = 8;

struct Card {
    const char *name, *platform;
    unsigned banks, bank_mib, clock_mhz;
};
constexpr Card cards[] = {
#define CARD(NAME, PLATFORM, BANKS, MIB, MHZ) {NAME, PLATFORM, BANKS, MIB, MHZ},
    CSTI_KERNEL_CARD_MAP(CARD)
#undef CARD
};

enum Kind { PORT, NUMBER };
struct Argument {
    std::string name, port;
    unsigned id, offset, bytes;
    bool is_address;
};

// What can be wrong with a container, for tests.
struct Damage {
    bool name, argument, bank, control;
};
struct NamedDamage {
    const char *name;
    bool Damage::*what;
};
constexpr NamedDamage damages[] = {{"name", &Damage::name},
                                   {"argument", &Damage::argument},
                                   {"bank", &Damage::bank},
                                   {"control", &Damage::control}};

std::string channel_name(unsigned channel) {
    char text[8];

    snprintf(text, sizeof text, "c%02u", channel % 100);
    return text;
}

std::vector<Argument> arguments_of(const Damage &damage) {
    std::vector<Argument> arguments = {
#define ARGUMENT(NAME, ID, OFFSET, BYTES, KIND, WORD)                                              \
    {WORD,  KIND == PORT ? CSTI_KERNEL_BATCH_PORT : CSTI_KERNEL_CONTROL_PORT,                      \
     ID,    OFFSET,                                                                                \
     BYTES, KIND == PORT},
        CSTI_KERNEL_ARGUMENT_MAP(ARGUMENT)
#undef ARGUMENT
    };

    for (unsigned c = 0; c < CSTI_KERNEL_CHANNELS; c++)
        arguments.push_back({channel_name(c), "m_axi_" + channel_name(c),
                             CSTI_KERNEL_ARGUMENT_CHANNEL + c, CSTI_KERNEL_AT_CHANNEL + 8 * c, 8,
                             true});
    if (damage.argument) arguments[CSTI_KERNEL_ARGUMENT_IMAGE].offset += 8;
    return arguments;
}

std::string kernel_name(const Damage &damage) {
    return damage.name ? "another_kernel" : CSTI_KERNEL_NAME;
}

// ---- The description ----------------------------------------------------------------------------

std::string port_xml(const std::string &name, unsigned bits, bool is_master) {
    std::ostringstream out;

    out << "      <port name=\"" << name << "\" mode=\"" << (is_master ? "master" : "slave")
        << "\" range=\"" << (is_master ? "0xFFFFFFFFFFFFFFFF" : "0x1000") << "\" dataWidth=\""
        << bits << "\" portType=\"addressable\" base=\"0x0\"/>\n";
    return out.str();
}

std::string argument_xml(const Argument &argument) {
    std::ostringstream out;
    const unsigned bytes = argument.is_address ? 8 : argument.bytes;

    out << "      <arg name=\"" << argument.name << "\" addressQualifier=\""
        << (argument.is_address ? 1 : 0) << "\" id=\"" << argument.id << "\" port=\""
        << argument.port << "\" size=\"0x" << bytes << "\" offset=\"0x" << std::hex
        << argument.offset << std::dec << "\" type=\""
        << (argument.is_address ? "void*"
            : bytes == 8        ? "ulong"
                                : "uint")
        << "\" hostOffset=\"0x0\" hostSize=\"0x" << bytes << "\"/>\n";
    return out.str();
}

// Of a container (`instances`), where a kernel has no type, and what it has stands side by side; or
// for the packaging, which has groups.
std::string kernel_xml(const std::vector<Argument> &arguments, const Damage &damage,
                       const std::string &instances) {
    const bool groups = instances.empty();
    std::ostringstream out;

    out << "    <kernel name=\"" << kernel_name(damage)
        << "\" language=\"ip_c\" vlnv=\"constellation:kernel:" << CSTI_KERNEL_NAME << ":1."
        << CSTI_KERNEL_VERSION << "\" attributes=\"\" preferredWorkGroupSizeMultiple=\"0\""
        << " workGroupSize=\"1\" interrupt=\"true\" hwControlProtocol=\""
        << (damage.control ? "ap_ctrl_hs" : "ap_ctrl_chain") << "\">\n"
        << (groups ? "    <ports>\n" : "") << port_xml(CSTI_KERNEL_CONTROL_PORT, 32, false)
        << port_xml(CSTI_KERNEL_BATCH_PORT, CSTI_KERNEL_DATA_BITS, true);
    for (unsigned c = 0; c < CSTI_KERNEL_CHANNELS; c++)
        out << port_xml("m_axi_" + channel_name(c), CSTI_KERNEL_DATA_BITS, true);
    if (groups) out << "    </ports>\n    <args>\n";
    for (const Argument &argument : arguments) out << argument_xml(argument);
    out << (groups ? "    </args>\n" : "") << instances << "    </kernel>\n";
    return out.str();
}

std::string unit_name(unsigned unit) {
    return std::string(CSTI_KERNEL_NAME "_") + std::to_string(unit + 1);
}

std::string card_xml(const Card &card, unsigned units, const Damage &damage) {
    std::ostringstream out, instances;

    for (unsigned u = 0; u < units; u++)
        instances << "    <instance name=\"" << unit_name(u) << "\"><addrRemap base=\"0x"
                  << std::hex << UNITS_AT + u * UNIT_BYTES << "\" range=\"0x" << UNIT_BYTES
                  << std::dec << "\" port=\"" << CSTI_KERNEL_CONTROL_PORT << "\"/></instance>\n";
    out << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<project name=\"constellation\">\n"
        << "  <platform vendor=\"xilinx\" boardid=\"" << card.name << "\" name=\"" << card.platform
        << "\" featureRomTime=\"0\">\n  <version major=\"3\" minor=\"0\"/>\n"
        << "  <device name=\"fpga0\" fpgaDevice=\"virtexuplusHBM:" << card.name << "\">\n"
        << "  <core name=\"OCL_REGION_0\" type=\"clc_region\" clockFreq=\"0MHz\" numComputeUnits=\""
        << units << "\">\n  <kernelClocks><clock port=\"KERNEL_CLK\" frequency=\"" << card.clock_mhz
        << ".0MHz\"/><clock port=\"DATA_CLK\" frequency=\"" << card.clock_mhz
        << ".0MHz\"/></kernelClocks>\n"
        << kernel_xml(arguments_of(damage), damage, instances.str())
        << "  </core>\n  </device>\n  </platform>\n</project>\n";
    return out.str();
}

// For the linker of Vitis: one kernel, where HBM is.
std::string link_config(const Card &card) {
    std::ostringstream out;
    const std::string unit = unit_name(0);

    out << "# constellation-mkxclbin --link " << card.name << ": of host/src/device/kernel_map.h\n"
        << "platform=" << card.platform << "\nkernel_frequency=0:" << card.clock_mhz
        << "\n\n[connectivity]\nnk=" << CSTI_KERNEL_NAME << ":1:" << unit << "\nslr=" << unit
        << ":SLR0\n";
    for (unsigned c = 0; c < CSTI_KERNEL_CHANNELS; c++)
        out << "sp=" << unit << ".m_axi_" << channel_name(c) << ":HBM[" << c << "]\n";
    out << "sp=" << unit << "." << CSTI_KERNEL_BATCH_PORT << ":HBM[" << CSTI_KERNEL_BANK_BATCH
        << ":" << CSTI_KERNEL_BANK_RESULTS << "]\n";
    return out.str();
}

// ---- A zip of one file, as it is ----------------------------------------------------------------

using Bytes = std::vector<uint8_t>;

template <class Value> void put(Bytes &out, Value value) {
    for (size_t i = 0; i < sizeof value; i++) out.push_back(uint8_t(uint64_t(value) >> 8 * i));
}

void put_text(Bytes &out, const std::string &text) {
    out.insert(out.end(), text.begin(), text.end());
}

uint32_t crc32_of(const std::string &text) {
    uint32_t crc = ~UINT32_C(0);

    for (const char c : text) {
        crc ^= uint8_t(c);
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (UINT32_C(0xedb88320) & (0 - (crc & 1)));
    }
    return ~crc;
}

// What the local and the central header of a zip have in common.
void put_zip_entry(Bytes &out, const std::string &name, const std::string &text) {
    put<uint16_t>(out, 20);
    put<uint16_t>(out, 0);
    put<uint16_t>(out, 0);          // stored
    put<uint32_t>(out, 0x00210000); // the first day that there is
    put<uint32_t>(out, crc32_of(text));
    put<uint32_t>(out, uint32_t(text.size()));
    put<uint32_t>(out, uint32_t(text.size()));
    put<uint16_t>(out, uint16_t(name.size()));
    put<uint16_t>(out, 0);
}

Bytes zip_of(const std::string &name, const std::string &text) {
    Bytes out;

    put<uint32_t>(out, 0x04034b50);
    put_zip_entry(out, name, text);
    put_text(out, name);
    put_text(out, text);
    const size_t central = out.size();
    put<uint32_t>(out, 0x02014b50);
    put<uint16_t>(out, 0x0314); // made on unix: the mode below holds
    put_zip_entry(out, name, text);
    put<uint16_t>(out, 0);
    put<uint16_t>(out, 0);
    put<uint16_t>(out, 0);
    put<uint32_t>(out, UINT32_C(0100755) << 16);
    put<uint32_t>(out, 0);
    put_text(out, name);
    const size_t bytes = out.size() - central;
    put<uint32_t>(out, 0x06054b50);
    put<uint32_t>(out, 0);
    put<uint16_t>(out, 1);
    put<uint16_t>(out, 1);
    put<uint32_t>(out, uint32_t(bytes));
    put<uint32_t>(out, uint32_t(central));
    put<uint16_t>(out, 0);
    return out;
}

// ---- Sections -----------------------------------------------------------------------------------

// The count and all entries; both are what the vendor's structs say.
template <class Entry> Bytes table_of(const std::vector<Entry> &entries, size_t first) {
    Bytes out(first + entries.size() * sizeof(Entry));
    const int32_t count = int32_t(entries.size());

    memcpy(out.data(), &count, sizeof count);
    if (!entries.empty()) memcpy(out.data() + first, entries.data(), out.size() - first);
    return out;
}

Bytes memory_of(const Card &card) {
    std::vector<mem_data> banks;

    for (unsigned b = 0; b < card.banks; b++) {
        mem_data bank = {};

        bank.m_type = MEM_DRAM;
        bank.m_used = 1;
        bank.m_size = uint64_t(card.bank_mib) << 10; // in KiB
        bank.m_base_address = (uint64_t(card.bank_mib) << 20) * b;
        snprintf(reinterpret_cast<char *>(bank.m_tag), sizeof bank.m_tag, "HBM[%u]", b);
        banks.push_back(bank);
    }
    return table_of(banks, offsetof(mem_topology, m_mem_data));
}

Bytes units_of(unsigned units, const Damage &damage) {
    std::vector<ip_data> ips;

    for (unsigned u = 0; u < units; u++) {
        ip_data ip = {};
        const std::string name = kernel_name(damage) + ":" + unit_name(u);

        ip.m_type = IP_KERNEL;
        ip.properties = uint32_t(damage.control ? AP_CTRL_HS : AP_CTRL_CHAIN) << IP_CONTROL_SHIFT;
        ip.m_base_address = UNITS_AT + u * UNIT_BYTES;
        snprintf(reinterpret_cast<char *>(ip.m_name), sizeof ip.m_name, "%s", name.c_str());
        ips.push_back(ip);
    }
    return table_of(ips, offsetof(ip_layout, m_ip_data));
}

Bytes connections_of(unsigned units, const Damage &damage) {
    std::vector<connection> all;

    for (unsigned u = 0; u < units; u++) {
        for (const Argument &argument : arguments_of(damage)) {
            const int channel = int(argument.id) - CSTI_KERNEL_ARGUMENT_CHANNEL;

            if (!argument.is_address) continue;
            if (channel >= 0) {
                all.push_back({int32_t(argument.id), int32_t(u), channel});
                continue;
            }
            all.push_back({int32_t(argument.id), int32_t(u), CSTI_KERNEL_BANK_BATCH});
            all.push_back({int32_t(argument.id), int32_t(u), CSTI_KERNEL_BANK_RESULTS});
        }
    }
    if (damage.bank) all[4].mem_data_index = 3; // channel 0's
    return table_of(all, offsetof(connectivity, m_connection));
}

struct Section {
    axlf_section_kind kind;
    Bytes bytes;
};

Bytes container_of(const Card &card, const std::vector<Section> &sections) {
    const size_t first = offsetof(axlf, m_sections);
    Bytes out(first + sections.size() * sizeof(axlf_section_header));
    axlf top = {};

    memcpy(top.m_magic, "xclbin2", sizeof top.m_magic);
    top.m_signature_length = -1;
    memset(top.reserved, 0xff, sizeof top.reserved);
    memset(top.m_keyBlock, 0xff, sizeof top.m_keyBlock);
    top.m_header.m_versionMajor = 2;
    top.m_header.m_versionMinor = 13;
    top.m_header.m_mode = XCLBIN_HW_EMU;
    snprintf(reinterpret_cast<char *>(top.m_header.m_platformVBNV),
             sizeof top.m_header.m_platformVBNV, "%s", card.platform);
    top.m_header.m_numSections = uint32_t(sections.size());
    for (size_t i = 0; i < sections.size(); i++) {
        axlf_section_header header = {};

        while (out.size() % 8 != 0) out.push_back(0);
        header.m_sectionKind = sections[i].kind;
        header.m_sectionOffset = out.size();
        header.m_sectionSize = sections[i].bytes.size();
        out.insert(out.end(), sections[i].bytes.begin(), sections[i].bytes.end());
        memcpy(out.data() + first + i * sizeof header, &header, sizeof header);
    }
    // Its name is of its bytes: equal arguments give equal files.
    const std::string text(out.begin(), out.end());
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t word = crc32_of(text + char('0' + i));

        memcpy(top.m_header.uuid + 4 * i, &word, sizeof word);
    }
    top.m_uniqueId = crc32_of(text);
    top.m_header.m_length = out.size();
    memcpy(out.data(), &top, first);
    return out;
}

// ---- The command --------------------------------------------------------------------------------

struct Order {
    const Card *card = nullptr;
    unsigned units = 1;
    std::string simulate, out;
    Damage damage = {};
    bool xml = false, link = false;
};

bool order_read(const std::vector<std::string> &words, Order &order) {
    for (size_t i = 0; i < words.size(); i++) {
        const bool has_value = i + 1 < words.size();

        if (words[i] == "--kernel-xml") {
            order.xml = true;
        } else if ((words[i] == "--card" || words[i] == "--link") && has_value) {
            order.link = words[i] == "--link";
            for (const Card &card : cards)
                if (words[i + 1] == card.name) order.card = &card;
            i++;
        } else if (words[i] == "--units" && has_value) {
            order.units = unsigned(strtoul(words[++i].c_str(), nullptr, 10));
        } else if (words[i] == "--simulate" && has_value) {
            order.simulate = words[++i];
        } else if (words[i] == "--damage" && has_value) {
            for (const NamedDamage &damage : damages)
                if (words[i + 1] == damage.name) order.damage.*damage.what = true;
            i++;
        } else if (words[i][0] != '-' && order.out.empty()) {
            order.out = words[i];
        } else {
            return false;
        }
    }
    if (order.link) return order.card != nullptr;
    return order.xml || (order.card && order.units >= 1 && order.units <= UNITS_MAX &&
                         !order.simulate.empty() && !order.out.empty());
}

bool file_read(const std::string &path, std::string &out) {
    std::ifstream file(path, std::ios::binary);

    out.assign(std::istreambuf_iterator<char>(file), {});
    return file.good() || file.eof();
}

Bytes bytes_of(const std::string &text) {
    return Bytes(text.begin(), text.end());
}

int xclbin_write(const Order &order) {
    std::string script;

    if (!file_read(order.simulate, script) || script.empty()) {
        fprintf(stderr, "constellation-mkxclbin: %s: cannot be read\n", order.simulate.c_str());
        return 1;
    }
    const Bytes container =
        container_of(*order.card, {{EMBEDDED_METADATA,
                                    bytes_of(card_xml(*order.card, order.units, order.damage))},
                                   {MEM_TOPOLOGY, memory_of(*order.card)},
                                   {IP_LAYOUT, units_of(order.units, order.damage)},
                                   {CONNECTIVITY, connections_of(order.units, order.damage)},
                                   {BITSTREAM, zip_of("behav_waveform/xsim/simulate.sh", script)}});
    std::ofstream file(order.out, std::ios::binary);

    file.write(reinterpret_cast<const char *>(container.data()), std::streamsize(container.size()));
    file.close();
    if (file.good()) return 0;
    fprintf(stderr, "constellation-mkxclbin: %s: cannot be written\n", order.out.c_str());
    return 1;
}

} // namespace

int main(int argc, char **argv) {
    Order order;

    if (!order_read(std::vector<std::string>(argv + 1, argv + argc), order)) {
        fprintf(stderr,
                "usage: constellation-mkxclbin --card u50|u55c|u280 --units 1..%u "
                "--simulate FILE OUT\n       constellation-mkxclbin --kernel-xml\n       "
                "constellation-mkxclbin --link CARD\n",
                UNITS_MAX);
        return 2;
    }
    if (order.link) {
        std::cout << link_config(*order.card);
        return 0;
    }
    if (!order.xml) return xclbin_write(order);
    std::cout << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
              << "<!-- constellation-mkxclbin makes this of host/src/device/kernel_map.h -->\n"
              << "<root versionMajor=\"1\" versionMinor=\"6\">\n"
              << kernel_xml(arguments_of(order.damage), order.damage, "") << "</root>\n";
    return 0;
}
