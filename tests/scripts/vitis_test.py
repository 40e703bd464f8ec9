"""hw/vitis/package.tcl, as far as it goes without Vivado: yosys' Tcl runs it, with procedures of
Vivado's names that write down how they were called; Verilator reads what it would package."""
import os
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
VITIS = os.path.join(ROOT, "hw/vitis")

# Each call is a line of words; what gives an object gives its own words back.
STUBS = r"""
set calls [open [lindex $argv_given 0] w]
proc note {args} {global calls; puts $calls [join $args "\t"]}
namespace eval ipx {}
foreach name {create_project add_files set_property update_compile_order package_xo current_fileset
        ipx::package_project ipx::associate_bus_interfaces ipx::create_xgui_files
        ipx::update_checksums ipx::check_integrity ipx::save_core ipx::current_core
        ipx::get_memory_maps ipx::get_address_blocks ipx::get_bus_interfaces ipx::add_register
        ipx::add_register_parameter ipx::add_bus_parameter} {
    proc ::$name {args} "note $name {*}\$args; return \[join \[lrange \$args 0 0\] { }\]"
}
proc ipx::add_register_parameter {name register} {
    note ipx::add_register_parameter $name $register; return $register.$name}
proc ipx::add_bus_parameter {name bus} {note ipx::add_bus_parameter $name $bus; return $bus.$name}
set argv [lrange $argv_given 1 end]
"""


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.kernel = ElementTree.parse(os.path.join(VITIS, "kernel.xml")).getroot().find("kernel")
        cls.result = cls.package(VITIS)
        with open(cls.path("calls"), encoding="utf-8") as calls:
            cls.calls = [line.rstrip("\n").split("\t") for line in calls]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    @classmethod
    def package(cls, vitis):
        given = [cls.path("calls"), "a-part", cls.path("work"), cls.path("out.xo")]
        with open(cls.path("driver.tcl"), "w", encoding="utf-8") as driver:
            driver.write(f"set argv_given {{{' '.join(given)}}}\n{STUBS}\n"
                         f"source {vitis}/package.tcl\nclose $calls\n")
        return subprocess.run(["yosys", "-q", "-c", cls.path("driver.tcl")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def named(self, name):
        return [call[1:] for call in self.calls if call[0] == name]

    def sources(self):
        files = self.named("add_files")[0][1].split()
        for file in files:
            self.assertTrue(os.path.exists(file), file)
        return files

    def test_every_port_has_the_clock_and_every_argument_its_register(self):
        self.assertEqual(self.result.returncode, 0, self.result.stdout.decode())
        ports = [port.get("name") for port in self.kernel.iter("port")]
        self.assertEqual(len(ports), 18)
        clocked = [call[1] for call in self.named("ipx::associate_bus_interfaces")
                   if call[0] == "-busif" and call[2:4] == ["-clock", "ap_clk"]]
        self.assertEqual(clocked, ports)
        offsets = {call[2]: int(call[1], 16) for call in self.named("set_property")
                   if call[0] == "address_offset"}
        sizes = {call[2]: int(call[1]) for call in self.named("set_property") if call[0] == "size"}
        wanted = {"CTRL": 0, "GIER": 4, "IP_IER": 8, "IP_ISR": 12}
        for argument in self.kernel.iter("arg"):
            name = argument.get("name")
            wanted[name] = int(argument.get("offset"), 16)
            self.assertEqual(sizes[name], 8 * int(argument.get("size"), 16))
        self.assertEqual(offsets, wanted)

    def test_an_argument_that_is_an_address_names_its_port(self):
        buses = {call[2]: call[1] for call in self.named("set_property") if call[0] == "value"}
        for argument in self.kernel.iter("arg"):
            bus = buses.get(argument.get("name") + ".ASSOCIATED_BUSIF")
            is_address = argument.get("addressQualifier") == "1"
            self.assertEqual(bus, argument.get("port") if is_address else None)

    def test_the_kernel_has_the_name_version_and_protocol_of_the_description(self):
        self.assertEqual(self.named("package_xo"),
                         [["-force", "-xo_path", self.path("out.xo"), "-kernel_name",
                           self.kernel.get("name"), "-ip_directory", self.path("work/ip"),
                           "-kernel_xml", os.path.join(VITIS, "kernel.xml")]])
        vendor, library, name, version = self.kernel.get("vlnv").split(":")
        properties = {call[0]: call[1] for call in self.named("set_property")}
        self.assertEqual((properties["name"], properties["version"]), (name, version))
        self.assertEqual(properties["vitis_drc"],
                         "ctrl_protocol " + self.kernel.get("hwControlProtocol"))
        packaged = self.named("ipx::package_project")[0]
        self.assertEqual((packaged[3], packaged[5]), (vendor, library))

    def test_what_is_packaged_is_read_without_a_warning(self):
        files = self.sources()
        modules = [name for _, _, names in os.walk(os.path.join(ROOT, "hw/rtl")) for name in names
                   if name.endswith(".sv")]
        self.assertEqual(len(files), len(modules) + 1)
        result = subprocess.run(
            ["verilator", "--lint-only", "-Wall", "-Wno-DECLFILENAME", "--no-timing", "--top-module",
             "cst_kernel_state", os.path.join(ROOT, "hw/rtl/lint.vlt"), *files],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual((result.returncode, result.stdout.decode()), (0, ""))

    def test_what_the_circuit_leaves_out_is_tied(self):
        with open(self.sources()[-1], encoding="utf-8") as module:
            text = module.read()
        for port in self.kernel.iter("port"):
            if port.get("mode") != "master":
                continue
            for signal in ("ARLOCK = 1'd0", "ARCACHE = 4'd3", "ARPROT = 3'd0", "ARQOS = 4'd0",
                           "AWREGION = 4'd0"):
                self.assertIn(f"  assign {port.get('name')}_{signal};\n", text)

    def test_a_description_without_a_kernel_ends_it(self):
        vitis = self.path("vitis")
        os.mkdir(vitis)
        with open(os.path.join(VITIS, "package.tcl"), encoding="utf-8") as script, \
                open(os.path.join(vitis, "package.tcl"), "w", encoding="utf-8") as copy:
            copy.write(script.read())
        with open(os.path.join(vitis, "kernel.xml"), "w", encoding="utf-8") as description:
            description.write("<root/>\n")
        result = self.package(vitis)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("kernel.xml: no kernel", result.stdout.decode())


class Make(unittest.TestCase):
    def make(self, *words):
        return subprocess.run(["make", "-n", "-C", VITIS, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)

    def test_each_card_is_linked_with_its_part_and_its_configuration(self):
        cards = [name[:-4] for name in os.listdir(VITIS) if re.fullmatch(r"u\d+c?\.cfg", name)]
        self.assertEqual(sorted(cards), ["u280", "u50", "u55c"])
        for card in cards:
            out = self.make("xclbin", f"CARD={card}").stdout.decode()
            self.assertIn(f"-tclargs xc{card}-", out)
            self.assertIn(f"--config {card}.cfg --config link.cfg", out)

    def test_another_card_is_refused(self):
        result = self.make("xclbin", "CARD=u200")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("CARD=u200: u50, u55c or u280", result.stdout.decode())

    def test_tools_that_are_not_there_are_refused(self):
        result = subprocess.run(["make", "-C", VITIS, "tools", "VIVADO=/no/vivado"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("vivado is not 2022.1", result.stdout.decode())


if __name__ == "__main__":
    unittest.main()
