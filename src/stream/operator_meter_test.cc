// Goal: an operator's time is its own, without what it hands on, and its rows are those that came
// and went. Method: spans within spans that wait; a query whose figures are known; a reader beside
// it.
#include "stream/operator_meter.h"

#include <doctest/doctest.h>

#include <thread>

#include "stream/dataflow_test.h"

namespace millrace {

namespace {

void Wait(int ms) {
  auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (std::chrono::steady_clock::now() < until) {
  }
}

const OperatorLine& Find(const std::vector<OperatorLine>& lines, const std::string& begin) {
  for (const OperatorLine& line : lines) {
    if (line.text.starts_with(begin)) return line;
  }
  FAIL(begin);
  return lines[0];
}

}  // namespace

TEST_CASE("Time belongs to the innermost span, and outside of all to nobody") {
  OperatorMeter outer, inner;
  auto began = std::chrono::steady_clock::now();
  {
    OperatorMeter::Span first(&outer);
    Wait(2);
    for (int i = 0; i < 2; i++) {
      OperatorMeter::Span second(&inner);
      Wait(3);
      OperatorMeter::Span nobody(nullptr);
      Wait(20);
    }
    try {
      OperatorMeter::Span second(&inner);
      Wait(1);
      throw 1;
    } catch (int) {
    }
    Wait(2);
  }
  Wait(20);  // Nobody's.
  int64_t all = (std::chrono::steady_clock::now() - began) / std::chrono::nanoseconds(1);
  CHECK(outer.Read().busy_ns >= 4'000'000);
  CHECK(inner.Read().busy_ns >= 7'000'000);
  // 60 ms were waited outside of both.
  CHECK(outer.Read().busy_ns + inner.Read().busy_ns <= all - 60'000'000);
}

TEST_CASE("Figures count the rows of each operator, and add up") {
  DataflowBench bench(1);
  auto flow = bench.Compile("SELECT branch, count(*) FROM accounts WHERE id > 2 GROUP BY branch");
  flow->Start(bench.InputTypes(*flow));
  Folded folded;
  ChangeReceiver receiver = folded.Receiver();
  auto feed = [&](int first, int count) {
    std::vector<TestChange> changes;
    for (int i = first; i < first + count; i++) {
      changes.push_back({RowKind::kInsert,
                         {Value::INTEGER(i), Value::INTEGER(i % 2), Value("n"),
                          Value::DECIMAL(int64_t(1), 12, 2)}});
    }
    bench.Feed(*flow, bench.Table("accounts"), changes, receiver);
    flow->EndStep(receiver);
  };
  std::atomic<bool> stop{false};
  std::thread reader([&] {  // As EXPLAIN ANALYZE does.
    int64_t before = 0;
    while (!stop) {
      int64_t now = 0;
      for (const OperatorLine& line : flow->Lines()) now += line.figures.rows_in;
      CHECK(now >= before);
      before = now;
    }
  });
  feed(0, 10);
  feed(10, 1);
  stop = true;
  reader.join();
  int64_t state = flow->StateBytes();
  std::vector<OperatorLine> lines = flow->Lines();
  CHECK(lines[0].depth == 0);
  OperatorFigures filter = Find(lines, "FILTER").figures;
  CHECK(filter.rows_in == 11);
  CHECK(filter.rows_out == 8);
  OperatorFigures aggregate = Find(lines, "AGGREGATE").figures;
  CHECK(aggregate.rows_in == 8);
  CHECK(aggregate.rows_out == 4);  // Two groups; then one of them from old to new.
  CHECK(aggregate.busy_ns > 0);
  CHECK(aggregate.state_bytes == state);
  CHECK(folded.changes == 4);
  OperatorFigures twice = aggregate;
  twice.Add(aggregate);
  CHECK(twice == OperatorFigures{16, 8, 2 * aggregate.busy_ns, 2 * state});
}

}  // namespace millrace
