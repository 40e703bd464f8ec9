#!/usr/bin/env python3
# usage: tests/bench/s3_clients.py --list
#        tests/bench/s3_clients.py --client NAME --verb upload|download|put|get --endpoint URL
#            --bucket B --prefix P --folder DIR --count N --bytes SIZE --connections C
# The clients that `constellation bench s3 --peers` stands beside: curl, boto3, the AWS program and
# rclone, those of them that are there and in CST_S3_CLIENTS, if that is set. Prints a line: nanoseconds of the
# clock, nanoseconds of processors. upload and put are of N objects from files in memory; download and
# get are of the objects P/segments/0/I and P/smalls/0/I. Keys are in the environment.
"""Other S3 clients, each as fast and as cheap as its options make it."""

import argparse
import concurrent.futures
import os
import resource
import shutil
import subprocess
import sys
import time

PART = 8 << 20


def version(*command):
    try:
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=True).stdout
        return said.replace("/", " ").split()[1]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def boto3_version():
    try:
        import boto3
        return boto3.__version__
    except ImportError:
        return None


def clients():
    found = {"curl": lambda: version("curl", "--version"), "boto3": boto3_version,
             "aws": lambda: version("aws", "--version"),
             "rclone": lambda: version("rclone", "version")}
    wanted = os.environ.get("CST_S3_CLIENTS", " ".join(found)).split()
    return [f"{name} {number()}" for name, number in found.items() if name in wanted and number()]


class Timer:
    """Of this process, or of the programs that it starts."""

    def __init__(self, who):
        self.who = who

    def cpu(self):
        used = resource.getrusage(self.who)
        return used.ru_utime + used.ru_stime

    def __enter__(self):
        self.cpu_from, self.wall_from = self.cpu(), time.monotonic_ns()
        return self

    def __exit__(self, kind, value, trace):
        wall = time.monotonic_ns() - self.wall_from
        if kind is None:
            print(wall, int((self.cpu() - self.cpu_from) * 1e9))


class Work:
    def __init__(self, options):
        self.options, self.verb, self.count = options, options.verb, options.count
        self.reads = options.verb in ("download", "get")
        self.large = options.verb in ("upload", "download")
        self.folder = os.path.join(options.folder, "s3_clients")
        os.makedirs(self.folder, exist_ok=True)
        kind = "segments" if self.large else "smalls"
        group = "0" if self.reads else options.client.split()[0]
        self.prefix = f"{options.prefix}/{kind}/{group}"
        self.keys = [f"{self.prefix}/{number}" for number in range(self.count)]
        self.files = [os.path.join(self.folder, str(number)) for number in range(self.count)]
        if not self.reads:
            data = os.urandom(options.bytes)
            for path in self.files:
                with open(path, "wb") as file:
                    file.write(data)

    def check(self, bytes_all):
        if bytes_all != self.count * self.options.bytes:
            sys.exit(f"{bytes_all} bytes instead of {self.count} times {self.options.bytes}")

    def check_files(self):
        self.check(sum(os.stat(path).st_size for path in self.files))


def curl(work):
    """One program for all objects; what goes is not hashed."""
    options = work.options
    lines = [f'user = "{os.environ["AWS_ACCESS_KEY_ID"]}:{os.environ["AWS_SECRET_ACCESS_KEY"]}"',
             f'aws-sigv4 = "aws:amz:{os.environ.get("AWS_REGION", "us-east-1")}:s3"',
             'header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"',
             "parallel", f"parallel-max = {options.connections}", "no-progress-meter", "fail",
             r'write-out = "%{size_download} %{size_upload}\n"']
    for key, path in zip(work.keys, work.files):
        lines.append(f'url = "{options.endpoint}/{options.bucket}/{key}"')
        lines.append(f'{"output" if work.reads else "upload-file"} = "{path}"')
    config = os.path.join(work.folder, "curl.config")
    with open(os.open(config, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w",
              encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    with Timer(resource.RUSAGE_CHILDREN):
        said = subprocess.run(["curl", "--config", config], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
    work.check(sum(int(line.split()[0 if work.reads else 1]) for line in said.splitlines()))
    work.check_files()


def boto3_client(options):
    import boto3
    import botocore.config
    return boto3.client("s3", endpoint_url=options.endpoint, config=botocore.config.Config(
        max_pool_connections=options.connections, s3={"addressing_style": "path"},
        request_checksum_calculation="when_required", response_checksum_validation="when_required"),
        region_name=os.environ.get("AWS_REGION", "us-east-1"))


def boto3(work):
    """In this process, whose start is not in its time."""
    import boto3.s3.transfer
    options, client = work.options, boto3_client(work.options)
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=PART, multipart_chunksize=PART,
                                              max_concurrency=options.connections)
    bucket = options.bucket

    def put(key, path):
        with open(path, "rb") as file:
            client.put_object(Bucket=bucket, Key=key, Body=file.read())

    def get(key):
        return len(client.get_object(Bucket=bucket, Key=key)["Body"].read())

    with Timer(resource.RUSAGE_SELF):
        if work.large:
            with boto3.s3.transfer.create_transfer_manager(client, config) as manager:
                ends = [manager.download(bucket, key, path) if work.reads else
                        manager.upload(path, bucket, key)
                        for key, path in zip(work.keys, work.files)]
                for end in ends:
                    end.result()
        else:
            with concurrent.futures.ThreadPoolExecutor(options.connections) as pool:
                sizes = list(pool.map(get, work.keys) if work.reads else
                             pool.map(put, work.keys, work.files))
    if work.large:
        work.check_files()
    elif work.reads:
        work.check(sum(sizes))


def copy(work, command, environment):
    """One program for all objects, with its start; it is told of their folders."""
    place, files = f"{work.options.bucket}/{work.prefix}/", os.path.join(work.folder, "files")
    os.makedirs(files, exist_ok=True)
    if not work.reads:
        for number, path in enumerate(work.files):
            os.replace(path, os.path.join(files, str(number)))
    with Timer(resource.RUSAGE_CHILDREN):
        subprocess.run(command(place, files), check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, **environment})
    work.check(sum(entry.stat().st_size for entry in os.scandir(files)))


def aws(work):
    options = work.options
    config = os.path.join(work.folder, "aws.config")
    with open(config, "w", encoding="utf-8") as file:
        file.write("[default]\ns3 =\n  addressing_style = path\n"
                   f"  max_concurrent_requests = {options.connections}\n"
                   f"  multipart_threshold = {PART}\n  multipart_chunksize = {PART}\n")

    def command(place, files):
        place = f"s3://{place}"
        return ["aws", "s3", "cp", "--recursive", "--only-show-errors", "--endpoint-url",
                options.endpoint, *((place, files) if work.reads else (files, place))]

    copy(work, command, {"AWS_CONFIG_FILE": config,
                         "AWS_REGION": os.environ.get("AWS_REGION", "us-east-1"),
                         "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
                         "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"})


def rclone(work):
    """It neither looks first what is there, nor hashes what it sends, nor looks behind itself."""
    options = work.options

    def command(place, files):
        place = f"bench:{place}"
        return ["rclone", "copy", "--transfers", str(options.connections), "--checkers",
                str(options.connections), "--no-check-dest", "--ignore-checksum",
                "--s3-disable-checksum", "--s3-no-check-bucket", "--s3-no-head",
                "--s3-no-head-object", "--s3-chunk-size", f"{PART >> 20}M", "--s3-upload-cutoff",
                "64M", *((place, files) if work.reads else (files, place))]

    # Of AWS_CA_BUNDLE it says that its connections cannot have one.
    authorities = os.environ.pop("AWS_CA_BUNDLE", "")
    copy(work, command, {"RCLONE_CA_CERT": authorities, "RCLONE_CONFIG": os.devnull, "RCLONE_CONFIG_BENCH_TYPE": "s3",
                         "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
                         "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
                         "RCLONE_CONFIG_BENCH_ENDPOINT": options.endpoint,
                         "RCLONE_CONFIG_BENCH_REGION": os.environ.get("AWS_REGION", "us-east-1"),
                         "RCLONE_CONFIG_BENCH_FORCE_PATH_STYLE": "true"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true")
    for name in ("client", "verb", "endpoint", "bucket", "prefix", "folder"):
        parser.add_argument(f"--{name}")
    for name in ("count", "bytes", "connections"):
        parser.add_argument(f"--{name}", type=int)
    options = parser.parse_args()
    if options.list:
        print(", ".join(clients()))
        return
    work = Work(options)
    try:
        {"curl": curl, "boto3": boto3, "aws": aws, "rclone": rclone}[options.client.split()[0]](work)
    finally:
        shutil.rmtree(work.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
