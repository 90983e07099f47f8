"""Silero VAD on one WAV file, as a stream: `recurve stream` beside ONNX Runtime, in turns, medians.

    python bench/silero.py RECURVE MODEL.onnx SOUND.wav

RECURVE is the program, MODEL.onnx the 16 kHz model with the inputs `input`, `state` and `sr`, SOUND.wav mono
sound of 16 kHz. Needs numpy and onnxruntime. Recurve is timed from its start to its end, so its start and
all reading and printing count; ONNX Runtime is timed without them, one thread, its state carried from frame
to frame. Both must say the same.
"""
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import wave

import numpy as np
import onnxruntime

HOP, FRAME, ROUNDS = 512, 576, 7


def frames(path):
    with wave.open(path) as sound:
        assert sound.getnchannels() == 1 and sound.getsampwidth() == 2
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    samples = np.concatenate([np.zeros(FRAME - HOP), samples / 32768]).astype(np.float32)
    return [samples[None, at : at + FRAME] for at in range(0, len(samples) - FRAME + 1, HOP)]


def main():
    recurve, model, sound = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        run = str(pathlib.Path(folder) / "vad")
        subprocess.run([recurve, "import", model, "--fix", "sr=16000", "--output", run], check=True,
                       stdout=subprocess.DEVNULL)
        command = [recurve, "stream", run, "--wav", sound, "--hop", str(HOP), "--frame", str(FRAME)]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options)
        rows, rate = frames(sound), np.array(16000)
        times = {"recurve": [], "onnxruntime": []}
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            times["recurve"].append(time.perf_counter() - begun)
            ours = np.array([float(line) for line in answer.split()])
            state, theirs = np.zeros((2, 1, 128), np.float32), []
            begun = time.perf_counter()
            for row in rows:
                y, state = session.run(None, {"input": row, "state": state, "sr": rate})
                theirs.append(y[0, 0])
            times["onnxruntime"].append(time.perf_counter() - begun)
            assert len(ours) == len(theirs) and np.abs(ours - np.array(theirs)).max() < 1e-4
    for name, taken in times.items():
        median = statistics.median(taken) / len(rows) * 1e6
        print(f"{name:12} {median:8.1f} microseconds per frame of {HOP} samples, {len(rows)} frames")


if __name__ == "__main__":
    main()
