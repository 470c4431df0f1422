// Goal: the changelogs of compactions tell exactly what changed: folded, they are the table at
// every moment, and no row leaves that was not there. Method: random tables of all merge engines
// with full-compaction and lookup; what is folded is compared with the naive model after each
// compaction.
#include "lsm/model_bucket.h"

namespace millrace {

namespace {

/// The rows that a reader of the changelog knows.
class Follower {
 public:
  void Apply(const std::vector<std::pair<RowKind, TestRow>>& changes, bool no_same) {
    for (; read_ < changes.size(); read_++) {
      const auto& [kind, row] = changes[read_];
      auto there = rows_.find({row[0]});
      if (kind == RowKind::kInsert) {
        REQUIRE(there == rows_.end());
        rows_[{row[0]}] = row;
        continue;
      }
      if (kind == RowKind::kUpdateAfter) {
        REQUIRE(read_ > 0);
        REQUIRE(changes[read_ - 1].first == RowKind::kUpdateBefore);
        REQUIRE(there == rows_.end());
        if (no_same) CHECK(!SameRow(row, changes[read_ - 1].second));
        rows_[{row[0]}] = row;
        continue;
      }
      REQUIRE(there != rows_.end());
      CHECK(SameRow(there->second, row));
      rows_.erase(there);
    }
  }

  std::vector<TestRow> Rows() const {
    std::vector<TestRow> rows;
    for (const auto& [key, row] : rows_) rows.push_back(row);
    return rows;
  }

 private:
  std::map<TestRow, TestRow, KeyLess> rows_;
  size_t read_ = 0;
};

struct FollowedBucket {
  ModelBucket bucket;
  Follower follower;

  FollowedBucket(uint64_t seed, CompactionChangelog kind) : bucket(seed) {
    bucket.changelog_kind = kind;
    bucket.leaves_out_same = seed % 2 == 0;
    bucket.table.spec.whole_above_level0 = kind == CompactionChangelog::kLookup;
  }

  void Compact(const CompactUnit& unit) {
    bucket.Compact(unit);
    follower.Apply(bucket.changes, bucket.leaves_out_same);
    std::vector<DataFileMeta> recorded;  // Files that the changelog has told of.
    for (const DataFileMeta& file : bucket.levels.Files()) {
      bool is_recorded = bucket.LooksUp() ? file.level > 0 : file.level == bucket.levels.MaxLevel();
      if (is_recorded) recorded.push_back(file);
    }
    std::vector<TestRow> expected;
    for (auto& [key, rows] : bucket.RowsOf(recorded)) {
      auto merged = bucket.MergeNaively(rows);
      if (merged && IsAdd(merged->kind)) expected.push_back(merged->values);
    }
    bucket.CheckRows(follower.Rows(), expected);
  }
};

void RunFollowed(uint64_t seed, CompactionChangelog kind) {
  CAPTURE(seed);
  FollowedBucket followed(seed, kind);
  ModelBucket& bucket = followed.bucket;
  CAPTURE(static_cast<int>(bucket.table.spec.engine));
  // Only lookup serves first-row.
  if (bucket.table.spec.engine == MergeEngine::kFirstRow && !bucket.LooksUp()) return;
  UniversalCompaction compaction({.trigger = 3});
  std::vector<idx_t> all;
  for (idx_t i = 0; i < bucket.table.layout.fields.size(); i++) all.push_back(i);
  for (int round = 0; round < 8; round++) {
    CAPTURE(round);
    for (int i = 0; i < 3; i++) bucket.Write(bucket.table.random() % 30);
    bucket.Flush();
    bucket.CheckRead(all);
    auto unit = bucket.table.One(4) ? UniversalCompaction::PickAll(bucket.levels)
                                    : compaction.Pick(bucket.levels);
    if (!unit && bucket.LooksUp() && !bucket.table.One(4)) {
      unit = compaction.PickLevel0(bucket.levels);
    }
    if (!unit) continue;
    followed.Compact(*unit);
    bucket.CheckRead(all);
    bucket.CheckRead(bucket.SomeFields());
  }
}

}  // namespace

TEST_CASE("The changelog of full compactions, folded, is the top level") {
  for (uint64_t seed = 1; seed <= 30; seed++) {
    RunFollowed(seed, CompactionChangelog::kFullCompaction);
  }
}

TEST_CASE("The changelog of compactions that look up, folded, is the table above level 0") {
  for (uint64_t seed = 1; seed <= 50; seed++) RunFollowed(seed, CompactionChangelog::kLookup);
}

}  // namespace millrace
