#include "table/table.h"

#include <algorithm>

#include "base/error.h"
#include "table/changes.h"
#include "table/committer.h"
#include "table/compact_table.h"
#include "table/maintenance.h"
#include "table/scan_plan.h"
#include "table/scan_start.h"
#include "table/table_writer.h"

namespace millrace {

struct Table::State {
  std::shared_ptr<const TableState> table;
};

namespace {

std::shared_ptr<TableState> LoadState(TableContext context, const std::string& folder,
                                      const TableSchema& schema, const Options& dynamic) {
  auto state = std::make_shared<TableState>(context, folder);
  state->schema = schema;
  state->options = schema.options;
  for (const auto& [name, value] : dynamic) state->options[name] = value;
  state->unsupported = FindUnsupported(state->schema, state->options);
  if (!state->unsupported) {
    state->parsed = ParseTableOptions(state->schema, state->options);
    state->unwritable = FindUnwritable(state->schema, state->parsed);
  }
  return state;
}

/// The schema of the state that options name; nullptr when it is the one at hand.
std::shared_ptr<const TableSchema> SchemaTravelledTo(const TableState& table) {
  if (!HasScanOptions(table.options)) return nullptr;
  try {
    auto state = TravelTo(table);
    if (state && state->schema_id != table.schema.id) return table.schemas.Get(state->schema_id);
  } catch (const Error&) {
    // What cannot be read is told by who reads it.
  }
  return nullptr;
}

}  // namespace

Table::Table(std::shared_ptr<State> state) : state_(std::move(state)) {}

bool Table::Exists(FileSystem& files, const std::string& folder) {
  return SchemaStore(files, folder).LatestId().has_value();
}

std::shared_ptr<const Table> Table::Open(TableContext context, const std::string& folder,
                                         const Options& dynamic) {
  std::shared_ptr<const TableSchema> schema = SchemaStore(context.files, folder).Latest();
  if (!schema) {
    Throw(ErrorCode::kNotFound, "Cannot open table {}: there is no schema file in {}/schema.",
          folder, folder);
  }
  auto state = std::make_shared<State>();
  try {
    std::shared_ptr<TableState> table = LoadState(context, folder, *schema, dynamic);
    if (auto travelled = SchemaTravelledTo(*table)) {
      table = LoadState(context, folder, *travelled, dynamic);
    }
    state->table = std::move(table);
  } catch (const Error& error) {
    if (error.text().find(folder) != std::string::npos) throw;
    Throw(error.code(), "Cannot open table {}: {}", folder, error.text());
  }
  return std::shared_ptr<const Table>(new Table(std::move(state)));
}

std::shared_ptr<const Table> Table::Create(TableContext context, const std::string& folder,
                                           const TableDefinition& definition) {
  TableDefinition complete = definition;
  complete.options[kTableUuidOption] = context.random.Uuid();
  TableSchema schema = MakeSchema(complete, context.clock.NowMs());
  auto state = std::make_shared<State>();
  std::shared_ptr<TableState> table = LoadState(context, folder, schema, {});
  table->CheckWritable("create");
  if (Exists(context.files, folder) || !table->schemas.Publish(schema)) {
    Throw(ErrorCode::kExists, "Cannot create table {}: there is one already.", folder);
  }
  state->table = std::move(table);
  return std::shared_ptr<const Table>(new Table(std::move(state)));
}

const TableSchema& Table::schema() const {
  return state_->table->schema;
}
const Options& Table::options() const {
  return state_->table->options;
}
const std::string& Table::folder() const {
  return state_->table->folder;
}
bool Table::HasPrimaryKey() const {
  return state_->table->HasPrimaryKey();
}
TableContext Table::context() const {
  return state_->table->context;
}

std::optional<Snapshot> Table::LatestSnapshot() const {
  return state_->table->snapshots.Latest();
}
std::optional<Snapshot> Table::FindSnapshot(int64_t id) const {
  return state_->table->snapshots.Find(id);
}
std::optional<int64_t> Table::EarliestSnapshotId() const {
  return state_->table->snapshots.EarliestId();
}

const TableState& Table::state() const {
  return *state_->table;
}

std::vector<Split> Table::PlanScan(const ScanOptions& options) const {
  return PlanTableScan(*state_->table, options);
}

std::unique_ptr<SplitReader> Table::ReadSplit(const Split& split,
                                              const ScanOptions& options) const {
  return MakeSplitReader(*state_->table, split, options);
}

ChangelogType Table::StreamType() const {
  return StreamTypeOf(*state_->table);
}

std::optional<SnapshotChanges> Table::PlanChanges(int64_t id) const {
  return PlanSnapshotChanges(*state_->table, id);
}

void Table::ReadChanges(const std::vector<Split>& splits, const std::vector<idx_t>& columns,
                        const ChangeReceiver& receive) const {
  ReadSplitChanges(*state_->table, splits, columns, receive);
}

ChangelogType Table::InputType() const {
  const TableOptions& options = state_->table->parsed;
  if (!HasPrimaryKey()) return ChangelogType::kAppend;
  bool aggregates = std::any_of(
      options.merge.columns.begin(), options.merge.columns.end(), [](const ColumnMerge& column) {
        return column.aggregate != Aggregate::kOverwrite && column.aggregate != Aggregate::kKey;
      });
  bool keeps_input = options.changelog_producer == ChangelogProducer::kInput;
  return keeps_input || aggregates ? ChangelogType::kFull : ChangelogType::kUpsert;
}

std::optional<int64_t> Table::Compact(const CompactRequest& request, const std::string& commit_user,
                                      int64_t identifier) const {
  state_->table->CheckSupported("compact");
  for (int attempt = 0;; attempt++) {
    Committable committable = PrepareTableCompaction(state_->table, request);
    if (committable.Empty()) return std::nullopt;
    CommitReport report;
    try {
      return Commit(committable, commit_user, identifier, &report);
    } catch (const Error&) {
      // Others have deleted rows, or replaced files: look again at what is there now.
      bool in_vain = !HasPrimaryKey() && !report.dropped_compaction.empty();
      if (!in_vain || attempt >= state_->table->parsed.commit_max_retries) throw;
    }
  }
}

/// Compacts what a commit has left in level 0, where readers do not look, for others were first.
std::optional<int64_t> Table::ShowLevel0(const std::string& commit_user, int64_t identifier) const {
  for (int attempt = 0; attempt <= state_->table->parsed.commit_max_retries; attempt++) {
    try {
      return Compact({}, commit_user, identifier);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kConflict && error.code() != ErrorCode::kNotFound) throw;
    }
  }
  return std::nullopt;  // Others go on compacting: they have it among the files of the next one.
}

std::unique_ptr<TableWriter> Table::NewWriter(const std::string& commit_user,
                                              const WriterOptions& options) const {
  state_->table->CheckWritable("write to");
  if (HasPrimaryKey()) return MakeKeyedWriter(state_->table, commit_user, options);
  return MakeAppendWriter(state_->table, commit_user, options);
}

std::unique_ptr<RowDeleter> Table::NewRowDeleter(int64_t snapshot_id) const {
  state_->table->CheckWritable("delete rows of");
  return MakeRowDeleter(state_->table, snapshot_id);
}

std::optional<int64_t> Table::Commit(const Committable& committable, const std::string& commit_user,
                                     int64_t identifier, CommitReport* report) const {
  const TableState& table = *state_->table;
  table.CheckSupported("commit to");
  CommitReport ignored;
  if (!report) report = &ignored;
  std::optional<int64_t> id = Committer(table, commit_user, identifier).Commit(committable, report);
  bool hidden = !report->dropped_compaction.empty() && table.parsed.HidesLevel0();
  if (hidden && !table.parsed.write_only) {
    if (auto shown = ShowLevel0(commit_user, identifier)) id = shown;
  }
  if (id) MaintainAfterCommit(table, committable, identifier == kBatchCommitIdentifier);
  return id;
}

}  // namespace millrace
