// kernel_map.h: the kernel cst_kernel_state as a host sees it: the one description of it.
//
//   kernel_map.h ──► the back ends' registers
//        │     └───► constellation-mkxclbin: hw/vitis/kernel.xml, and the xclbin of the emulated
//        card └─────────► scripts/check kernel: it is what hw/rtl, hw/vitis and docs/hardware.md
//        say
//
// What the registers do is in docs/hardware.md, Registers of a kernel, and Kernel.
//
// Promises   constants alone: no code, nothing of the host's behind it.
#ifndef CST_DEVICE_KERNEL_MAP_H
#define CST_DEVICE_KERNEL_MAP_H

#define CSTI_KERNEL_NAME "cst_kernel_state"
#define CSTI_KERNEL_CONTROL_PORT "s_axi_control"
#define CSTI_KERNEL_BATCH_PORT "m_axi_batch"

enum {
    CSTI_KERNEL_VERSION = 1, // of what stands in registers and memory; status 0, from bit 24 on
    CSTI_KERNEL_RANGE = 0x1000,
    CSTI_KERNEL_CHANNELS = 16, // ports m_axi_c00 to m_axi_c15
    CSTI_KERNEL_DATA_BITS = 512,
};

// X(name, id, offset, bytes, what it is): PORT is an address that m_axi_batch uses, NUMBER a number
// of so many bytes. XRT knows the memory of a port by an argument that is an address of it: behind
// these there is one for each channel, which the circuit does not read.
#define CSTI_KERNEL_ARGUMENT_MAP(X)                                                                \
    X(RING, 0, 0x010, 8, PORT, "ring")                                                             \
    X(COMPLETIONS, 1, 0x018, 8, PORT, "completions")                                               \
    X(RING_BITS, 2, 0x020, 4, NUMBER, "ring_bits")                                                 \
    X(FIRST, 3, 0x028, 8, NUMBER, "first")                                                         \
    X(END, 4, 0x030, 8, NUMBER, "end")                                                             \
    X(IMAGE, 5, 0x038, 8, NUMBER, "image")                                                         \
    X(STRIDE, 6, 0x040, 8, NUMBER, "stride")

enum {
#define CSTI_KERNEL_ARGUMENT(NAME, ID, OFFSET, BYTES, KIND, WORD)                                  \
    CSTI_KERNEL_ARGUMENT_##NAME = ID, CSTI_KERNEL_AT_##NAME = OFFSET,
    CSTI_KERNEL_ARGUMENT_MAP(CSTI_KERNEL_ARGUMENT)
#undef CSTI_KERNEL_ARGUMENT
        CSTI_KERNEL_ARGUMENT_CHANNEL = 7, // of channel 0; those of the others follow
    CSTI_KERNEL_AT_CHANNEL = 0x048,
    CSTI_KERNEL_ARGUMENTS = CSTI_KERNEL_ARGUMENT_CHANNEL + CSTI_KERNEL_CHANNELS,
};

// X(name, offset)
#define CSTI_KERNEL_REGISTER_MAP(X)                                                                \
    X(CTRL, 0x000)                                                                                 \
    X(GIE, 0x004)                                                                                  \
    X(IER, 0x008)                                                                                  \
    X(ISR, 0x00c)                                                                                  \
    X(STATUS, 0x800)                                                                               \
    X(COMPLETED, 0x804)                                                                            \
    X(CLOCKS, 0x808)                                                                               \
    X(COUNTERS, 0x810)

enum {
#define CSTI_KERNEL_REGISTER(NAME, OFFSET) CSTI_KERNEL_##NAME = OFFSET,
    CSTI_KERNEL_REGISTER_MAP(CSTI_KERNEL_REGISTER)
#undef CSTI_KERNEL_REGISTER
};

enum { // bits of CTRL
    CSTI_KERNEL_START = 1,
    CSTI_KERNEL_DONE = 2,
    CSTI_KERNEL_IDLE = 4,
    CSTI_KERNEL_READY = 8,
    CSTI_KERNEL_CONTINUE = 16,
    CSTI_KERNEL_SOFT_RESET = 256,
};

enum { CSTI_KERNEL_STATUS_VERSION_SHIFT = 24 };

// X(name, platform, banks of HBM, MiB of each, MHz of ap_clk): channel c of an image lies in bank
// c, batches in the bank behind the last of them, results in the next. What is linked for, and what
// is emulated, is of this: constellation-mkxclbin, constellation-card, device emulate.
#define CSTI_KERNEL_CARD_MAP(X)                                                                    \
    X("u50", "xilinx_u50_gen3x16_xdma_5_202210_1", 32, 256, 300)                                   \
    X("u55c", "xilinx_u55c_gen3x16_xdma_3_202210_1", 32, 512, 300)                                 \
    X("u280", "xilinx_u280_gen3x16_xdma_1_202211_1", 32, 256, 300)

enum {
    CSTI_KERNEL_BANK_BATCH = CSTI_KERNEL_CHANNELS,
    CSTI_KERNEL_BANK_RESULTS = CSTI_KERNEL_BANK_BATCH + 1,
};

#endif
