"""tests/s3/proxy does the wrong that it is asked for, at the byte it is asked for."""

import socket
import subprocess
import sys
import threading
import time
import unittest

import servers


class Echo:
    """A server that says what it hears, in the order of its connections."""

    def __init__(self, test, answer=None):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.answer = answer
        self.heard = []
        threading.Thread(target=self.accept, daemon=True).start()
        test.addCleanup(self.socket.close)

    def wait_for(self, data):
        """Until the newest connection has heard just this; a moment later it still has."""
        deadline = time.monotonic() + servers.PATIENCE_S
        while self.heard[-1:] != [data] and self.heard + [b""] != [data]:
            if time.monotonic() > deadline:
                raise AssertionError(f"heard {[len(heard) for heard in self.heard]} bytes")
            time.sleep(0.005)

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.heard.append(b"")
            threading.Thread(target=self.speak, args=(connection, len(self.heard) - 1),
                             daemon=True).start()

    def speak(self, connection, at):
        with connection:
            try:
                while data := connection.recv(65536):
                    self.heard[at] += data
                    connection.sendall(data if self.answer is None else self.answer(data))
            except OSError:
                pass


def talk(port, data):
    """What comes back for data, and how it ended: 'end', 'reset', or 'open' when as much came."""
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(data)
            while len(received) < len(data):
                piece = client.recv(65536)
                if not piece:
                    return received, "end"
                received += piece
    except (ConnectionResetError, BrokenPipeError):
        return received, "reset"
    return received, "open"


DATA = bytes(range(251)) * 1000


class Faults(unittest.TestCase):
    def proxy(self, *rules):
        self.echo = Echo(self)
        return servers.Proxy(self, self.echo.port, *rules)

    def test_without_a_rule_bytes_pass_as_they_are(self):
        proxy = self.proxy()
        self.assertEqual(talk(proxy.port, DATA), (DATA, "open"))
        stats = proxy.stats()
        self.assertEqual((stats["connections"], stats["up"], stats["down"], stats["faults"]),
                         (1, len(DATA), len(DATA), {}))

    def test_who_ended_without_an_answer_is_told(self):
        proxy = self.proxy("3 cut up 5", "* freeze down 0")
        def unanswered(count):
            deadline = time.monotonic() + servers.PATIENCE_S
            while len(said := proxy.stats()["unanswered"]) != count:
                self.assertLess(time.monotonic(), deadline, said)
            return said
        for number in (1, 2):
            client = socket.create_connection(("127.0.0.1", proxy.port), timeout=20)
            client.sendall(b"question")
            self.assertEqual(unanswered(number), list(range(1, number + 1)))
            client.close()
        talk(proxy.port, b"question")  # the third is cut, and not its client's doing
        self.assertEqual(unanswered(2), [1, 2])

    def test_a_cut_is_at_its_byte_either_way(self):
        places = [(way, place) for way in ("up", "down") for place in (0, 1, 1000, 65536, 100_001)]
        proxy = self.proxy(*(f"{count} cut {way} {place}"
                             for count, (way, place) in enumerate(places, 1)))
        for way, place in places:
            with self.subTest(way=way, place=place):
                received, how = talk(proxy.port, DATA)
                self.assertEqual(how, "end")
                if way == "up":
                    self.echo.wait_for(DATA[:place])
                else:
                    self.assertEqual(received, DATA[:place])

    def test_a_reset_is_one(self):
        proxy = self.proxy("1 reset up 0", "2 reset down 500", "3 reset up 500")
        self.assertEqual(talk(proxy.port, DATA), (b"", "reset"))
        self.assertEqual(talk(proxy.port, DATA)[1], "reset")
        self.assertEqual(talk(proxy.port, DATA)[1], "reset")
        for heard in self.echo.heard[1:]:  # of the third: the first never came to the server
            self.assertTrue(DATA[:500].startswith(heard))
        self.assertEqual(talk(proxy.port, DATA), (DATA, "open"))

    def test_rules_go_by_the_number_of_the_connection(self):
        proxy = self.proxy("2-3 cut down 10", "%4 cut down 20", "9- cut down 30")
        lengths = [len(talk(proxy.port, b"x" * 100)[0]) for _ in range(10)]
        self.assertEqual(lengths, [100, 10, 10, 20, 100, 100, 100, 20, 30, 30])
        proxy.say("from 2")
        self.assertEqual(len(talk(proxy.port, b"x" * 100)[0]), 10)

    def test_what_was_frozen_comes_when_thawed(self):
        proxy = self.proxy("* freeze down 1000")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.2) as client:
            client.sendall(DATA)
            received = b""
            while len(received) < 1000:
                received += client.recv(65536)
            self.assertRaises(TimeoutError, client.recv, 1)
            proxy.say("thaw")
            client.settimeout(20)
            while len(received) < len(DATA):
                received += client.recv(65536)
        self.assertEqual(received, DATA)

    def test_bytes_may_come_twice(self):
        proxy = self.proxy("* repeat down 300")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client:
            client.sendall(DATA[:400])
            received = b""
            while len(received) < 700:
                received += client.recv(65536)
        self.assertEqual(received, DATA[:300] + DATA[:300] + DATA[300:400])

    def test_a_delay_and_a_rate_take_their_time(self):
        proxy = self.proxy("1 delay down 100", "2 throttle up 100k")
        for _ in range(2):
            start = time.monotonic()
            self.assertEqual(talk(proxy.port, b"x" * 10240), (b"x" * 10240, "open"))
            self.assertGreaterEqual(time.monotonic() - start, 0.099)

    def test_a_request_is_asked_again_behind_its_answer_or_before(self):
        for action in ("echo", "forestall"):
            with self.subTest(action):
                proxy = self.proxy(f"* {action}")
                order = []
                self.echo.answer = lambda data: order.append(data) or f"{len(order)}".encode()
                with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client:
                    client.sendall(b"create")
                    answer = client.recv(10)
                    deadline = time.monotonic() + 20
                    while len(order) < 2 and time.monotonic() < deadline:
                        time.sleep(0.01)
                self.assertEqual(order, [b"create", b"create"])
                self.assertEqual(answer, b"1" if action == "echo" else b"2")

    def test_the_target_and_the_rules_change_while_it_runs(self):
        proxy = self.proxy("* cut down 5")
        self.assertEqual(len(talk(proxy.port, b"x" * 10)[0]), 5)
        proxy.say("clear")
        other = Echo(self, lambda data: b"y" * len(data))
        proxy.say(f"target 127.0.0.1:{other.port}")
        self.assertEqual(talk(proxy.port, b"x" * 10), (b"y" * 10, "open"))
        proxy.say("rule * reset down 3")
        self.assertEqual(talk(proxy.port, b"x" * 10)[1], "reset")

    def test_open_connections_can_be_reset(self):
        proxy = self.proxy()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client:
            client.sendall(b"a")
            self.assertEqual(client.recv(1), b"a")
            proxy.say("reset")
            self.assertRaises(ConnectionResetError, client.recv, 1)

    def test_a_server_that_is_not_there_is_a_reset(self):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        proxy = servers.Proxy(self, port)
        self.assertEqual(talk(proxy.port, b"x")[1], "reset")


class Rules(unittest.TestCase):
    def test_a_bad_rule_is_refused_by_name(self):
        for rule, named in (("* cut sideways 3", "'cut sideways 3' is no action"),
                            ("x cut up 3", "'x' is no number"), ("%0 echo", "'%0' fits nothing"),
                            ("* delay up", "'delay up' is no action"), ("*", "'' is no action"),
                            ("1 cut up -1", "'-1' is no number")):
            with self.subTest(rule):
                said = subprocess.run([servers.HERE + "/proxy", "127.0.0.1:1", rule], text=True,
                                      stderr=subprocess.PIPE, check=False)
                self.assertEqual((said.returncode, said.stderr), (1, f"proxy: {named}\n"))

    def test_it_ends_with_who_started_it(self):
        text = ("import subprocess, sys, os; p = subprocess.Popen([sys.argv[1], '127.0.0.1:1'], "
                "stdout=subprocess.PIPE, text=True); print(p.stdout.readline(), flush=True); "
                "os.kill(os.getpid(), 9)")
        said = subprocess.run([sys.executable, "-c", text, servers.HERE + "/proxy"], text=True,
                              stdout=subprocess.PIPE, check=False)
        port = int(said.stdout)
        deadline = time.monotonic() + servers.PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=20).close()
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                pass  # it was about to be taken
            self.assertLess(time.monotonic(), deadline)


if __name__ == "__main__":
    unittest.main(verbosity=2)
