"""Reads a run's TensorBoard events with a decoder of its own and holds them against metrics.csv."""

import csv
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HEBBES = sys.argv.pop(1)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def fields(data):
    """The fields of a protocol-buffer message: (number, value)."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(kind) or varint()
            value = data[at : at + size]
            at += size
        yield key >> 3, value


class Events(unittest.TestCase):
    def test_crc_known_answer(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)  # RFC 3720's check value

    def test_events_are_the_metrics(self):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            subprocess.run(
                [HEBBES, "train", "configs/ant/quickstart.yaml", "--out", str(run)]
                + ["--set", "search.population=4", "--set", "run.generations=2"],
                check=True,
                capture_output=True,
            )
            rows = list(csv.DictReader((run / "metrics.csv").open()))
            (path,) = run.glob("events.out.tfevents.*")
            data = path.read_bytes()
        found, at, first = {}, 0, True
        while at < len(data):
            length, length_crc = struct.unpack_from("<QI", data, at)
            self.assertEqual(length_crc, masked(data[at : at + 8]))
            event = data[at + 12 : at + 12 + length]
            (crc,) = struct.unpack_from("<I", data, at + 12 + length)
            self.assertEqual(crc, masked(event))
            at += 16 + length
            message = dict(fields(event))
            if first:
                self.assertEqual(message[3], b"brain.Event:2")
                first = False
                continue
            value = dict(fields(dict(fields(message[5]))[1]))
            found[value[1].decode(), message[2]] = struct.unpack("<f", value[2])[0]
        self.assertEqual(len(rows), 2)
        for row in rows:
            for name, value in row.items():
                if name != "generation":
                    self.assertAlmostEqual(found[name, int(row["generation"])], float(value), delta=1e-5 * abs(float(value)) + 1e-7)


if __name__ == "__main__":
    unittest.main()
