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

    def train(self, folder, *words):
        command = [HEBBES, *words, "--set", "run.checkpoint_every=2"]
        subprocess.run(command, check=True, capture_output=True)

    def events(self, path):
        """The events of a file, each as {field: value}, checksums checked."""
        data, at, events = path.read_bytes(), 0, []
        while at < len(data):
            length, length_crc = struct.unpack_from("<QI", data, at)
            self.assertEqual(length_crc, masked(data[at : at + 8]))
            event = data[at + 12 : at + 12 + length]
            (crc,) = struct.unpack_from("<I", data, at + 12 + length)
            self.assertEqual(crc, masked(event))
            at += 16 + length
            events.append(dict(fields(event)))
        self.assertEqual(events[0][3], b"brain.Event:2")
        return events[1:]

    def settings(self, event):
        """The hyperparameters' event: a summary value whose metadata are the plugin's."""
        value = dict(fields(dict(fields(event[5]))[1]))
        self.assertEqual(value[1], b"_hparams_/session_start_info")
        plugin = dict(fields(dict(fields(value[9]))[1]))
        self.assertEqual(plugin[1], b"hparams")
        found = {}
        for number, pair in fields(dict(fields(plugin[2]))[3]):
            self.assertEqual(number, 1)
            pair = dict(fields(pair))
            kind, content = next(iter(fields(pair[2])))
            found[pair[1].decode()] = struct.unpack("<d", content)[0] if kind == 2 else content.decode()
        self.assertEqual(found["search.lr"], 0.2)
        self.assertEqual(found["search.population"], 4)
        self.assertEqual(found["policy.rule"], "ABCD_lr")
        self.assertNotIn("run.threads", found)

    def test_events_are_the_metrics(self):
        """Every column, in a group of its kind; a resumed run voids what the file before holds beyond its checkpoint."""
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            self.train(folder, "train", "configs/ant/quickstart.yaml", "--out", str(run), "--set", "search.population=4", "--set", "run.generations=3")
            (path,) = run.glob("events.out.tfevents.*")
            (run / "checkpoints/gen-000003.h5").unlink()  # as a kill after the third generation would leave it
            path = path.rename(run / "events.out.tfevents.0.0")
            self.train(folder, "resume", str(run), "--set", "run.generations=4")
            rows = list(csv.DictReader((run / "metrics.csv").open()))
            first, second = (self.events(path) for path in sorted(run.glob("events.out.tfevents.*")))
        self.assertEqual(dict(fields(second[0][7])), {1: 1})  # SessionLog START
        for events in (first, second[1:]):
            self.settings(events.pop(0))
        second = [second[0], *second[2:]]
        self.assertEqual(second[0][2], 3)
        self.assertEqual(min(event[2] for event in second), 3)
        found = {}
        for event in first + second[1:]:
            value = dict(fields(dict(fields(event[5]))[1]))
            if event[2] < 3 or event in second:
                found[value[1].decode(), event[2]] = struct.unpack("<f", value[2])[0]
        self.assertEqual(len(rows), 4)
        groups = {tag.split("/")[1]: tag.split("/")[0] for tag, _ in found}
        self.assertEqual({groups[n] for n in ("mean", "max", "reward")}, {"fitness"})
        self.assertEqual({groups[n] for n in ("lr", "sigma")}, {"search"})
        self.assertEqual({groups[n] for n in ("physics_s", "seconds")}, {"time"})
        for row in rows:
            for name, value in row.items():
                if name != "generation":
                    tag = groups[name] + "/" + name
                    self.assertAlmostEqual(found[tag, int(row["generation"])], float(value), delta=1e-5 * abs(float(value)) + 1e-7)


if __name__ == "__main__":
    unittest.main()
