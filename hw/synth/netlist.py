"""A netlist as yosys writes it for UltraScale+ (write_json): what it takes, and its longest path.

A path runs from a register, a memory or a port of the module to another. Its levels:

    LUT, read of LUT memory     1
    MUXF7, MUXF8, MUXF9         0, they stand behind their LUTs
    carry chain of n bits       3 for each 64 bits, by parts: 1 up to 21, 2 up to 42, 3 up to 64

so that 6 levels are 6 LUTs, or a chain of 64 bits and 3 LUTs. A chain's bits are those between the one
that the path enters by and the one that it leaves by.
"""

import collections
import re

LEVELS_MAX = 6
CHAIN_LEVELS, CHAIN_BITS = 3, 64

# Kind of cell: how many LUTs it takes.
LUT_MEMORY = {"RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
              "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8, "RAM32M": 4, "RAM64M": 4,
              "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8, "RAM64X8SW": 8}
BLOCK_MEMORY = {"RAMB18E2": 0.5, "RAMB36E2": 1.0}
CARRY = {"CARRY4": 4, "CARRY8": 8}
CONSTANT = frozenset("01xz")

Path = collections.namedtuple("Path", "levels luts chains start end")


class Unreadable(Exception):
    """A netlist with something that this module does not know."""


def chain_levels(bits):
    return -(-CHAIN_LEVELS * bits // CHAIN_BITS)


class Netlist:
    """One module, flat but for parts that are black boxes, which are not counted: paths end and begin
    at their ports. Nets are numbers; `arrival` of a net: (levels, luts, through what)."""

    def __init__(self, module, parts=()):
        self.cells = module["cells"]
        self.ports = module["ports"]
        self.names = {}
        self.name_nets(module["netnames"])
        self.drivers = {}  # net: (cell, port, bit)
        self.counts = collections.Counter()
        self.parts = frozenset(parts)
        self.chains = {}   # carry cell: (its chain's cells in order, how many bits are before it)
        self.arrivals = {}
        self.read_cells()
        self.read_chains()

    def name_nets(self, netnames):
        """The name that a person gave a net, if one did; of several the shortest."""
        for name, net in netnames.items():
            rank = (net.get("hide_name", 0), not name.endswith("_q"), name.count("."), len(name), name)
            for index, bit in enumerate(net["bits"]):
                if bit not in CONSTANT and (bit not in self.names or rank < self.names[bit][0]):
                    self.names[bit] = (rank, name, index, len(net["bits"]))

    def name(self, net, index=True):
        if net not in self.names:
            return "?"
        _, name, at, width = self.names[net]
        return f"{name}[{at}]" if index and width > 1 else name

    def read_cells(self):
        for name, cell in self.cells.items():
            kind = cell["type"]
            self.counts[kind] += 1
            if kind in self.parts:
                continue  # its outputs have no driver here, as the module's own inputs have none
            if not (kind in CARRY or kind in LUT_MEMORY or kind in BLOCK_MEMORY
                    or re.match(r"LUT[1-6]$|INV$|MUXF[789]$|FD[A-Z]+$|SRL|URAM288|DSP48E2$|BUF", kind)):
                raise Unreadable(f"cell {name} is a {kind}, which netlist.py does not know")
            for port, direction in cell["port_directions"].items():
                if direction == "output":
                    for bit, net in enumerate(cell["connections"].get(port, [])):
                        self.drivers[net] = (name, port, bit)

    def read_chains(self):
        """Carry cells, each with those whose carry it goes on with."""
        behind, heads = {}, []
        for name, cell in self.cells.items():
            if cell["type"] not in CARRY:
                continue
            driver = self.drivers.get(cell["connections"]["CI"][0])
            if driver and driver[1] == "CO" and driver[2] == CARRY[cell["type"]] - 1:
                behind[driver[0]] = name
            else:
                heads.append(name)
        for name in heads:
            chain = [name]
            while chain[-1] in behind:
                chain.append(behind[chain[-1]])
            for at, link in enumerate(chain):
                self.chains[link] = (chain, at * CARRY[self.cells[link]["type"]])

    def resources(self):
        """What it takes; inverters are counted as LUTs, though a tool may find another place for them."""
        luts = sum(count for kind, count in self.counts.items() if re.match(r"LUT|INV$", kind))
        memory = sum(LUT_MEMORY.get(kind, 0) * count for kind, count in self.counts.items())
        shifts = sum(count for kind, count in self.counts.items() if kind.startswith("SRL"))
        return {"lut": luts + memory + shifts, "lut_memory": memory + shifts,
                "ff": sum(count for kind, count in self.counts.items() if kind.startswith("FD")),
                "carry": sum(count * CARRY[kind] for kind, count in self.counts.items() if kind in CARRY),
                "bram": sum(BLOCK_MEMORY.get(kind, 0) * count for kind, count in self.counts.items()),
                "uram": sum(count for kind, count in self.counts.items() if kind.startswith("URAM")),
                "dsp": self.counts["DSP48E2"]}

    # ---- Paths ----------------------------------------------------------------------------------
    def through(self, net):
        """The nets that this one follows in the same clock: (net, LUTs, bits of carry chain)."""
        driver = self.drivers.get(net)
        if driver is None:
            return []
        name, port, bit = driver
        kind, pins = self.cells[name]["type"], self.cells[name]["connections"]
        if re.match(r"LUT|INV$", kind):
            return [(pins[pin][0], 1, 0) for pin in pins if pin != port]
        if kind.startswith(("MUXF", "BUF")):
            return [(pins[pin][0], 0, 0) for pin in pins if pin != port]
        if kind in CARRY:
            return self.through_chain(name, port, bit)
        if kind in LUT_MEMORY:
            return [(address, 1, 0) for address in self.read_address(kind, port, pins)]
        if kind.startswith("SRL"):
            return [(address, 1, 0) for pin in pins if pin.startswith("A") for address in pins[pin]]
        if kind == "DSP48E2" and self.is_combinational(name):
            raise Unreadable(f"cell {name}: a path through a DSP without registers has no levels here")
        return []

    def through_chain(self, name, port, bit):
        chain, before = self.chains[name]
        last, found = before + bit, []
        for link in chain:
            pins, first = self.cells[link]["connections"], self.chains[link][1]
            if first > last:
                break
            if first == 0:
                for pin in ("CI", "CYINIT", "CI_TOP"):
                    found += [(net, 0, last + 1) for net in pins.get(pin, [])]
            for at, (select, data) in enumerate(zip(pins["S"], pins["DI"]), first):
                if at > last:
                    break
                found.append((select, 0, last - at + 1))
                if at < last or port == "CO":
                    found.append((data, 0, last - at + 1))
        return found

    @staticmethod
    def read_address(kind, port, pins):
        """The pins that a LUT memory's output follows."""
        if port.startswith("DO"):
            wanted = ["ADDR" + port[2]]
        elif port == "DPO":
            wanted = [pin for pin in pins if pin.startswith("DPRA")]
        elif port in ("SPO", "O"):
            wanted = [pin for pin in pins if re.match(r"A\d*$", pin)]
        else:
            raise Unreadable(f"{kind} has an output {port}, which netlist.py does not know")
        return [net for pin in wanted for net in pins[pin]]

    def is_combinational(self, name):
        parameters = self.cells[name]["parameters"]
        return all(int(parameters.get(stage, "0"), 2) == 0 for stage in ("MREG", "PREG"))

    def arrival(self, net):
        """(levels, LUTs, net before, bits of chain on the way) of the longest path to a net."""
        waiting = [net]
        while waiting:
            now = waiting[-1]
            if now in self.arrivals and self.arrivals[now] is not None:
                waiting.pop()
                continue
            inputs = [entry for entry in self.through(now) if entry[0] not in CONSTANT]
            missing = [entry[0] for entry in inputs if self.arrivals.get(entry[0]) is None]
            if missing:
                if now in self.arrivals:
                    raise Unreadable(f"a combinational loop runs through {self.name(now)}")
                self.arrivals[now] = None
                again = [entry for entry in missing if entry in self.arrivals]
                if again:
                    raise Unreadable(f"a combinational loop runs through {self.name(again[0])}")
                waiting += missing
                continue
            best = (0, 0, None, 0)
            for before, luts, bits in inputs:
                levels, sum_of_luts = self.arrivals[before][:2]
                found = (levels + luts + chain_levels(bits), sum_of_luts + luts, before, bits)
                best = max(best, found, key=lambda entry: entry[:2])
            self.arrivals[now] = best
            waiting.pop()
        return self.arrivals[net]

    def path(self, net, end):
        """The longest path that ends with this net."""
        levels, luts, before, _ = self.arrival(net)
        chains, at = [], net
        while before is not None:
            bits = self.arrivals[at][3]
            if bits:
                chains.insert(0, bits)
            at, before = before, self.arrivals[before][2]
        return Path(levels, luts, chains, self.start(at), end)

    def start(self, net):
        return self.name(net)

    def ends(self):
        """(net, what it ends in) of all that a clock or a port takes."""
        for name, cell in self.cells.items():
            kind, pins = cell["type"], cell["connections"]
            if kind.startswith("FD"):
                to = self.name(pins["Q"][0])
                for pin in ("D", "CE", "R", "S", "CLR", "PRE"):
                    for net in pins.get(pin, []):
                        yield net, to if pin == "D" else f"{to} ({pin})"
            elif kind in self.parts:
                for pin, nets in pins.items():
                    if cell["port_directions"][pin] == "input":
                        for index, net in enumerate(nets):
                            yield net, f"{name}.{pin}" + (f"[{index}]" if len(nets) > 1 else "")
            elif kind in LUT_MEMORY or kind in BLOCK_MEMORY or re.match(r"SRL|URAM|DSP", kind):
                to = re.sub(r"(\.\d+)+$", "", name)  # the memory's own name, as the sources have it
                for pin, nets in pins.items():
                    if cell["port_directions"][pin] == "input" and "CLK" not in pin:
                        for net in nets:
                            yield net, f"{to} ({kind}.{pin})"
        for name, port in self.ports.items():
            if port["direction"] == "output":
                for index, net in enumerate(port["bits"]):
                    yield net, f"{name}[{index}]" if len(port["bits"]) > 1 else name

    def paths(self):
        """The longest path to each register, memory and port, the longest of all first; of a
        register's bits one."""
        found = {}
        for net, end in self.ends():
            if net in CONSTANT:
                continue
            levels, luts = self.arrival(net)[:2]
            group = re.sub(r"\[\d+\]", "", end)
            if group not in found or (levels, luts) > found[group][:2]:
                found[group] = (levels, luts, net, end)
        ordered = sorted(found.values(), key=lambda entry: (-entry[0], -entry[1], entry[3]))
        return [self.path(net, end) for _, _, net, end in ordered]
