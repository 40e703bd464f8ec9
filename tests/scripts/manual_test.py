"""The man page and the completion know every verb and option that the program's own help names."""

import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ["CST_PROGRAM"]


def help_of(*verbs):
    return subprocess.run([PROGRAM, *verbs, "--help"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout


def verbs_in(text):
    """Lines of two spaces, a word, and what it does; no options."""
    return re.findall(r"^  ([a-z][a-z-]*)\s{2,}\S", text, flags=re.M)


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def complete(*words):
    """What bash offers behind these words."""
    script = ('source "$1"; shift; COMP_WORDS=(constellation "$@"); COMP_CWORD=$#; _constellation; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return subprocess.run(["bash", "-c", script, "-", os.path.join(ROOT, "packaging/constellation"
                                                                  ".bash"), *words, ""],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.split()


class Manual(unittest.TestCase):
    def setUp(self):
        self.manual = read("packaging/constellation.1").replace(r"\-", "-")
        self.commands = []
        for verb in verbs_in(help_of()):
            inner = [] if verb == "bench" else verbs_in(help_of(verb))
            self.commands += [(verb, sub) for sub in inner] or [(verb,)]

    def test_the_program_has_verbs(self):
        self.assertIn(("keys", "encode"), self.commands)
        self.assertIn(("bench",), self.commands)

    def test_every_verb_is_in_the_manual(self):
        for command in self.commands:
            self.assertRegex(self.manual, r"\.It Cm " + " ".join(command))

    def test_every_option_is_in_the_manual(self):
        for command in self.commands:
            for option in re.findall(r"^  --([a-z-]+)", help_of(*command), flags=re.M):
                self.assertIn(f"Fl Fl {option}", self.manual, " ".join(command))

    def test_every_verb_is_completed(self):
        for command in self.commands:
            self.assertIn(command[-1], complete(*command[:-1]))

    def test_every_benchmark_is_completed(self):
        listed = subprocess.run([PROGRAM, "bench", "--list"], stdout=subprocess.PIPE, text=True,
                                check=True).stdout.split("\n")
        for line in filter(None, listed):
            self.assertIn(line.split()[0], complete("bench"))

    def test_every_option_is_completed(self):
        for command in self.commands:
            words = list(command) + (["bids"] if command == ("generate",) else [])
            offered = complete(*words)
            for option in re.findall(r"^  (--[a-z-]+)", help_of(*command), flags=re.M):
                self.assertIn(option, offered, " ".join(command))


if __name__ == "__main__":
    unittest.main()
