#!/usr/bin/env python3
"""Runs the bank's scripts and tells how they get on, from what they print alone.

  made> +U[transactions]               how many transactions the bank has made so far
  books> +U[..., difference]           a state of the books in the lake
  exported> +U[movements, ..., difference]   a state of the report in the CRM's database, printed when it is there

Every second one line: transactions made and shown by the exported report, how old the newest one was when it appeared
there, and whether the books balanced in every output so far. At the end: the report, and PASS or FAIL for each check.
"""
import bisect
import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import textwrap
import time

WIDE = 80
WIDE_COLUMNS = "b.branch_name AS branch, r.segment, r.accounts, r.deposits, r.loans, r.balances"
NARROW_COLUMNS = "b.branch_name AS branch, r.segment, r.balances"
CHECKS = {"exported report": "the exported report equals the same report as a batch query over the lake",
          "summaries": "deposits and loans add up to the same by branch, by segment and by day",
          "rows": "every account and every transaction is in the lake once"}


class Watch:
    """What has been seen so far. Times are seconds since the start."""

    def __init__(self, total, width):
        self.total, self.width, self.wide = total, width, width >= WIDE
        self.started = time.monotonic()
        self.made, self.made_at = [0], [0.0]  # Counts, and when they were reached.
        self.shown = 0                        # Transactions in the exported report.
        self.lags, self.worst = [], 0.0       # Of the newest transaction of each output; of the oldest new one.
        self.states = {"books": 0, "exported": 0}
        self.wrong = 0
        self.told_at, self.told_shown = 0.0, 0
        self.table, self.checks = [], {}

    def now(self):
        return time.monotonic() - self.started

    def take(self, line):
        """One line that the program printed."""
        name, _, change = line.partition("> ")
        if name in ("made", "books", "exported") and change[2:3] == "[":
            if change[:2] in ("+I", "+U"):
                self.take_state(name, change[3:-1].split(", "))
        elif line.startswith("Job '"):
            pass
        elif line.startswith(("+-", "| ")):
            self.take_table(line)
        else:
            print(line, flush=True)

    def take_state(self, name, fields):
        if name == "made":
            self.made.append(int(fields[0]))
            self.made_at.append(self.now())
            return
        self.states[name] += 1
        self.wrong += fields[-1] != "0.00"
        if name == "exported":
            self.appeared(int(fields[0]))

    def appeared(self, shown):
        """The report in the CRM's database shows `shown` transactions from now on."""
        if shown > self.shown:
            newest = self.made_at[min(bisect.bisect_left(self.made, shown), len(self.made) - 1)]
            # The first transaction that was not shown before was made after what was shown before.
            oldest = self.made_at[min(bisect.bisect_left(self.made, self.shown), len(self.made) - 1)]
            self.lags.append(self.now() - newest)
            self.worst = max(self.worst, self.now() - oldest)
        self.shown = shown

    def take_table(self, line):
        """Tables with a column `check` are for the verdict; any other is the report."""
        self.table.append(line)
        if sum(row.startswith("+-") for row in self.table) < 3:
            return
        rows, self.table = self.table, []
        if rows[1].startswith("| check "):
            for row in rows[3:-1]:
                self.checks[row.split("|")[1].strip()] = "PASS" in row
        else:
            print()
            self.say("The report in the CRM's database, the greatest balances first:")
            print(*rows, sep="\n", flush=True)

    def due(self):
        if not self.lags or self.told_shown == self.total:
            return False
        since = self.now() - self.told_at
        return self.told_at == 0.0 or self.shown == self.total or since >= (1 if self.shown > self.told_shown else 5)

    def tell(self):
        """One line: how it goes."""
        now = self.now()
        rate = self.shown / now
        lag = self.lags[-1]
        if self.wide:
            books = f"DIFFER in {self.wrong} outputs" if self.wrong else "balance"
            print(f"{now:6.1f} s {self.made[-1]:>11,} made {self.shown:>11,} shown {rate:>9,.0f}/s  lag {lag:5.2f} s"
                  f"  books {books}", flush=True)
        else:
            books = "WRONG" if self.wrong else "ok"
            print(f"{now:5.1f}s {self.shown // 1000:>6,}k {rate / 1000:>3.0f}k/s lag {lag:.1f}s books {books}", flush=True)
        self.told_at, self.told_shown = now, self.shown

    def verdict(self, code):
        """The checks, one a line; whether all passed."""
        books, exported = self.states["books"], self.states["exported"]
        results = {
            f"the program ended well (exit code {code})": code == 0,
            f"the books balance in every output: {books} of the lake, {exported} of the export ({self.wrong} do not)":
                books > 0 and exported > 0 and self.wrong == 0,
            f"the exported report shows all {self.total:,} transactions": self.shown == self.total}
        for name, text in CHECKS.items():
            results[text] = self.checks.get(name, False)
        print()
        for text, good in results.items():
            self.say(text, "PASS  " if good else "FAIL  ")
        return all(results.values())

    def figures(self):
        now, usage = self.now(), resource.getrusage(resource.RUSAGE_CHILDREN)
        print()
        self.say(f"{now:.1f} s, {self.shown / now:,.0f} transactions/s, start and checks included; "
                 f"CPU {usage.ru_utime + usage.ru_stime:.1f} s, peak memory {usage.ru_maxrss / 1024:,.0f} MB")
        if self.lags:
            lags = sorted(self.lags)
            self.say(f"lag: {lags[len(lags) // 2]:.2f} s in the middle of {len(lags)} outputs; the longest that any transaction "
                     f"waited for its place in the report: {self.worst:.2f} s")

    def say(self, text, first=""):
        """Text in lines that fit the terminal."""
        print(textwrap.fill(text, self.width - 1, initial_indent=first, subsequent_indent=" " * len(first)), flush=True)

    def interrupted(self):
        print()
        self.say(f"Stopped with {self.shown:,} of {self.total:,} transactions in the report; "
                 f"{self.states['books'] + self.states['exported']} outputs, {self.wrong} that did not balance.")


def follow(process, watch):
    """Takes the program's lines as they come, until it has closed its output."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(0.2):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    sys.stderr.write(data.decode(errors="replace"))
                    sys.stderr.flush()
                else:
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        watch.take(line.decode())
            if watch.due():
                watch.tell()


def main():
    total, accounts = int(os.environ["BANK_TRANSACTIONS"]), int(os.environ["BANK_ACCOUNTS"])
    width = shutil.get_terminal_size((WIDE, 24)).columns if sys.stdout.isatty() else WIDE
    os.environ.setdefault("REPORT_COLUMNS", WIDE_COLUMNS if width >= WIDE else NARROW_COLUMNS)
    watch = Watch(total, width)
    watch.say(f"A bank with {accounts:,} accounts makes {total:,} transactions; 'shown': in the report that it exports; 'lag': the "
              "age of the newest one there when it appears; 'books': opening balances + deposits - withdrawals + loans = "
              "balances, in every output so far.")
    print(flush=True)
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the program's; it ends, and then so do we.
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        follow(process, watch)
    except BrokenPipeError:  # Our reader has gone: `| head`.
        process.terminate()
        process.wait()
        os._exit(141)
    code = process.wait()
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        watch.interrupted()
        sys.exit(code)
    good = watch.verdict(code)
    watch.figures()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
