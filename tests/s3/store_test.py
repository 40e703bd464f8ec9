#!/usr/bin/env python3
# usage: tests/s3/store_test.py PROGRAM CONFORMANCE RACE [Class[.case]]
"""The store s3: on a Ceph gateway: the cases of every object store, owners that race for checkpoints
(CST_ROUNDS of them), and what `check` says of it."""

import os
import subprocess
import sys
import unittest

import bids
import servers

CONFORMANCE = RACE = ""
RACE_SECONDS_MAX = 1800


class Programs(bids.Job):
    """Of C, which stand on the library."""

    def check_program(self, program, seconds):
        store = self.uri().replace("/bids", "")
        result = subprocess.run([program], text=True, check=False, capture_output=True,
                                timeout=seconds, env={**self.environment, "CST_S3_STORE": store})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        print(result.stdout)

    def test_the_cases_of_every_object_store_and_owners_that_race(self):
        self.begin(servers.Rgw(self))
        self.check_program(CONFORMANCE, servers.PATIENCE_S)
        self.check_program(RACE, RACE_SECONDS_MAX)


class Check(bids.Job):
    """`check` asks the store, and says what is wrong with it."""

    def test_keys_and_bucket_are_checked(self):
        self.begin(servers.Rgw(self))
        self.found_by_check("\nrights ", "If-Match for etags without quotes",
                            "passed over when an upload is completed", "are signed, which is checked",
                            "many are deleted at once")
        self.assertIn("Make the bucket", self.verb_check(
            self.uri().replace("state", "no-such-bucket"), bids.REFUSED))
        self.environment["AWS_SECRET_ACCESS_KEY"] = "another"
        self.assertIn("s3:PutObject", self.verb_check(self.uri(), bids.REFUSED))


if __name__ == "__main__":
    bids.PROGRAM, CONFORMANCE, RACE = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
    unittest.main(verbosity=2)
