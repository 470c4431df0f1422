// Goal: whatever is done to a table, in whatever order, it holds what a naive model holds: now, at
// every snapshot that is kept, and at every tag; and all of it is whole. Method: random writes,
// races of two writers, repeated and lost commits, compactions, overwrites, row deletions, schema
// changes, expiry, tags, rollbacks and orphan removal, by one seed that is printed.
// MILLRACE_OPERATIONS sets how many a table sees.
#include <cstdlib>
#include <set>

#include "meta/binary_row.h"
#include "table/alter_table.h"
#include "table/expire.h"
#include "table/orphan_files.h"
#include "table/overwrite.h"
#include "table/rollback.h"
#include "table/table_fixture.h"
#include "table/tags.h"

namespace millrace {

namespace {

constexpr const char* kFolder = "/w/d.db/t";
constexpr const char* kParts[] = {"a", "b", "c"};

using Rows = std::multiset<std::string>;  // "id|part|value".

std::string TextOf(const TestRow& row) {
  return std::to_string(row.id) + "|" + row.part + "|" + row.value;
}

bool IsOf(const std::string& text, int64_t id, const std::string& part) {
  return text.starts_with(std::to_string(id) + "|" + part + "|");
}

class Machine {
 public:
  Machine(bool keyed, Options options, uint64_t seed) : keyed_(keyed), world_(seed), random_(seed) {
    options["num-sorted-run.compaction-trigger"] = "3";
    options["snapshot.num-retained.min"] = "4";
    options["snapshot.num-retained.max"] = "9";
    options["manifest.merge-min-count"] = "4";
    options["compaction.min.file-num"] = "3";
    Table::Create(world_.context(), kFolder, TestDefinition(keyed, true, options));
    Reopen();
    bool vectors = options.contains("deletion-vectors.enabled");
    deletes_rows_ = !keyed && vectors;
    level0_waits_ = keyed && vectors;
    records_in_compactions_ = table_->state().parsed.RecordsInCompactions();
  }

  void Step() {
    switch (Below(16)) {
      case 0:
        return Compact();
      case 1:
        return Overwrite();
      case 2:
        return Expire();
      case 3:
        return MakeTag();
      case 4:
        return DropTag();
      case 5:
        return Alter();
      case 6:
        return Below(4) == 0 ? RollBack() : Write();
      case 7:
        return RemoveOrphans();
      case 8:
        return Race();
      case 9:
        return LoseCommit();
      case 10:
        return RepeatCommit();
      case 11:
        return deletes_rows_ ? DeleteRows() : Write();
      default:
        return Write();
    }
  }

  void CheckNow() {
    CAPTURE(said_);
    REQUIRE(ReadRows(*table_) == Sorted(seen_));
  }

  /// All that is kept.
  void CheckAll() {
    CAPTURE(said_);
    for (const auto& [id, state] : history_) {
      CAPTURE(id);
      ScanOptions options;
      options.snapshot_id = id;
      REQUIRE(ReadRows(*table_, options) == Sorted(state.seen));
      if (!level0_waits_) continue;
      options.as_stream_start = !records_in_compactions_;
      if (options.as_stream_start) REQUIRE(ReadRows(*table_, options) == Sorted(state.rows));
    }
    for (const auto& [name, tagged] : tags_) {
      CAPTURE(name);
      ScanOptions options;
      options.snapshot = table_->state().tags.Need(name).snapshot;
      REQUIRE(ReadRows(*table_, options) == Sorted(tagged.state.seen));
    }
    CheckWhole(*table_);
  }

  /// Without orphans no file is left that nothing names.
  void CheckEnd() {
    RemoveOrphans();
    CHECK(RemoveOrphanFiles(table_->state(), Later(), true).empty());
    CheckNow();
    CheckAll();
  }

  const std::string& said() const { return said_; }

 private:
  struct State {
    Rows rows;  // All that was committed.
    Rows seen;  // By scans: with deletion vectors without level 0.
  };
  struct Tagged {
    int64_t snapshot;
    State state;
  };

  int64_t Below(int64_t bound) { return static_cast<int64_t>(random_() % bound); }
  int64_t Later() { return world_.clock.NowMs() + 1'000'000; }
  void Say(const std::string& what) {
    said_ += what + "; ";
    if (said_.size() > 600) said_.erase(0, said_.size() - 600);
  }
  static std::vector<std::string> Sorted(const Rows& rows) { return {rows.begin(), rows.end()}; }

  void Reopen() {
    table_ = Table::Open(world_.context(), kFolder);
    writer_ = table_->NewWriter("writer");
  }

  /// New rows; with `parity` only ids that are even (0) or odd (1), with `part` only of that one.
  std::vector<TestRow> SomeRows(std::optional<int64_t> parity = {},
                                std::optional<std::string> part = {}) {
    std::vector<TestRow> rows;
    for (int64_t i = 0, count = 1 + Below(25); i < count; i++) {
      TestRow row;
      row.id = parity ? Below(20) * 2 + *parity : Below(40);
      row.part = part ? *part : kParts[Below(3)];
      row.value = std::to_string(Below(1000));
      if (keyed_ && !part && Below(4) == 0) {
        row.kind = RowKind::kDelete;
        // Its old value, as changelogs have it.
        for (const std::string& text : rows_) {
          if (IsOf(text, row.id, row.part)) row.value = text.substr(text.rfind('|') + 1);
        }
      }
      rows.push_back(row);
    }
    return rows;
  }

  void WriteTo(TableWriter& writer, const std::vector<TestRow>& rows) const {
    ChangeChunk chunk;
    chunk.Initialize(table_->schema().DuckTypes());
    for (size_t i = 0; i < rows.size(); i++) {
      chunk.rows.SetValue(0, i, Value::BIGINT(rows[i].id));
      chunk.rows.SetValue(1, i, Value(rows[i].part));
      chunk.rows.SetValue(2, i, Value(rows[i].value));
      for (idx_t c = 3; c < chunk.rows.ColumnCount(); c++) chunk.rows.SetValue(c, i, Value());
      chunk.kinds.push_back(rows[i].kind);
    }
    chunk.rows.SetCardinality(rows.size());
    writer.Write(chunk);
  }

  void Apply(const std::vector<TestRow>& rows) {
    for (const TestRow& row : rows) {
      if (keyed_) {
        std::erase_if(rows_, [&](const std::string& text) { return IsOf(text, row.id, row.part); });
      }
      if (IsAdd(row.kind)) rows_.insert(TextOf(row));
    }
  }

  /// Something was committed: its snapshots hold what the model holds now. `replaced`: partitions
  /// that were overwritten.
  void Committed(const std::set<std::string>& replaced = {}) {
    auto latest = table_->LatestSnapshot();
    if (!latest) return;
    for (int64_t id = recorded_ + 1; id <= latest->id; id++) {
      See(*table_->FindSnapshot(id), replaced);
      history_[id] = {rows_, seen_};
    }
    recorded_ = latest->id;
    std::erase_if(history_,
                  [&](const auto& item) { return item.first < *table_->EarliestSnapshotId(); });
    world_.clock.AdvanceMs(10);
  }

  /// What scans of `snapshot` see: of a partition whose level 0 waits what they saw before, or
  /// nothing when it was overwritten.
  void See(const Snapshot& snapshot, const std::set<std::string>& replaced) {
    std::set<std::string> waits;
    if (level0_waits_) {
      for (const ManifestEntry& entry : table_->state().manifests.LiveEntries(snapshot)) {
        if (entry.file.level > 0) continue;
        waits.insert(DecodeRow(PartitionTypes(table_->schema()), entry.partition)[0].ToString());
      }
    }
    bool overwrites = snapshot.commit_kind == CommitKind::kOverwrite;
    std::erase_if(seen_, [&](const std::string& text) {
      std::string part = PartOf(text);
      return !waits.contains(part) || (overwrites && replaced.contains(part));
    });
    for (const std::string& text : rows_) {
      if (!waits.contains(PartOf(text))) seen_.insert(text);
    }
  }
  static std::string PartOf(const std::string& text) {
    size_t at = text.find('|') + 1;
    return text.substr(at, text.find('|', at) - at);
  }

  void Write() {
    Say("write");
    std::vector<TestRow> rows = SomeRows();
    WriteTo(*writer_, rows);
    Apply(rows);
    table_->Commit(writer_->PrepareCommit(), "writer", ++commits_);
    Committed();
  }

  void Race() {
    Say("race");
    auto other = table_->NewWriter("other");
    std::vector<TestRow> ours = SomeRows(0), theirs = SomeRows(1);
    WriteTo(*writer_, ours);
    WriteTo(*other, theirs);
    Committable first = writer_->PrepareCommit(), second = other->PrepareCommit();
    Apply(theirs);
    table_->Commit(second, "other", ++commits_);
    Committed();
    Apply(ours);
    table_->Commit(first, "writer", ++commits_);
    Committed();
  }

  void LoseCommit() {
    Say("lose a commit");
    auto other = table_->NewWriter("lost");
    WriteTo(*other, SomeRows());
    (void)other->PrepareCommit();
  }

  void RepeatCommit() {
    Say("repeat a commit");
    std::vector<TestRow> rows = SomeRows();
    WriteTo(*writer_, rows);
    Apply(rows);
    Committable committable = Committable::FromJson(writer_->PrepareCommit().ToJson());
    table_->Commit(committable, "writer", ++commits_);
    Committed();
    table_->Commit(committable, "writer", commits_);
    Committed();
  }

  void Compact() {
    if (!keyed_ && Below(2) == 0) return RaceCompaction();
    Say("compact");
    table_->Compact({.full = Below(2) == 0}, "compactor", ++commits_);
    Committed();
  }

  /// Somebody else does something between a compaction and its commit.
  void RaceCompaction() {
    Say("compact, and before that is committed");
    auto other = table_->NewWriter("compactor");
    other->CompactFully();
    Committable compaction = other->PrepareCommit();
    switch (Below(3)) {
      case 0:
        Overwrite();
        break;
      case 1:
        if (deletes_rows_) DeleteRows();
        break;
      default:
        Write();
    }
    try {
      table_->Commit(compaction, "compactor", ++commits_);
    } catch (const Error& error) {
      REQUIRE(error.code() == ErrorCode::kConflict);
    }
    Committed();
  }

  void Overwrite() {
    bool dynamic = Below(2) == 0;
    std::string part = kParts[Below(3)];
    Say(dynamic ? "overwrite what is written" : "overwrite part " + part);
    std::vector<TestRow> rows = SomeRows({}, dynamic ? std::nullopt : std::optional(part));
    for (TestRow& row : rows) row.kind = RowKind::kInsert;
    auto other = table_->NewWriter("overwriter", {.overwrite = true});
    WriteTo(*other, rows);
    Committable committable = other->PrepareCommit();
    committable.overwrite = OverwriteScope{};
    committable.overwrite->dynamic = dynamic;
    std::set<std::string> replaced = {part};
    if (dynamic) {
      replaced.clear();
      for (const TestRow& row : rows) replaced.insert(row.part);
    } else {
      committable.overwrite->partitions = {
          MakePartitionSpec(table_->schema(), {{"part", Value(part)}}, "Testing")};
    }
    std::erase_if(rows_, [&](const std::string& text) { return replaced.contains(PartOf(text)); });
    Apply(rows);
    table_->Commit(committable, "overwriter", ++commits_);
    Committed(replaced);
    Reopen();  // What it knew of the replaced files is of no use.
  }

  void DeleteRows() {
    auto latest = table_->LatestSnapshot();
    if (!latest) return;
    int64_t id = Below(40);
    Say("delete id " + std::to_string(id));
    auto deleter = table_->NewRowDeleter(latest->id);
    ScanOptions scan;
    scan.snapshot_id = latest->id;
    ForEachPosition(*table_, scan,
                    [&](const Split& split, size_t file, int64_t position, int64_t row) {
                      if (row == id) deleter->Delete(split, split.files.at(file), {position});
                    });
    Committable committable;
    deleter->PrepareCommit(committable);
    std::erase_if(
        rows_, [&](const std::string& text) { return text.starts_with(std::to_string(id) + "|"); });
    table_->Commit(committable, "deleter", ++commits_);
    Committed();
  }

  void Expire() {
    Say("expire");
    int64_t least = 1 + Below(4);
    ExpireSnapshots(table_->state(),
                    {.retain_max = least + Below(3),
                     .retain_min = least,
                     .older_than_ms = Below(2) ? std::optional(Later()) : std::nullopt});
    Committed();
  }

  void MakeTag() {
    if (history_.empty()) return;
    auto at = std::next(history_.begin(), Below(static_cast<int64_t>(history_.size())));
    std::string name = "tag" + std::to_string(Below(5));
    Say("tag " + name + " of " + std::to_string(at->first));
    if (tags_.contains(name)) {
      ReplaceTag(table_->state(), name, *table_->FindSnapshot(at->first), {});
    } else {
      CreateTag(table_->state(), name, *table_->FindSnapshot(at->first), {});
    }
    tags_[name] = {at->first, at->second};
  }

  void DropTag() {
    if (tags_.empty()) return;
    auto tag = std::next(tags_.begin(), Below(static_cast<int64_t>(tags_.size())));
    Say("drop " + tag->first);
    CHECK(DeleteTag(table_->state(), tag->first));
    tags_.erase(tag);
  }

  void Alter() {
    Say("alter");
    AlterTableSchema(
        world_.context(), kFolder, "t",
        [&](const TableSchema& schema) -> std::vector<SchemaChange> {
          size_t columns = schema.fields.size();
          std::string fresh = "c" + std::to_string(++columns_made_);
          switch (Below(4)) {
            case 0:
              if (columns > 3) return {DropColumn{{schema.fields[3].name}}};
              [[fallthrough]];
            case 1:
              if (columns < 6) {
                return {AddColumn{{fresh}, ParseDataType(Below(2) ? "INT" : "STRING")}};
              }
              [[fallthrough]];
            case 2:
              return {RenameColumn{{schema.fields[2].name}, "value" + fresh}};
            default:
              return {SetTableOption{"snapshot.num-retained.max", std::to_string(5 + Below(10))}};
          }
        });
    Reopen();
  }

  void RollBack() {
    if (history_.empty()) return;
    auto at = std::next(history_.begin(), Below(static_cast<int64_t>(history_.size())));
    int64_t id = at->first;
    Snapshot target = *table_->FindSnapshot(id);
    if (!tags_.empty() && Below(2) == 0) {
      auto tag = std::next(tags_.begin(), Below(static_cast<int64_t>(tags_.size())));
      id = tag->second.snapshot;
      history_[id] = tag->second.state;
      target = table_->state().tags.Need(tag->first).snapshot;
    }
    Say("roll back to " + std::to_string(id));
    RollbackTo(table_->state(), target);
    rows_ = history_.at(id).rows;
    seen_ = history_.at(id).seen;
    std::erase_if(history_, [&](const auto& item) { return item.first > id; });
    std::erase_if(history_, [&](const auto& item) { return !table_->FindSnapshot(item.first); });
    std::erase_if(tags_, [&](const auto& item) { return item.second.snapshot > id; });
    recorded_ = id;
    Reopen();
  }

  void RemoveOrphans() {
    Say("remove orphans");
    Reopen();  // Nobody is writing.
    RemoveOrphanFiles(table_->state(), Later(), false);
  }

  const bool keyed_;
  TestWorld world_;
  std::mt19937_64 random_;
  bool deletes_rows_ = false;
  bool level0_waits_ = false;
  bool records_in_compactions_ = false;
  std::shared_ptr<const Table> table_;
  std::unique_ptr<TableWriter> writer_;
  Rows rows_, seen_;
  std::map<int64_t, State> history_;  // By snapshot.
  std::map<std::string, Tagged> tags_;
  int64_t recorded_ = 0;
  int64_t commits_ = 0;
  int columns_made_ = 0;
  std::string said_;  // The last operations.
};

void Run(bool keyed, const Options& options) {
  const char* wanted = std::getenv("MILLRACE_OPERATIONS");
  int64_t operations = wanted ? std::strtoll(wanted, nullptr, 10) : 120;
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  Machine machine(keyed, options, seed);
  for (int64_t i = 1; i <= operations; i++) {
    CAPTURE(i);
    try {
      machine.Step();
    } catch (const std::exception& exception) {
      FAIL(machine.said() << ErrorFrom(exception).text());
    }
    machine.CheckNow();
    if (i % 20 == 0) machine.CheckAll();
  }
  machine.CheckEnd();
}

}  // namespace

TEST_CASE("Random operations on a keyed table agree with a model") {
  Run(true, {{"bucket", "2"}});
}

TEST_CASE("Random operations on a keyed table with its input as changelog agree with a model") {
  Run(true, {{"bucket", "1"}, {"changelog-producer", "input"}});
}

TEST_CASE("Random operations on a keyed table that records changes agree with a model") {
  Run(true, {{"bucket", "1"}, {"changelog-producer", "lookup"}});
  Run(true, {{"bucket", "2"}, {"changelog-producer", "full-compaction"}});
}

TEST_CASE("Random operations on a keyed table with deletion vectors agree with a model") {
  Options vectors = {{"bucket", "1"}, {"deletion-vectors.enabled", "true"}};
  auto run = [&](Options more) {
    more.insert(vectors.begin(), vectors.end());
    Run(true, more);
  };
  run({});
  run({{"changelog-producer", "lookup"}, {"num-levels", "3"}, {"data-file.thin-mode", "true"}});
  run({{"changelog-producer", "input"}, {"deletion-vectors.bitmap64", "true"}});
  run({{"merge-engine", "partial-update"},
       {"partial-update.remove-record-on-delete", "true"},
       {"changelog-producer", "lookup"}});
  run({{"merge-engine", "aggregation"},
       {"fields.default-aggregate-function", "last_value"},
       {"aggregation.remove-record-on-delete", "true"},
       {"index-file-in-data-file-dir", "true"}});
}

TEST_CASE("Random operations on a table with dynamic buckets agree with a model") {
  Run(true, {{"bucket", "-1"}, {"dynamic-bucket.target-row-num", "8"}});
}

TEST_CASE("Random operations on an append-only table agree with a model") {
  Run(false, {{"bucket", "-1"}});
  Run(false, {{"bucket", "2"}, {"bucket-key", "id"}, {"file-index.bloom-filter.columns", "id"}});
  Run(false, {{"bucket", "-1"}, {"deletion-vectors.enabled", "true"}});
  Run(false, {{"bucket", "2"}, {"bucket-key", "id"}, {"deletion-vectors.enabled", "true"}});
}

}  // namespace millrace
