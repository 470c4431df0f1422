"""What the kill -9 tests share: processes of the program, their output, and how they end."""
import io
import os
import signal
import subprocess
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "../.."))
MILLRACE = os.environ.get("MILLRACE", os.path.join(ROOT, "build/millrace"))
LAST_WORD = "the-script-has-ended"


class Failed(Exception):
    pass


def check(good, text):
    if not good:
        raise Failed(text)


class Life:
    """One process: its output so far, and how it ended."""

    def __init__(self, args, env=None):
        self.lines, self.errors = [], ""
        self.process = subprocess.Popen([MILLRACE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={**os.environ, **(env or {})})
        self.readers = [threading.Thread(target=self.read_out), threading.Thread(target=self.read_errors)]
        for reader in self.readers:
            reader.start()

    def read_out(self):
        for line in io.TextIOWrapper(self.process.stdout, encoding="utf-8", errors="replace"):
            if line.endswith("\n"):  # A kill may cut the last line.
                self.lines.append(line[:-1])

    def read_errors(self):
        self.errors = self.process.stderr.read().decode("utf-8", "replace")

    def end(self, seconds=None, kill=False):
        """Waits; when the time is up, kills (or fails). The exit code; -9 when killed."""
        try:
            self.process.wait(seconds if seconds is not None else 120)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            check(kill, f"hangs: {' '.join(self.process.args)}\n" + "\n".join(self.lines[-20:]))
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.returncode

    def ended_well(self):
        return any(LAST_WORD in line for line in self.lines)


def run(args, env=None):
    life = Life(args, env)
    code = life.end()
    check(code == 0, f"{' '.join(args)[:600]}\nexit code {code}\n" + "\n".join(life.lines[-20:]) + "\n" + life.errors[-3000:])
    return life.lines


def life_seconds(rng):
    """From 50 ms to 1.5 s; every third one dies while it starts or recovers."""
    return rng.uniform(0.05, 0.3) if rng.random() < 0.33 else rng.uniform(0.05, 1.5)
