// check_view.cc - CHECK VIEW: what a job keeps in a table, against its query in batch.
//
// The job's newest checkpoint names the cut: how far each input was read. The query runs in batch
// over the inputs as they were there, and what the table holds since that checkpoint's commit must
// be the same. Whatever others have done to the table since, or an engine that counted wrong, shows
// as rows. Docs: docs/internals/jobs.md.
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "catalog/system_tables.h"
#include "duckdb/main/query_result.hpp"
#include "meta/options.h"
#include "session/check_query.h"
#include "session/insert_target.h"
#include "session/read_at.h"
#include "session/running_connection.h"
#include "sql/lexer.h"
#include "stream/lake_source.h"
#include "stream/source_groups.h"
#include "table/scan_start.h"

namespace millrace {

namespace {

constexpr int kLooks = 500;  // For a checkpoint that the job is just committing.
constexpr int64_t kLookAgainMs = 10;

// Names in a job's statement mean what they meant when it was started.
class NamesOfJob {
 public:
  NamesOfJob(std::string& catalog, std::string& database, const JobRecord& record)
      : catalog_(catalog), database_(database), before_(catalog, database) {
    if (record.catalog.empty()) return;
    catalog_ = record.catalog;
    database_ = record.database;
  }
  ~NamesOfJob() { std::tie(catalog_, database_) = before_; }

 private:
  std::string &catalog_, &database_;
  const std::pair<std::string, std::string> before_;
};

// A table that makes something of its own of the rows that it is given.
void RefuseMerging(const Table& table, const std::string& doing) {
  if (!table.HasPrimaryKey()) return;
  const Options& options = table.options();
  std::string engine = GetString(options, "merge-engine", "deduplicate");
  if (engine != "deduplicate") {
    Throw(
        ErrorCode::kUnsupported,
        "{}: its merge engine is '{}', so it holds what that made of all changes, not the query's "
        "rows",
        doing, engine);
  }
  for (const char* key : {"sequence.field", "rowkind.field", "record-level.expire-time",
                          "partition.expiration-time"}) {
    if (!options.contains(key)) continue;
    Throw(ErrorCode::kUnsupported,
          "{}: with option '{}' it does not hold the query's rows alone, and all of them", doing,
          key);
  }
  if (!GetBool(options, "ignore-delete", false)) return;
  Throw(ErrorCode::kUnsupported,
        "{}: with 'ignore-delete' it keeps rows that have left the query's result", doing);
}

// How far a table was read, so that batch can read the same; or why it cannot.
ReadAt::Place PlaceOf(TableContext context, const TableDefinition& definition,
                      const LakeTablePosition& position, const std::string& doing) {
  std::string name = definition.path.ToString();
  std::string system = SystemTableOf(definition);
  if (!system.empty()) {
    Throw(ErrorCode::kUnsupported,
          "{}: its query reads the changes of a table ('{}'), which batch cannot read up to a cut",
          doing, name);
  }
  std::shared_ptr<const Table> table = OpenLakeTable(context, definition);
  if (LakeTableIdentity(context.files, table->folder()) != position.identity) {
    Throw(ErrorCode::kNotFound, "{}: its input '{}' was dropped and made anew", doing, name);
  }
  ScanStart start = ResolveScanStart(table->state(), true);
  bool from_state = start.kind == ScanStart::Kind::kNewest || start.kind == ScanStart::Kind::kState;
  if (!from_state || start.created_since_ms || table->options().contains("consumer-id")) {
    Throw(
        ErrorCode::kUnsupported,
        "{}: the job reads only what has changed in its input '{}' since some moment ('scan.*' or "
        "'consumer-id'), which batch cannot read up to a cut",
        doing, name);
  }
  if (position.log_offset >= 0) return {std::nullopt, LakePosition({position})};
  int64_t snapshot = std::max<int64_t>(position.snapshot, 0);
  if (snapshot > 0 && !table->FindSnapshot(snapshot)) {
    Throw(ErrorCode::kNotFound,
          "{}: snapshot {} of its input '{}', up to which the job has read, has expired; keep more "
          "('snapshot.num-retained.min'), or check while the job runs",
          doing, snapshot, name);
  }
  return {snapshot, ""};
}

// The INSERTs of a job, from what its folder keeps of them.
std::vector<Insert> InsertsOf(const JobRecord& record, const ObjectPath& target) {
  Insert of_create;
  std::string create = "CREATE TABLE " + target.ToString() + " AS ";
  if (record.statement.starts_with(create)) {  // With the query in DuckDB's text.
    of_create.target = {target.catalog, target.database, target.name};
    of_create.query.duck_sql = record.statement.substr(create.size());
    return {of_create};
  }
  std::vector<Insert> inserts;
  for (const StatementText& text : SplitScript(record.statement)) {
    Statement parsed = ParseStatement(text);
    if (auto* insert = std::get_if<Insert>(&parsed.body)) inserts.push_back(*insert);
  }
  return inserts;
}

}  // namespace

struct SqlSession::CheckedView {
  std::string doing;  // "Checking 'lake.db.t'".
  std::string job;    // Its id.
  std::shared_ptr<const TableDefinition> definition;
  std::shared_ptr<const Table> table;
  JobRecord record;
  Checkpoint checkpoint;
  std::vector<idx_t> pipelines;  // Of the job, those that write the table.
  int64_t snapshot = 0;          // Of the table; 0: it has none.
  bool any_of_key = false;       // Whichever row of a key came last is shown.
  std::map<std::string, ReadAt::Place> places;
};

SqlSession::CheckedView SqlSession::FindChecked(const QualifiedName& name) {
  CheckedView view;
  ObjectPath path = Resolve(name);
  view.doing = fmt::format("Checking '{}'", path.ToString());
  if (FindView(engine_.services(), path)) {
    Throw(ErrorCode::kInvalid,
          "{}: it is computed whenever it is read; CHECK VIEW is for tables that a job keeps up to "
          "date (INSERT INTO t SELECT ... in streaming mode)",
          view.doing);
  }
  view.definition = NeedTable(path);
  if (!view.definition->Connector().empty()) {
    Throw(ErrorCode::kUnsupported,
          "{}: it is a table of connector '{}'; only what a job keeps in a lake table can be read "
          "as of a checkpoint",
          view.doing, view.definition->Connector());
  }
  view.table = NeedLakeTable(name, "Checking");
  RefuseMerging(*view.table, view.doing);
  JobTarget target = JobTargetOf(*view.definition);
  std::map<std::string, JobRecord> writers = folders_.WritersOf(target);
  if (writers.empty()) {
    Throw(ErrorCode::kNotFound,
          "{}: no job of the data folder '{}' keeps it up to date (INSERT INTO t SELECT ... in "
          "streaming mode)",
          view.doing, options_.data_folder);
  }
  std::vector<std::shared_ptr<Job>> running;
  for (const JobRunner::Entry& entry : jobs_->Jobs()) {
    bool runs = entry.job->State() <= JobState::kRunning;
    if (runs && writers.contains(entry.job->options().id)) running.push_back(entry.job);
  }
  if (running.size() > 1 || (running.empty() && writers.size() > 1)) {
    std::vector<std::string> ids;
    for (const auto& [id, record] : writers) ids.push_back(id);
    Throw(ErrorCode::kInvalid,
          "{}: several jobs write it, or have written it ({}); what it holds can only be held "
          "against the query of one, which must run here if there were others",
          view.doing, fmt::join(ids, ", "));
  }
  view.job = running.empty() ? writers.begin()->first : running[0]->options().id;
  view.record = writers.at(view.job);
  for (idx_t p = 0; p < view.record.targets.size(); p++) {
    if (view.record.targets[p].identity == target.identity) view.pipelines.push_back(p);
  }
  if (view.pipelines.size() > 1 && view.table->HasPrimaryKey()) {
    Throw(ErrorCode::kUnsupported,
          "{}: {} INSERTs of job '{}' write it, and which of them a key has its row from depends "
          "on who came last",
          view.doing, view.pipelines.size(), view.job);
  }
  if (!running.empty() && !running[0]->CheckpointNow()) {
    if (auto failure = running[0]->Failure()) throw *failure;
  }
  FindCheckpoint(view, !running.empty());
  return view;
}

// The newest that is committed; and the newest snapshot of the table before the job's next commit.
void SqlSession::FindCheckpoint(CheckedView& view, bool running) {
  auto folder = folders_.Peek(view.job);
  Clock& clock = engine_.environment().clock;
  for (int look = 1;; look++) {
    RefuseWhenCancelled();
    try {
      auto checkpoint = folder ? folder->Latest() : std::nullopt;
      if (!checkpoint || checkpoint->step == 0) {
        Throw(ErrorCode::kInvalid,
              "{}: its job '{}' has not read anything yet, or nothing is left of it", view.doing,
              view.job);
      }
      if (folder->IsCommitted(checkpoint->id)) {
        view.checkpoint = *checkpoint;
        break;
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;  // Forgotten for a newer one.
    }
    if (!running || look == kLooks) {
      Throw(ErrorCode::kInvalid,
            "{}: the last checkpoint of job '{}' is not committed yet; start the job again, which "
            "commits it",
            view.doing, view.job);
    }
    clock.SleepMs(kLookAgainMs);
  }
  std::set<std::string> users;
  for (idx_t p : view.pipelines) users.insert(SinkUser(view.record.user, p));
  auto latest = view.table->LatestSnapshot();
  view.snapshot = latest ? latest->id : 0;
  for (int64_t id = view.snapshot; auto snapshot = view.table->FindSnapshot(id); id--) {
    if (!users.contains(snapshot->commit_user)) continue;
    if (snapshot->commit_identifier <= view.checkpoint.id) break;
    view.snapshot = id - 1;
  }
}

// Compiles the job's INSERTs once more: the same plans as those of the checkpoint, or an error.
// Sets where each of their inputs is to be read.
void SqlSession::ReadAtCut(CheckedView& view, std::vector<Target>& targets) {
  const Checkpoint& checkpoint = view.checkpoint;
  auto another = [&] {
    Throw(ErrorCode::kInvalid,
          "{}: the plan of job '{}' is now another than that of its checkpoint {} (was a table, a "
          "view or 'table.local-time-zone' changed?)",
          view.doing, view.job, checkpoint.id);
  };
  std::vector<JobQuery> queries =
      CompileJob(targets, view.record.views, FlowOptions().shards, checkpoint.fingerprints);
  if (queries.size() != checkpoint.fingerprints.size()) another();
  std::vector<const std::vector<SourceTable>*> inputs;
  for (idx_t p = 0; p < queries.size(); p++) {
    if (queries[p].flow->Fingerprint() != checkpoint.fingerprints[p]) another();
    inputs.push_back(&queries[p].flow->Inputs());
  }
  GroupedInputs grouped = GroupInputs(engine_.connectors(), inputs);
  if (grouped.groups.size() != checkpoint.cut.size()) another();
  std::set<ObjectPath> read_views;
  for (idx_t p = 0; p < queries.size(); p++) {
    bool checked = std::count(view.pipelines.begin(), view.pipelines.end(), p) > 0;
    if (!checked && !read_views.contains(queries[p].view)) continue;
    Dataflow& flow = *queries[p].flow;
    if (!flow.Chance().empty()) {
      Throw(ErrorCode::kUnsupported, "{}: its query calls {}, whose values cannot be had again",
            view.doing, flow.Chance());
    }
    for (idx_t i = 0; i < inputs[p]->size(); i++) {
      const TableDefinition& definition = *(*inputs[p])[i].definition;
      if (IsSharedView(definition)) {
        read_views.insert(definition.path);
        continue;
      }
      InputPlace place = grouped.places[p][i];
      const std::string& position = checkpoint.cut[place.group];
      ReadAt::Place& read = view.places[InputKey(definition)];
      read.position = position;
      if (!definition.Connector().empty()) continue;
      std::vector<LakeTablePosition> tables = ParseLakePosition(position);
      if (place.table >= tables.size()) another();
      read = PlaceOf(engine_.table_context(), definition, tables[place.table], view.doing);
    }
    bool append = flow.Start(checkpoint.input_types[p]) == ChangelogType::kAppend;
    if (checked) view.any_of_key = append;
  }
}

StatementResult SqlSession::Run(const CheckView& statement) {
  CheckedView view = FindChecked(statement.name);
  NamesOfJob names(catalog_, database_, view.record);
  std::vector<Target> targets;
  for (const Insert& insert : InsertsOf(view.record, view.definition->path)) {
    targets.push_back(ResolveTarget(insert));
  }
  ReadAtCut(view, targets);
  CheckQuery query;
  for (idx_t p : view.pipelines) query.queries.push_back(targets[p].duck_sql);
  ObjectPath path = view.definition->path;
  std::string hinted = path.name;
  if (view.snapshot > 0) {
    nlohmann::json hint = {{"scan.snapshot-id", std::to_string(view.snapshot)}};
    hinted += "$options" + hint.dump();
  }
  query.table = QuoteName(path.catalog) + "." + QuoteName(path.database) + "." + QuoteName(hinted);
  query.table_is_empty = view.snapshot == 0;
  query.any_of_key = view.any_of_key;
  query.key = targets[view.pipelines[0]].sink_key;
  for (idx_t column : view.definition->PhysicalColumns()) {
    const ColumnDefinition& of = view.definition->columns[column];
    query.columns.push_back({of.name, of.type.ToDuck()});
  }
  auto connection = NewConnection();
  connection->context->registered_state->GetOrCreate<ReadAt>(ReadAt::kName)->places = view.places;
  RunningConnection running(running_mutex_, running_connection_, *connection);
  RefuseWhenCancelled();
  auto found = connection->Query(query.Sql());
  if (found->HasError()) found->ThrowError();
  std::vector<std::vector<std::string>> rows;
  for (idx_t row = 0; row < found->RowCount(); row++) {
    auto cell = [&](idx_t column) { return found->GetValue(column, row).ToString(); };
    rows.push_back({cell(0), cell(1), cell(2)});
  }
  if (rows.at(0)[0] == "ok") {
    rows[0][2] = fmt::format("as of checkpoint {} of job '{}', snapshot {}", view.checkpoint.id,
                             view.job, view.snapshot);
  }
  StatementResult result;
  result.kind = ResultKind::kRows;
  result.rows = MakeTextResult({"result", "rows", "row"}, rows);
  return result;
}

}  // namespace millrace
