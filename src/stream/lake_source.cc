#include "stream/lake_source.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "meta/options.h"
#include "stream/change_view.h"
#include "table/change_reader.h"
#include "table/group_cut.h"
#include "table/log/table_log.h"
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
  std::unique_ptr<LogReader> log;
  bool has_log = false;
  bool relied_on_full = false;
  ScanStart start;
  std::string consumer;  // "": none.
  std::string identity;  // Of this making of the table.
};

std::string Option(const Table& table, const std::string& key) {
  auto found = table.options().find(key);
  return found == table.options().end() ? "" : found->second;
}

// Warehouse and job -> the last checkpoint of the job that a step may read; nullopt: none is
// complete.
using Caps = std::map<std::string, std::optional<int64_t>>;

class LakeSource : public Source {
 public:
  LakeSource(TableContext context, const std::vector<SourceTable>& tables, bool bounded)
      : context_(context), bounded_(bounded) {
    for (const SourceTable& source : tables) {
      LakeInput input;
      input.table = OpenLakeTable(context_, *source.definition);
      input.columns = source.columns;
      std::string system = SystemTableOf(*source.definition);
      if (!system.empty()) ReadThroughView(input, system);
      input.start = ResolveScanStart(input.table->state(), !bounded_);
      if (!bounded_) StartFromConsumer(input);
      input.identity = LakeTableIdentity(context_.files, input.table->folder());
      input.has_log = !bounded_ && Option(*input.table, "log.system") == "local" &&
                      input.start.kind == ScanStart::Kind::kNewest && input.consumer.empty();
      inputs_.push_back(std::move(input));
      (void)Changelog(inputs_.size() - 1);  // Tables that cannot be followed are refused at once.
    }
  }

  ChangelogType Changelog(idx_t index) const override {
    if (bounded_ || inputs_[index].view || !inputs_[index].table->HasPrimaryKey()) {
      return ChangelogType::kAppend;
    }
    return inputs_[index].table->StreamType();
  }
  bool IsBounded() const override {
    return bounded_ || std::all_of(inputs_.begin(), inputs_.end(), [](const LakeInput& input) {
             return input.start.bounded_watermark.has_value();
           });
  }
  void RelyOn(idx_t index, ChangelogType type) override {
    inputs_[index].relied_on_full = type == ChangelogType::kFull;
  }
  bool AwaitsFirstData() const override {
    if (bounded_) return false;
    GroupCut cut(context_.files);
    for (const LakeInput& input : inputs_) {
      if (input.position.snapshot != kNotStarted || input.has_log ||
          input.start.kind != ScanStart::Kind::kNewest || FirstSnapshot(input, cut) > 0) {
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
    nlohmann::json json = nlohmann::json::array();
    for (const LakeInput& input : inputs_) {
      json.push_back({{"table", input.identity},
                      {"snapshot", input.position.snapshot},
                      {"log", input.position.log_offset}});
    }
    return json.dump();
  }

  void Seek(const std::string& position) override {
    std::vector<TablePosition> positions = Parse(position);
    for (idx_t i = 0; i < inputs_.size(); i++) {
      inputs_[i].position = positions[i];
      inputs_[i].log.reset();
    }
  }

 private:
  std::vector<TablePosition> Parse(const std::string& position) const {
    nlohmann::json json = nlohmann::json::parse(position, nullptr, false);
    if (!json.is_array() || json.size() != inputs_.size()) {
      Throw(ErrorCode::kCorrupt, "Resuming a lake source: '{}' is not a position of {} tables",
            position, inputs_.size());
    }
    std::vector<TablePosition> positions;
    for (idx_t i = 0; i < inputs_.size(); i++) {
      if (json[i].at("table").get<std::string>() != inputs_[i].identity) {
        Throw(ErrorCode::kInvalid,
              "Resuming a lake source: table '{}' was dropped and made anew (or others are read "
              "now); start over with --fresh",
              inputs_[i].table->folder());
      }
      positions.push_back(
          {json[i].at("snapshot").get<int64_t>(), json[i].at("log").get<int64_t>()});
    }
    return positions;
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
      if (!input.start.bounded_watermark || input.position.snapshot == kNotStarted) return false;
      return IsPastBound(input, input.table->FindSnapshot(input.position.snapshot)) ||
             IsPastBound(input, input.table->FindSnapshot(input.position.snapshot + 1));
    });
  }
  static bool IsPastBound(const LakeInput& input, const std::optional<Snapshot>& snapshot) {
    return snapshot && input.start.bounded_watermark && snapshot->watermark &&
           *snapshot->watermark > *input.start.bounded_watermark;
  }

  // How far every table may be read now: on by about `max_rows`, snapshot by snapshot, except that
  // snapshots of a commit group count only once the group is complete, and tables of one group stop
  // at the same group.
  std::vector<TablePosition> Targets(idx_t max_rows) {
    GroupCut cut(context_.files);  // For the first step, in which all tables start.
    Caps caps;
    ChooseGroups(max_rows, caps);
    std::vector<TablePosition> targets;
    for (LakeInput& input : inputs_) {
      TablePosition target = input.position;
      if (target.snapshot == kNotStarted) {
        target.snapshot = FirstSnapshot(input, cut);
        if (input.has_log) target.log_offset = LogOffsetOf(input, target.snapshot);
      } else if (!input.has_log) {
        target.snapshot = LastAdmitted(input, max_rows, caps);
      }
      targets.push_back(target);
    }
    LogTargets(targets);
    return targets;
  }

  // The log's batches carry (job, step); tables that one job writes stop at the same step.
  void LogTargets(std::vector<TablePosition>& targets) {
    std::map<std::string, int64_t> last_step;  // Per job: the last step that all its tables have.
    std::vector<std::vector<LogBatch>> batches(inputs_.size());
    for (idx_t i = 0; i < inputs_.size(); i++) {
      LakeInput& input = inputs_[i];
      if (!input.has_log || input.position.log_offset < 0) continue;
      std::unique_ptr<LogReader> ahead = OpenLog(input, input.position.log_offset);
      std::map<std::string, int64_t> mine;
      while (auto batch = ahead->Peek()) {
        // Sinks of one job are told apart by what follows a point.
        batch->job.resize(std::min(batch->job.size(), batch->job.find('.')));
        mine[batch->job] = batch->step;
        batches[i].push_back(*batch);
        ahead->Read({}, [](ChangeChunk&) {});
      }
      for (const auto& [job, step] : mine) {
        auto [slot, is_new] = last_step.try_emplace(job, step);
        if (!is_new) slot->second = std::min(slot->second, step);
      }
      for (const std::string& job : input_jobs_[i]) {
        if (!mine.count(job))
          last_step[job] = std::min(last_step.try_emplace(job, -1).first->second, int64_t(-1));
      }
      for (const auto& [job, step] : mine) input_jobs_[i].insert(job);
    }
    for (idx_t i = 0; i < inputs_.size(); i++) {
      for (const LogBatch& batch : batches[i]) {
        if (batch.step > last_step[batch.job]) break;
        targets[i].log_offset = batch.next_offset;
      }
    }
  }

  std::unique_ptr<LogReader> OpenLog(const LakeInput& input, int64_t offset) const {
    std::vector<DataType> types;
    for (const DataField& field : input.table->schema().fields) types.push_back(field.type);
    return std::make_unique<LogReader>(context_.files, input.table->folder(), std::move(types),
                                       offset);
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

  static idx_t RowsOf(const Snapshot& snapshot) {
    if (snapshot.commit_kind == CommitKind::kCompact && !snapshot.changelog_record_count) return 0;
    return static_cast<idx_t>(std::max<int64_t>(
        0, snapshot.changelog_record_count.value_or(snapshot.delta_record_count)));
  }

  // A snapshot, or a changelog that outlived it.
  static std::optional<Snapshot> FindChange(const LakeInput& input, int64_t id) {
    if (auto snapshot = input.table->FindSnapshot(id)) return snapshot;
    return input.table->state().changelogs.Find(id);
  }

  // For jobs that write several of the tables: the first group that makes the step large enough.
  void ChooseGroups(idx_t max_rows, Caps& caps) const {
    std::map<std::string, std::map<int64_t, idx_t>> rows;  // Per job: rows by checkpoint.
    for (const LakeInput& input : inputs_) {
      if (input.position.snapshot == kNotStarted || input.has_log) continue;
      for (int64_t id = input.position.snapshot + 1; auto next = FindChange(input, id); id++) {
        auto group = GroupOf(*next);
        if (!group) continue;
        std::optional<int64_t> cap = CapOf(input, group->first, caps);
        if (cap && group->second <= *cap)
          rows[KeyOf(input, group->first)][group->second] += RowsOf(*next);
      }
    }
    for (const auto& [key, checkpoints] : rows) {
      idx_t total = 0;
      for (const auto& [checkpoint, count] : checkpoints) {
        total += count;
        if (total < max_rows) continue;
        caps[key] = checkpoint;
        break;
      }
    }
  }

  int64_t LastAdmitted(const LakeInput& input, idx_t max_rows, const Caps& caps) const {
    int64_t from = input.position.snapshot;
    int64_t id = from;
    idx_t rows = 0;  // Of snapshots that belong to no group.
    while (auto next = FindChange(input, id + 1)) {
      if (rows >= max_rows || !Admitted(input, *next, caps) || IsPastBound(input, next)) break;
      if (!GroupOf(*next)) rows += RowsOf(*next);
      id++;
    }
    if (id == from) {  // Nothing new, or expired under us: PlanChanges tells which.
      auto latest = input.table->LatestSnapshot();
      if (latest && latest->id > from && !input.table->FindSnapshot(from + 1)) {
        (void)input.table->PlanChanges(from + 1);
      }
    }
    return id;
  }

  static std::string KeyOf(const LakeInput& input, const std::string& job) {
    return WarehouseOf(input.table->folder()) + "\n" + job;
  }

  // Up to which checkpoint of `job` its tables may be read; unless chosen, the newest complete one.
  std::optional<int64_t> CapOf(const LakeInput& input, const std::string& job, Caps& caps) const {
    auto [slot, is_new] = caps.try_emplace(KeyOf(input, job));
    if (is_new) {
      auto group = LatestCommitGroup(context_.files, WarehouseOf(input.table->folder()), job);
      if (group) slot->second = group->checkpoint;
    }
    return slot->second;
  }

  // A group that ChooseGroups has not seen waits for the next step: a table that has been looked at
  // since may lack its part of it.
  static bool Admitted(const LakeInput& input, const Snapshot& snapshot, const Caps& caps) {
    auto group = GroupOf(snapshot);
    if (!group) return true;
    auto cap = caps.find(KeyOf(input, group->first));
    return cap != caps.end() && cap->second && *cap->second >= group->second;
  }

  // The log position that the files of `snapshot` include: from the newest snapshot that tells one.
  int64_t LogOffsetOf(const LakeInput& input, int64_t snapshot) const {
    for (int64_t id = snapshot; id > 0; id--) {
      auto found = input.table->FindSnapshot(id);
      if (!found) break;
      auto offset = found->log_offsets.find(0);
      if (offset != found->log_offsets.end()) return offset->second;
    }
    return 0;
  }

  void Advance(LakeInput& input, const TablePosition& target, const ChangeReceiver& receive) {
    if (input.position.snapshot == kNotStarted) {
      bool state_first = input.start.kind == ScanStart::Kind::kNewest ||
                         input.start.kind == ScanStart::Kind::kState;
      if (state_first && target.snapshot > 0) ReadFull(input, target.snapshot, receive);
      if (input.has_log) input.position.log_offset = LogOffsetOf(input, target.snapshot);
    } else {
      for (int64_t id = input.position.snapshot + 1; id <= target.snapshot; id++) {
        auto changes = input.table->PlanChanges(id);
        if (!changes)
          Throw(ErrorCode::kNotFound, "Following table '{}': snapshot {} is gone",
                input.table->folder(), id);
        event_time_ms_ = std::max(event_time_ms_, changes->time_ms);
        if (input.relied_on_full && !changes->full) {
          Throw(
              ErrorCode::kInvalid,
              "Following table '{}': snapshot {} was made by another writer, whose changes do not "
              "carry the old values of rows; start over with --fresh to follow both",
              input.table->folder(), id);
        }
        for (const Split& split : changes->splits) {
          input.table->ReadChanges(split, input.columns, receive);
        }
      }
    }
    input.position.snapshot = target.snapshot;
    while (input.has_log && input.position.log_offset < target.log_offset) {
      if (!input.log) input.log = OpenLog(input, input.position.log_offset);
      LogBatch batch = input.log->Read(input.columns, receive);
      event_time_ms_ = std::max(event_time_ms_, batch.time_ms);
      input.position.log_offset = input.log->Offset();
    }
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
  std::vector<LakeInput> inputs_;
  std::map<idx_t, std::set<std::string>> input_jobs_;
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

// Tables of other programs have no uuid of ours; their making is told by its millisecond.
std::string LakeTableIdentity(FileSystem& files, const std::string& folder) {
  std::string file = JoinPath(folder, "schema/schema-0");
  std::string text;
  try {
    text = files.Read(file);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return "";
  }
  TableSchema schema = SchemaFromJson(text, file);
  auto uuid = schema.options.find(kTableUuidOption);
  return fmt::format("{}@{}{}", folder, schema.time_ms,
                     uuid == schema.options.end() ? "" : "-" + uuid->second);
}

std::unique_ptr<Source> MakeLakeSource(TableContext context, const std::vector<SourceTable>& tables,
                                       bool bounded) {
  return std::make_unique<LakeSource>(context, tables, bounded);
}

}  // namespace millrace
