// Goal: an exchange loses no row and keeps the order of each key's, whenever it is read; rows are
// combined before they move where keys repeat, and only there. Method: an operator that writes down
// what comes to it, and a combiner that counts.
#include "stream/exchange.h"

#include <doctest/doctest.h>

#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"

namespace millrace {

namespace {

const duckdb::vector<LogicalType> kNumbers = {LogicalType::BIGINT};
const duckdb::vector<LogicalType> kCounts = {LogicalType::BIGINT, LogicalType::BIGINT};

int64_t NumberAt(ChangeChunk& chunk, idx_t column, idx_t row) {
  return duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[column])[row];
}

/// Writes down numbers, and how many of each came combined.
class Receiver : public Operator {
 public:
  Receiver() : Operator(kNumbers) {}
  std::unique_ptr<Operator> Copy(duckdb::ClientContext&, StateArena&) const override {
    return std::make_unique<Receiver>();
  }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override { return EachColumn(1); }
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override { return inputs[0]; }
  std::string Describe() const override { return "RECEIVER"; }
  void Push(idx_t, ChangeChunk& chunk) override {
    for (idx_t i = 0; i < chunk.size(); i++) Note(NumberAt(chunk, 0, i), 1);
  }
  void Merge(ChangeChunk& chunk) override {
    for (idx_t i = 0; i < chunk.size(); i++) {
      combined += NumberAt(chunk, 1, i);
      Note(NumberAt(chunk, 0, i), NumberAt(chunk, 1, i));
    }
  }

  std::vector<int64_t> numbers;  // As they came, combined ones once.
  std::map<int64_t, int64_t> counts;
  int64_t combined = 0;

 private:
  void Note(int64_t number, int64_t count) {
    numbers.push_back(number);
    counts[number] += count;
  }
};

/// Counts equal numbers; refuses chunks that begin with a negative one.
class CountingCombiner : public Combiner {
 public:
  const duckdb::vector<LogicalType>& Types() const override { return kCounts; }
  bool Add(ChangeChunk& chunk) override {
    if (NumberAt(chunk, 0, 0) < 0) return false;
    for (idx_t i = 0; i < chunk.size(); i++) {
      auto [at, is_new] = counts_.try_emplace(NumberAt(chunk, 0, i), 0);
      at->second++;
      if (is_new) order_.push_back(at->first);
    }
    rows_ += chunk.size();
    return true;
  }
  idx_t Rows() const override { return rows_; }
  idx_t Combined() const override { return order_.size(); }
  void Flush(const ChangeReceiver& next) override {
    ChangeChunk out;
    out.Initialize(kCounts);
    for (idx_t start = 0; start < order_.size(); start += kChunkRows) {
      out.Reset();
      idx_t count = std::min<idx_t>(kChunkRows, order_.size() - start);
      for (idx_t i = 0; i < count; i++) {
        out.rows.SetValue(0, i, Value::BIGINT(order_[start + i]));
        out.rows.SetValue(1, i, Value::BIGINT(counts_[order_[start + i]]));
      }
      out.rows.SetCardinality(count);
      next(out);
    }
    order_.clear();
    counts_.clear();
    rows_ = 0;
  }

 private:
  std::map<int64_t, int64_t> counts_;
  std::vector<int64_t> order_;
  idx_t rows_ = 0;
};

/// Two shards and the way between them.
struct Way {
  explicit Way(bool by_key, bool combine) {
    for (int shard = 0; shard < 2; shard++) {
      Exchange::Sender sender;
      if (by_key) sender.keys = ColumnReferences(kNumbers);
      if (combine) sender.combiner = std::make_unique<CountingCombiner>();
      sender.combined_keys = {0};
      senders.push_back(&exchange.AddSender(*connection.context, std::move(sender)));
    }
  }
  void Send(idx_t from, const std::vector<int64_t>& numbers) {
    for (idx_t start = 0; start < numbers.size(); start += kChunkRows) {
      ChangeChunk chunk;
      chunk.Initialize(kNumbers);
      idx_t count = std::min<idx_t>(kChunkRows, numbers.size() - start);
      auto data = duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[0]);
      std::copy_n(numbers.begin() + static_cast<std::ptrdiff_t>(start), count, data);
      chunk.rows.SetCardinality(count);
      senders[from]->Take(0, chunk);
    }
  }
  /// Ends the round and reads all. How many rows came combined.
  int64_t Round() {
    int64_t before = to[0].combined + to[1].combined;
    for (idx_t shard : {0, 1}) exchange.EndRound(shard);
    for (idx_t shard : {0, 1}) {
      while (exchange.Receive(shard)) {
      }
      CHECK(exchange.Waiting(shard) == 0);
    }
    return to[0].combined + to[1].combined - before;
  }

  duckdb::DuckDB database{nullptr};
  duckdb::Connection connection{database};
  Receiver to[2];
  Exchange exchange{kNumbers, {&to[0], &to[1]}, 0, 2};
  std::vector<Operator*> senders;
};

std::vector<int64_t> Different(int64_t from, int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; i++) numbers.push_back(from + i);
  return numbers;
}

/// So many rows of keys 0 .. keys - 1 in turns.
std::vector<int64_t> Repeated(int64_t keys, int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; i++) numbers.push_back(i % keys);
  return numbers;
}

}  // namespace

TEST_CASE("Rows that are sent when the last one has just been read are read, too") {
  Way way(false, false);
  way.Send(1, {1, 2, 3});
  REQUIRE(way.exchange.Receive(0));  // And stops, as a shard does that has sent much.
  CHECK(way.exchange.Waiting(0) == 0);
  way.Send(0, {4, 5});
  way.Send(1, {6});
  CHECK(way.exchange.Waiting(0) == 3);
  while (way.exchange.Receive(0)) {
  }
  CHECK(way.to[0].numbers == std::vector<int64_t>{1, 2, 3, 4, 5, 6});
  CHECK(way.exchange.Waiting(0) == 0);
}

TEST_CASE("Rows are combined where keys repeat, and move as they are where they do not") {
  Way way(true, true);
  way.Send(0, Repeated(100, 5000));
  way.Send(1, Repeated(100, 3000));
  CHECK(way.Round() == 8000);
  for (int64_t key = 0; key < 100; key++) {
    CHECK(way.to[0].counts[key] + way.to[1].counts[key] == 80);
    CHECK((way.to[0].counts[key] == 0 || way.to[1].counts[key] == 0));
  }
  CHECK(way.to[0].numbers.size() + way.to[1].numbers.size() == 200);
  // Keys that differ are told from the first chunk.
  way.Send(0, Different(0, 10'000));
  CHECK(way.Round() == 0);
  // Or, when chunks are small, once there were enough of them: from then on as they are.
  for (int64_t i = 0; i < 100; i++) way.Send(0, Different(i * 100, 100));
  int64_t tried = way.Round();
  CHECK(tried >= 4096);
  CHECK(tried < 5000);
  // And the next round does not try.
  for (int64_t i = 0; i < 100; i++) way.Send(0, Different(i * 100, 100));
  CHECK(way.Round() == 0);
  // Then it does again.
  way.Send(0, Repeated(3, 5000));
  CHECK(way.Round() == 5000);
  CHECK(way.to[0].counts[99] + way.to[1].counts[99] == 80 + 1 + 2);
}

TEST_CASE("In a round combined rows come before those that move as they are") {
  Way way(false, true);
  way.Send(0, {5, 5, 6});
  way.Send(0, {-1, 5});  // The combiner refuses these.
  way.Send(0, {6, 5});
  CHECK(way.Round() == 3);
  CHECK(way.to[0].numbers == std::vector<int64_t>{5, 6, -1, 5, 6, 5});
  CHECK(way.to[0].counts[5] == 4);
  way.Send(1, {7, 7});
  way.Send(0, {8});
  CHECK(way.Round() == 3);
  CHECK(way.to[0].numbers.back() == 7);
  CHECK(way.to[1].numbers.empty());
}

}  // namespace millrace
