#include "stream/lake_source.h"

#include <algorithm>

#include "base/error.h"
#include "meta/options.h"
#include "stream/change_view.h"
#include "stream/indexed_changes.h"
#include "stream/log_follower.h"
#include "stream/log_redo.h"
#include "table/change_reader.h"
#include "table/changes.h"
#include "table/group_cut.h"
#include "table/group_steps.h"
#include "table/scan_start.h"

namespace millrace {

namespace {

constexpr int64_t kNotStarted = -1;

// Where one table's reading stands.
struct TablePosition {
  int64_t snapshot = kNotStarted;  // The last snapshot read; 0 = started on an empty table.
  int64_t log_offset = -1;         // Next batch of the log; -1 = the log is not read.
  bool operator==(const TablePosition&) const = default;
};

struct LakeInput {
  std::shared_ptr<const Table> table;
  std::vector<idx_t> columns;
  std::unique_ptr<ChangeView> view;  // Of `t$audit_log`, `t$binlog`.
  TablePosition position;
  std::optional<TablePosition> begin;  // Where to start, when it is not at the first target.
  FollowedTable followed;              // Of a table that is followed by its snapshots.
  std::unique_ptr<LogFollower> log;    // Of one that is followed by its log.
  int64_t logged_to = 0;               // Up to this snapshot all is read, or came through the log.
  bool has_log = false;
  bool relied_on_full = false;
  bool wants_index = false;               // 'millrace.old-values' = 'index'.
  std::unique_ptr<IndexedChanges> index;  // Tells its changes, if anybody relies on that.
  std::string full_writer;                // Whose changes are relied on, of a log.
  ScanStart start;
  std::string consumer;  // "": none.
  std::string identity;  // Of this making of the table.

  std::string Warehouse() const { return WarehouseOf(table->folder()); }
  bool Started() const { return position.snapshot != kNotStarted; }
  void StandAt(const TablePosition& to) {
    position = to;
    followed.position = to.snapshot;
    // A start at a snapshot that is yet to come.
    followed.is_future = start.kind == ScanStart::Kind::kChanges && start.next == to.snapshot + 1;
  }
};

std::string Option(const Table& table, const std::string& key) {
  auto found = table.options().find(key);
  return found == table.options().end() ? "" : found->second;
}

// Who promises that the table's changelog is full; "" for nobody.
std::string FullWriterOf(const Table& table) {
  auto snapshot = LastWrite(table.state(), table.LatestSnapshot());
  if (!snapshot) return "";
  auto writer = snapshot->properties.find(kInputFullProperty);
  return writer == snapshot->properties.end() ? "" : writer->second;
}

[[noreturn]] void RefuseOtherWriter(const LakeInput& input, const std::string& what) {
  Throw(ErrorCode::kInvalid,
        "Following table '{}': {} was made by another writer, whose changes do not carry the old "
        "values of rows; start over with --fresh to follow both",
        input.table->folder(), what);
}

[[noreturn]] void RefuseAnother(const LakeInput& input) {
  Throw(ErrorCode::kInvalid,
        "Following table '{}': it was dropped and made anew, or others are read now; start over "
        "with --fresh",
        input.table->folder());
}

class LakeSource : public Source {
 public:
  LakeSource(TableContext context, const std::vector<SourceTable>& tables, bool bounded,
             std::string index_folder)
      : context_(context), bounded_(bounded), index_folder_(std::move(index_folder)) {
    for (const SourceTable& source : tables) {
      LakeInput input;
      input.table = OpenLakeTable(context_, *source.definition);
      input.columns = source.columns;
      std::string system = SystemTableOf(*source.definition);
      if (!system.empty()) ReadThroughView(input, system);
      if (system.empty() && !bounded_) TakeIndex(input, *source.definition);
      input.start = ResolveScanStart(input.table->state(), !bounded_);
      if (!bounded_) StartFromConsumer(input);
      input.identity = LakeTableIdentity(context_.files, input.table->folder());
      input.has_log = !bounded_ && !input.wants_index && HasLog(*input.table) &&
                      input.start.kind == ScanStart::Kind::kNewest && input.consumer.empty();
      input.followed.table = input.table;
      input.followed.bounded_watermark = input.start.bounded_watermark;
      inputs_.push_back(std::move(input));
      (void)Changelog(inputs_.size() - 1);  // Tables that cannot be followed are refused at once.
    }
    LeaveLogs();
  }

  ChangelogType Changelog(idx_t index) const override {
    if (bounded_ || inputs_[index].view || !inputs_[index].table->HasPrimaryKey()) {
      return ChangelogType::kAppend;
    }
    if (inputs_[index].wants_index) return ChangelogType::kFull;
    return inputs_[index].table->StreamType();
  }
  bool IsBounded() const override {
    return bounded_ || std::all_of(inputs_.begin(), inputs_.end(), [](const LakeInput& input) {
             return input.start.bounded_watermark.has_value();
           });
  }
  void RelyOn(idx_t index, ChangelogType type) override {
    LakeInput& input = inputs_[index];
    input.relied_on_full = type == ChangelogType::kFull && !input.wants_index;
    if (type == ChangelogType::kFull && input.wants_index) {
      input.index = std::make_unique<IndexedChanges>(input.table, input.columns, index_folder_);
    }
    if (input.relied_on_full && input.has_log) input.full_writer = FullWriterOf(*input.table);
  }
  bool AwaitsFirstData() const override {
    if (bounded_) return false;
    GroupCut cut(context_.files, context_.clock);
    for (const LakeInput& input : inputs_) {
      if (input.Started() || input.has_log || input.start.kind != ScanStart::Kind::kNewest ||
          FirstSnapshot(input, cut) > 0) {
        return false;
      }
    }
    return true;
  }
  int64_t EventTimeMs() const override { return event_time_ms_; }

  SourceStatus Read(const ReadLimit& limit,
                    const std::function<void(idx_t, ChangeChunk&)>& receive) override {
    std::vector<TablePosition> targets =
        limit.until ? Parse(*limit.until) : Targets(limit.max_rows);
    bool moved = false;
    for (idx_t i = 0; i < inputs_.size(); i++) {
      if (targets[i] == inputs_[i].position) continue;
      moved = true;
      ChangeReceiver give = [&](ChangeChunk& chunk) { receive(i, chunk); };
      ChangeView* view = inputs_[i].view.get();
      if (!view) {
        Advance(inputs_[i], targets[i], give);
        continue;
      }
      Advance(inputs_[i], targets[i], [&](ChangeChunk& chunk) { view->Show(chunk, give); });
      view->End(give);
    }
    if (bounded_ || AtBound()) return SourceStatus::kEnd;
    return moved ? SourceStatus::kProgress : SourceStatus::kIdle;
  }

  void Consumed(const std::string& position) override {
    bool any = std::any_of(inputs_.begin(), inputs_.end(),
                           [](const LakeInput& input) { return !input.consumer.empty(); });
    if (!any) return;
    std::vector<TablePosition> positions = Parse(position);
    for (idx_t i = 0; i < inputs_.size(); i++) {
      if (inputs_[i].consumer.empty() || positions[i].snapshot == kNotStarted) continue;
      inputs_[i].table->state().consumers.Reset(inputs_[i].consumer, positions[i].snapshot + 1);
    }
  }

  std::string Position() const override {
    std::vector<LakeTablePosition> tables;
    for (const LakeInput& input : inputs_) {
      tables.push_back({input.identity, input.position.snapshot, input.position.log_offset});
    }
    return LakePosition(tables);
  }

  void Seek(const std::string& position) override {
    std::vector<TablePosition> positions = Parse(position);
    for (idx_t i = 0; i < inputs_.size(); i++) {
      LakeInput& input = inputs_[i];
      input.StandAt(positions[i]);
      input.followed.ahead.clear();
      input.log.reset();
      input.logged_to = 0;
      if (!input.Started()) continue;
      input.has_log = positions[i].log_offset >= 0;
      if (input.has_log && !HasLog(*input.table)) {
        Throw(ErrorCode::kInvalid,
              "Following table '{}': it was followed by its log, and has none now; set "
              "'log.system' = 'local' again, or start over with --fresh",
              input.table->folder());
      }
    }
  }

  // By snapshots the first target is as good a beginning as any. A log is read from a snapshot
  // whose files hold nothing that lies behind the position.
  void SeekBeginOf(const std::string& position) override {
    std::vector<TablePosition> positions = Parse(position);
    for (idx_t i = 0; i < inputs_.size(); i++) {
      LakeInput& input = inputs_[i];
      input.has_log = positions[i].log_offset >= 0;
      if (input.has_log) input.begin = BeginOf(*input.table, positions[i]);
    }
  }

 private:
  std::vector<TablePosition> Parse(const std::string& position) const {
    std::vector<LakeTablePosition> parsed = ParseLakePosition(position);
    if (parsed.size() != inputs_.size()) {
      Throw(ErrorCode::kCorrupt, "Resuming a lake source: '{}' is not a position of {} tables",
            position, inputs_.size());
    }
    std::vector<TablePosition> positions;
    for (idx_t i = 0; i < inputs_.size(); i++) {
      if (parsed[i].identity != inputs_[i].identity) RefuseAnother(inputs_[i]);
      positions.push_back({parsed[i].snapshot, parsed[i].log_offset});
    }
    return positions;
  }

  static TablePosition BeginOf(const Table& table, const TablePosition& position) {
    int64_t id = std::max<int64_t>(position.snapshot, 0);
    auto snapshot = id > 0 ? table.FindSnapshot(id) : std::nullopt;
    if (id > 0 && !snapshot) {
      // A later one will do, if all between them came through the log.
      id = table.EarliestSnapshotId().value_or(0);
      snapshot = table.FindSnapshot(id);
      if (snapshot) {
        auto unlogged = snapshot->properties.find(kUnloggedProperty);
        bool fits = id > position.snapshot && unlogged != snapshot->properties.end() &&
                    std::strtoll(unlogged->second.c_str(), nullptr, 10) <= position.snapshot;
        if (!fits) snapshot = std::nullopt;
      }
    }
    int64_t offset = id == 0 || snapshot ? LogOffsetAt(table, snapshot) : -1;
    if (offset < 0 || offset > position.log_offset) {
      Throw(ErrorCode::kUnsupported,
            "Reading table '{}' as it was at offset {} of its log: no snapshot before that is left "
            "to begin with",
            table.folder(), position.log_offset);
    }
    return {id, offset};
  }

  // What others overwrite, or expire, leaves the table, too.
  void TakeIndex(LakeInput& input, const TableDefinition& definition) const {
    std::string from =
        GetChoice(input.table->options(), kOldValuesOption, "state", {"state", "index"});
    if (from == "state") return;
    std::string why = WhyNotIndexed(*input.table);
    if (!why.empty()) {
      Throw(ErrorCode::kUnsupported,
            "Following table '{}' with '{}' = 'index': {}; leave the option out",
            input.table->folder(), kOldValuesOption, why);
    }
    if (input.table->state().parsed.RecordsInCompactions()) return;  // Old values are recorded.
    TableDefinition told = definition;
    told.options["streaming-read-overwrite"] = "true";
    input.table = OpenLakeTable(context_, told);
    input.wants_index = true;
  }

  static void ReadThroughView(LakeInput& input, const std::string& system) {
    SystemTableKind kind = SystemTableKindOf(system);
    if (kind != SystemTableKind::kAuditLog && kind != SystemTableKind::kBinlog) {
      Throw(ErrorCode::kUnsupported,
            "Reading system table '{}' of '{}': it can only be read in batch mode (SET "
            "'execution.runtime-mode' = 'batch')",
            system, input.table->folder());
    }
    input.view = MakeChangeView(kind, input.columns, input.table->schema().DuckTypes());
    input.columns = input.view->TableColumns();
  }

  // A consumer that has been here goes on where it was.
  static void StartFromConsumer(LakeInput& input) {
    input.consumer = Option(*input.table, "consumer-id");
    if (input.consumer.empty()) return;
    GetChoice(input.table->options(), "consumer.mode", "exactly-once",
              {"exactly-once", "at-least-once"});
    auto next = input.table->state().consumers.Find(input.consumer);
    if (!next || GetBool(input.table->options(), "consumer.ignore-progress", false)) return;
    input.start.kind = ScanStart::Kind::kChanges;
    input.start.next = std::max(*next, EarliestChange(input.table->state()).value_or(*next));
  }

  // Whether 'scan.bounded.watermark' ends the reading of every table here.
  bool AtBound() const {
    return std::all_of(inputs_.begin(), inputs_.end(), [](const LakeInput& input) {
      if (!input.start.bounded_watermark || !input.Started()) return false;
      auto here = input.table->FindSnapshot(input.position.snapshot);
      auto next = input.table->FindSnapshot(input.position.snapshot + 1);
      return (here && input.followed.IsPastBound(*here)) ||
             (next && input.followed.IsPastBound(*next));
    });
  }

  // What a job shows in one table at each step and in another at each checkpoint cannot be read in
  // step: then by checkpoints both.
  void LeaveLogs() {
    auto must_leave = [&](const LakeInput& input) {
      for (const std::string& job : GroupJobs(context_.files, input.Warehouse())) {
        const GroupMembers& members = MembersOf(input, job);
        if (!members.contains(input.table->folder())) continue;
        if (HaveGroupsEnded(context_.files, input.Warehouse(), job)) continue;
        for (const LakeInput& other : inputs_) {
          if (members.contains(other.table->folder()) && !other.has_log) return true;
        }
      }
      return false;
    };
    for (bool left = inputs_.size() > 1; left;) {
      left = false;
      for (LakeInput& input : inputs_) {
        if (!input.has_log || !must_leave(input)) continue;
        input.has_log = false;
        left = true;
      }
    }
  }

  // A job tells before it writes; what is there stays.
  const GroupMembers& MembersOf(const LakeInput& input, const std::string& job) {
    std::string warehouse = input.Warehouse();
    GroupMembers& members = members_[warehouse + "\n" + job];
    if (members.empty()) members = ReadGroupMembers(context_.files, warehouse, job);
    return members;
  }

  // How far every table may be read now: on by about `max_rows`, to a cut.
  std::vector<TablePosition> Targets(idx_t max_rows) {
    GroupCut cut(context_.files, context_.clock);  // For the first step, in which all tables start.
    std::vector<TablePosition> targets;
    std::vector<FollowedTable*> by_snapshots;
    for (LakeInput& input : inputs_) {
      TablePosition target = input.position;
      if (input.Started()) CheckIdentity(input);
      if (!input.Started()) {
        target.snapshot = FirstSnapshot(input, cut);
        if (input.has_log) {
          target.log_offset = LogOffsetAt(*input.table, input.table->FindSnapshot(target.snapshot));
        }
      } else if (input.has_log) {
        target.snapshot = UnloggedAhead(input);
      } else {
        by_snapshots.push_back(&input.followed);
      }
      targets.push_back(target);
    }
    if (!by_snapshots.empty()) {
      std::vector<int64_t> chosen = ChooseStep(context_.files, by_snapshots, max_rows);
      for (idx_t i = 0, next = 0; i < inputs_.size(); i++) {
        if (inputs_[i].Started() && !inputs_[i].has_log) targets[i].snapshot = chosen[next++];
      }
    }
    LogTargets(targets);
    return targets;
  }

  // The log's batches carry (job, step); tables that one job writes stop at the same step.
  void LogTargets(std::vector<TablePosition>& targets) {
    std::vector<const LogFollower*> logs;
    std::vector<idx_t> input_of;
    for (idx_t i = 0; i < inputs_.size(); i++) {
      LakeInput& input = inputs_[i];
      if (!input.has_log || !input.Started()) continue;
      OpenFollower(input);
      input.log->Poll();
      logs.push_back(input.log.get());
      input_of.push_back(i);
    }
    auto writes = [&](const std::string& job, idx_t i) {
      const LakeInput& input = inputs_[input_of[i]];
      const GroupMembers& members = MembersOf(input, job);
      for (const LakeInput& other : inputs_) {
        if (other.has_log || !members.contains(other.table->folder())) continue;
        Throw(ErrorCode::kInvalid,
              "Following tables '{}' and '{}': a job has begun to write both, and shows its steps "
              "in the log of the first alone; start over with --fresh, to follow both by their "
              "checkpoints",
              input.table->folder(), other.table->folder());
      }
      return members.contains(input.table->folder());
    };
    std::vector<int64_t> offsets = AlignLogs(logs, writes);
    for (idx_t i = 0; i < logs.size(); i++) targets[input_of[i]].log_offset = offsets[i];
  }

  void CheckIdentity(const LakeInput& input) const {
    if (LakeTableIdentity(context_.files, input.table->folder()) == input.identity) return;
    RefuseAnother(input);
  }

  void OpenFollower(LakeInput& input) const {
    if (input.log) return;
    input.log = std::make_unique<LogFollower>(*input.table, input.position.log_offset);
  }

  int64_t FirstSnapshot(const LakeInput& input, GroupCut& cut) const {
    switch (input.start.kind) {
      case ScanStart::Kind::kState:
        return input.start.state->id;
      case ScanStart::Kind::kChanges:
        return input.start.next - 1;
      default:
        return cut.Newest(input.table);
    }
  }

  // What others have written into the files of a table alone does not come through its log: the
  // next such snapshot, or the position when there is none.
  int64_t UnloggedAhead(LakeInput& input) const {
    int64_t& seen = input.logged_to;
    seen = std::max(seen, input.position.snapshot);
    while (auto next = FindChange(input.table->state(), seen + 1)) {
      if (IsUnlogged(*next)) {
        auto group = GroupOf(*next);
        auto done = group ? LatestCommitGroup(context_.files, input.Warehouse(), group->first)
                          : std::nullopt;
        if (!group || (done && done->checkpoint >= group->second)) return seen + 1;
        break;
      }
      seen++;
    }
    auto latest = input.table->LatestSnapshot();
    if (!latest ? seen > 0 : latest->id < seen) RefuseAnother(input);
    if (!latest || latest->id == seen || FindChange(input.table->state(), seen + 1)) {
      return input.position.snapshot;
    }
    // Expired: the newest that came through the log knows of those before it.
    for (int64_t id = latest->id; auto snapshot = input.table->FindSnapshot(id); id--) {
      auto unlogged = snapshot->properties.find(kUnloggedProperty);
      if (unlogged == snapshot->properties.end()) continue;
      if (std::strtoll(unlogged->second.c_str(), nullptr, 10) > seen) break;
      seen = id;
      return input.position.snapshot;
    }
    (void)input.table->PlanChanges(seen + 1);  // Says what has expired.
    return input.position.snapshot;
  }

  void Advance(LakeInput& input, const TablePosition& target, const ChangeReceiver& receive) {
    CheckIdentity(input);  // Once more: what is read now is what the target was chosen for.
    if (!input.Started()) {
      TablePosition first = input.begin.value_or(target);
      bool state_first = input.start.kind == ScanStart::Kind::kNewest ||
                         input.start.kind == ScanStart::Kind::kState;
      if (state_first && first.snapshot > 0) ReadFull(input, first.snapshot, receive);
      input.StandAt(first);
      if (!input.begin) return;
    }
    int64_t first = input.has_log ? target.snapshot : input.position.snapshot + 1;
    if (target.snapshot > input.position.snapshot) {
      std::vector<Split> splits;
      for (int64_t id = first; id <= target.snapshot; id++) AddChanges(input, id, splits);
      if (input.index) {
        input.index->Read(input.position.snapshot, target.snapshot, splits, receive);
      } else {
        input.table->ReadChanges(splits, input.columns, receive);
      }
    }
    input.position.snapshot = target.snapshot;
    input.followed.MoveTo(target.snapshot);
    if (!input.has_log) return;
    OpenFollower(input);
    auto check = [&](const LogBatch& batch) {
      event_time_ms_ = std::max(event_time_ms_, batch.time_ms);
      if (!input.relied_on_full || batch.rows == 0) return;
      if (batch.full && batch.job == input.full_writer) return;
      RefuseOtherWriter(input, fmt::format("step {} of '{}' in its log", batch.step, batch.job));
    };
    input.log->ReadTo(target.log_offset, input.columns, receive, check);
    input.position.log_offset = input.log->offset();
    if (input.position.log_offset != target.log_offset) {
      Throw(ErrorCode::kCorrupt, "Following table '{}': its log has {} bytes, and had {} before",
            input.table->folder(), input.position.log_offset, target.log_offset);
    }
  }

  void AddChanges(const LakeInput& input, int64_t id, std::vector<Split>& splits) {
    auto changes = input.table->PlanChanges(id);
    if (!changes) {
      Throw(ErrorCode::kNotFound, "Following table '{}': snapshot {} is gone",
            input.table->folder(), id);
    }
    event_time_ms_ = std::max(event_time_ms_, changes->time_ms);
    if (input.relied_on_full && !changes->full) {
      RefuseOtherWriter(input, fmt::format("snapshot {}", id));
    }
    std::move(changes->splits.begin(), changes->splits.end(), std::back_inserter(splits));
  }

  void ReadFull(const LakeInput& input, int64_t snapshot, const ChangeReceiver& receive) {
    ScanOptions options;
    options.snapshot_id = snapshot;
    options.created_since_ms = input.start.created_since_ms;
    options.columns = input.columns;
    options.as_stream_start = !bounded_;
    ChangeChunk chunk;
    duckdb::vector<LogicalType> types;
    for (idx_t column : input.columns) types.push_back(input.table->schema().DuckTypes()[column]);
    chunk.Initialize(types);
    for (const Split& split : input.table->PlanScan(options)) {
      if (input.view) {
        auto reader = MakeStateChangeReader(input.table->state(), split, input.columns);
        while (reader->Next(chunk)) receive(chunk);
        continue;
      }
      auto reader = input.table->ReadSplit(split, options);
      while (true) {
        chunk.Reset();
        if (!reader->Next(chunk.rows)) break;
        receive(chunk);
      }
    }
    auto found = input.table->FindSnapshot(snapshot);
    if (found) event_time_ms_ = std::max(event_time_ms_, found->time_ms);
  }

  const TableContext context_;
  const bool bounded_;
  const std::string index_folder_;
  std::vector<LakeInput> inputs_;
  std::map<std::string, GroupMembers> members_;  // By warehouse and job.
  int64_t event_time_ms_ = 0;
};

}  // namespace

std::shared_ptr<const Table> OpenLakeTable(TableContext context,
                                           const TableDefinition& definition) {
  Options dynamic = definition.options;
  auto path = dynamic.extract(kPathOption);
  if (path.empty()) {
    Throw(ErrorCode::kInvalid,
          "Table '{}' has neither a 'connector' nor a lake folder; create it in a "
          "catalog of type 'paimon', or add 'connector'",
          definition.path.ToString());
  }
  return Table::Open(context, path.mapped(), dynamic);
}

std::unique_ptr<Source> MakeLakeSource(TableContext context, const std::vector<SourceTable>& tables,
                                       bool bounded, const std::string& index_folder) {
  return std::make_unique<LakeSource>(context, tables, bounded, index_folder);
}

}  // namespace millrace
