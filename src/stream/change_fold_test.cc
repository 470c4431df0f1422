// Goal: what remains of random changes, by key or as a multiset of whole rows, is what a model in
// std containers says, in the order of first appearance.
#include "stream/change_fold.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "base/error.h"

namespace millrace {

namespace {

using Row = std::pair<int64_t, std::string>;

constexpr const char* kTexts[] = {"", "short", "a text too long to be kept inline",
                                  "another such text"};

void FillRandom(ChangeChunk& changes, std::mt19937& random, std::map<Row, int64_t>& live) {
  idx_t count = 1 + random() % 300;
  changes.Initialize({LogicalType::BIGINT, LogicalType::VARCHAR});
  for (idx_t i = 0; i < count; i++) {
    Row row{random() % 5, kTexts[random() % 4]};
    bool adds = live[row] == 0 || random() % 2 == 0;
    live[row] += adds ? 1 : -1;
    changes.rows.SetValue(0, i, Value::BIGINT(row.first));
    changes.rows.SetValue(1, i, Value(row.second));
    RowKind add = random() % 2 ? RowKind::kInsert : RowKind::kUpdateAfter;
    RowKind remove = random() % 2 ? RowKind::kDelete : RowKind::kUpdateBefore;
    changes.kinds.push_back(adds ? add : remove);
  }
  changes.rows.SetCardinality(count);
}

std::vector<Row> Remaining(ChangeFold& fold) {
  std::vector<Row> rows;
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(),
                   {LogicalType::BIGINT, LogicalType::VARCHAR});
  while (fold.Next(chunk)) {
    for (idx_t i = 0; i < chunk.size(); i++) {
      rows.emplace_back(chunk.GetValue(0, i).GetValue<int64_t>(), chunk.GetValue(1, i).ToString());
    }
    chunk.Reset();
  }
  return rows;
}

}  // namespace

TEST_CASE("a fold of whole rows is a multiset") {
  uint32_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; round++) {
    std::map<Row, int64_t> live;
    ChangeFold fold({LogicalType::BIGINT, LogicalType::VARCHAR}, {}, nullptr);
    for (int chunk = 0; chunk < 5; chunk++) {
      ChangeChunk changes;
      FillRandom(changes, random, live);
      fold.Add(changes);
    }
    std::vector<Row> expected;
    for (const auto& [row, count] : live) expected.insert(expected.end(), count, row);
    std::vector<Row> rows = Remaining(fold);
    std::sort(rows.begin(), rows.end());
    REQUIRE(rows == expected);
  }
}

TEST_CASE("in a fold by key the last row of a key wins") {
  uint32_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (idx_t key = 0; key < 2; key++) {
    std::vector<Value> order;
    std::map<Value, std::optional<Row>> model;
    ChangeFold fold({LogicalType::BIGINT, LogicalType::VARCHAR}, {key}, nullptr);
    std::map<Row, int64_t> live;
    for (int chunk = 0; chunk < 5; chunk++) {
      ChangeChunk changes;
      FillRandom(changes, random, live);
      for (idx_t i = 0; i < changes.size(); i++) {
        if (changes.kinds[i] == RowKind::kUpdateBefore) continue;
        Value at = changes.rows.GetValue(key, i);
        if (!model.contains(at)) order.push_back(at);
        Row row{changes.rows.GetValue(0, i).GetValue<int64_t>(),
                changes.rows.GetValue(1, i).ToString()};
        model[at] = changes.kinds[i] == RowKind::kDelete ? std::nullopt : std::optional(row);
      }
      fold.Add(changes);
    }
    std::vector<Row> expected;
    for (const Value& at : order) {
      if (model[at]) expected.push_back(*model[at]);
    }
    REQUIRE(Remaining(fold) == expected);
  }
}

TEST_CASE("a row removed more often than added is told") {
  ChangeFold fold({LogicalType::BIGINT}, {}, nullptr);
  ChangeChunk changes;
  changes.Initialize({LogicalType::BIGINT});
  changes.rows.SetValue(0, 0, Value::BIGINT(1));
  changes.rows.SetCardinality(1);
  changes.kinds = {RowKind::kDelete};
  fold.Add(changes);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {LogicalType::BIGINT});
  CHECK_THROWS_WITH_AS((void)fold.Next(chunk), doctest::Contains("removed 1 times more"), Error);
}

}  // namespace millrace
