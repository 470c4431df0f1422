// row_changes.cc - runs DELETE, UPDATE and MERGE in batch.
//
// One query reads the target at one snapshot and says what to change. The commit compares with what
// others have committed since: if they have touched the same rows (or files), the statement runs
// again on what is there now. A script that is killed in between and runs again does not do it
// twice.
#include "session/row_changes.h"

#include <algorithm>

#include "base/error.h"
#include "meta/options.h"
#include "session/running_connection.h"
#include "session/sql_session.h"
#include "session/statement_reads.h"
#include "stream/lake_source.h"
#include "table/table_options.h"
#include "table/table_state.h"

namespace millrace {

namespace {

constexpr int kAttempts = 10;

/// What a statement has done, for its message.
struct ChangedRows {
  int64_t inserted = 0, updated = 0, deleted = 0;
  int64_t Total() const { return inserted + updated + deleted; }
};

/// Takes the rows of a RowChangeQuery and prepares one commit.
/// Threads: one at a time. Throws: Error(kData) for a row that is changed twice.
class RowChanger {
 public:
  RowChanger(const Table& table, const std::string& user, const RowChangeQuery& query,
             const std::string& doing)
      : table_(table),
        query_(query),
        doing_(doing),
        // Files whose rows it changes are not to be compacted by the way.
        writer_(table.NewWriter(user, {.compacts = false})) {}

  void Add(DataChunk& rows) {
    rows.Flatten();
    const auto* clauses = duckdb::FlatVector::GetData<int8_t>(rows.data[0]);
    const auto* ids = duckdb::FlatVector::GetData<int64_t>(rows.data[1]);
    const auto& validity = duckdb::FlatVector::Validity(rows.data[1]);
    ChangeChunk changes;
    SelectionVector written(rows.size());
    idx_t count = 0;
    for (idx_t i = 0; i < rows.size(); i++) {
      RowAction action = query_.clauses[static_cast<size_t>(clauses[i])];
      Count(action);
      if (validity.RowIsValid(i) && !marks_.Mark(ids[i])) {
        Throw(ErrorCode::kData,
              "{}: several rows of the source match one row of the table, which cannot be changed "
              "twice; make the source distinct by the columns of ON",
              doing_);
      }
      if (action == RowAction::kDelete && !table_.HasPrimaryKey()) continue;
      changes.kinds.push_back(KindOf(action));
      written.set_index(count++, i);
    }
    if (count == 0) return;
    duckdb::vector<LogicalType> types = rows.GetTypes();
    types.erase(types.begin(), types.begin() + 2);
    changes.rows.InitializeEmpty(types);
    for (idx_t c = 0; c < types.size(); c++) changes.rows.data[c].Reference(rows.data[c + 2]);
    changes.rows.SetCardinality(rows.size());
    if (count < rows.size()) changes.rows.Slice(written, count);
    if (!table_.HasPrimaryKey()) changes.kinds.clear();
    writer_->Write(changes);
  }

  Committable Prepare(const StatementReads& reads) {
    Committable committable = PrepareMarked(reads);
    committable.read_snapshot = reads.snapshot();
    return committable;
  }

  const ChangedRows& changed() const { return changed_; }

 private:
  Committable PrepareMarked(const StatementReads& reads) {
    if (table_.HasPrimaryKey()) return writer_->PrepareCommit();
    if (table_.state().parsed.deletion_vectors) {
      return DeleteMarkedRows(table_, reads.snapshot().value_or(0), reads.units(), marks_,
                              *writer_);
    }
    return RewriteMarkedFiles(table_, reads.units(), marks_, *writer_);
  }
  void Count(RowAction action) {
    changed_.inserted += action == RowAction::kInsert;
    changed_.updated += action == RowAction::kUpdate;
    changed_.deleted += action == RowAction::kDelete;
  }
  static RowKind KindOf(RowAction action) {
    if (action == RowAction::kDelete) return RowKind::kDelete;
    return action == RowAction::kUpdate ? RowKind::kUpdateAfter : RowKind::kInsert;
  }

  const Table& table_;
  const RowChangeQuery& query_;
  const std::string& doing_;
  std::unique_ptr<TableWriter> writer_;
  RowMarks marks_;
  ChangedRows changed_;
};

/// As Flink's sink for row-level changes: which merge engines can take them.
void CheckEngine(const TableDefinition& definition, const RowChangeQuery& query,
                 const std::string& doing) {
  if (definition.primary_key.empty()) return;
  auto has = [&](RowAction action) {
    return std::find(query.clauses.begin(), query.clauses.end(), action) != query.clauses.end();
  };
  const Options& options = definition.options;
  std::string engine = GetString(options, "merge-engine", "deduplicate");
  if (has(RowAction::kUpdate) && engine != "deduplicate" && engine != "partial-update") {
    Throw(ErrorCode::kUnsupported, "{}: 'merge-engine' = '{}' cannot update rows", doing, engine);
  }
  if (!has(RowAction::kDelete)) return;
  if (GetBool(options, "ignore-delete", false)) {
    Throw(ErrorCode::kUnsupported, "{}: 'ignore-delete' = 'true' makes the table ignore that",
          doing);
  }
  if (engine == "deduplicate") return;
  std::string remove = engine == "partial-update" ? "partial-update.remove-record-on-delete"
                                                  : "aggregation.remove-record-on-delete";
  bool can = engine != "first-row" &&
             (GetBool(options, remove, false) ||
              (engine == "partial-update" &&
               options.contains("partial-update.remove-record-on-sequence-group")));
  if (can) return;
  Throw(ErrorCode::kUnsupported, "{}: 'merge-engine' = '{}' cannot delete rows{}", doing, engine,
        engine == "first-row" ? "" : "; a table made with '" + remove + "' = 'true' can");
}

std::string ChangedText(const ChangedRows& changed) {
  auto rows = [](int64_t count) { return fmt::format("{} row{}", count, count == 1 ? "" : "s"); };
  std::vector<std::string> parts;
  if (changed.inserted) parts.push_back(rows(changed.inserted) + " inserted");
  if (changed.updated) parts.push_back(rows(changed.updated) + " updated");
  if (changed.deleted) parts.push_back(rows(changed.deleted) + " deleted");
  return parts.empty() ? "No row was changed." : fmt::format("{}.", fmt::join(parts, ", "));
}

}  // namespace

struct SqlSession::RowChangeRun {
  std::shared_ptr<const Table> table;
  RowChangeQuery query;
  std::string doing;
  std::string user;
  std::string original;
  std::function<void(RowChangeRun&)> plan;  // Sets table, query and the next, for what is now.
  std::function<std::string()> look;        // The query without row ids.
  ChangedRows changed;
};

template <typename Statement>
StatementResult SqlSession::RunRowChanges(const Statement& statement, const char* verb) {
  ObjectPath path = Resolve(statement.target.name);
  RowChangeRun run;
  run.doing = fmt::format("{} '{}'", verb, path.ToString());
  run.original = statement.original;
  RefuseMisspelled(run.doing, statement.target.hint);
  run.plan = [this, &statement, path](RowChangeRun& planned) {
    std::shared_ptr<const TableDefinition> definition = NeedRowTarget(path, planned.doing);
    RowChangeContext context{*definition, planned.doing,
                             [this](const std::string& sql) {
                               duckdb::vector<LogicalType> types;
                               BindQuery(sql, nullptr, &types);
                               return types;
                             },
                             [this](const std::string& sql) {
                               duckdb::vector<std::string> names;
                               BindQuery(sql, &names, nullptr);
                               return names;
                             },
                             settings_.Casts()};
    planned.query = QueryOf(statement, context);
    planned.look = [context, &statement, definition]() mutable {
      context.row_id = definition->columns[definition->PhysicalColumns()[0]].name;
      return QueryOf(statement, context).duck_sql;
    };
    CheckEngine(*definition, planned.query, planned.doing);
    TableDefinition hinted = *definition;
    for (const auto& [key, value] : statement.target.hint) hinted.options[key] = value;
    planned.table = OpenLakeTable(engine_.table_context(), hinted);
  };
  run.plan(run);
  RunRowChangesOnce(run, *NeedTable(path));
  StatementResult result;
  result.message = ChangedText(run.changed);
  result.rows_changed = run.changed.Total();
  return result;
}

std::shared_ptr<const TableDefinition> SqlSession::NeedRowTarget(const ObjectPath& path,
                                                                 const std::string& doing) {
  if (FindView(engine_.services(), path)) {
    Throw(ErrorCode::kInvalid, "{}: it is a view", doing);
  }
  std::shared_ptr<const TableDefinition> definition = NeedTable(path);
  if (!definition->Connector().empty()) {
    Throw(ErrorCode::kUnsupported,
          "{}: only rows of lake tables can be changed, this one is of connector '{}'", doing,
          definition->Connector());
  }
  if (settings_.Streaming()) {
    Throw(ErrorCode::kUnsupported,
          "{}: rows are changed in batch; SET 'execution.runtime-mode' = 'batch' first", doing);
  }
  if (GetString(definition->options, "log.system", "") == "local") {
    Throw(ErrorCode::kUnsupported,
          "{}: its readers follow its log ('log.system' = 'local'), which only the job that writes "
          "the table may write",
          doing);
  }
  return definition;
}

// As RunBatchInsert: what has been prepared is recorded before it is published.
void SqlSession::RunRowChangesOnce(RowChangeRun& run, const TableDefinition& definition) {
  std::string id = JobId("batch\n" + run.original, "");
  JobRecord record;
  record.user = "batch";
  record.statement = run.original;
  record.batch = true;
  record.targets.push_back(JobTargetOf(definition));
  std::unique_ptr<JobFolder> job = folders_.Open(id, record);
  run.user = job->Record()->user;
  auto recorded = job->Latest();
  int64_t first = recorded ? recorded->id : 1;
  for (int64_t attempt = first;; attempt++) {
    try {
      if (!recorded || attempt > first) {
        Checkpoint checkpoint;
        checkpoint.id = checkpoint.step = attempt;
        checkpoint.finished = true;
        checkpoint.run = folders_.run();
        if (attempt > first) run.plan(run);
        checkpoint.prepared.push_back(PrepareRowChanges(run));
        job->Publish(checkpoint);
        recorded = checkpoint;
      }
      if (job->IsCommitted(attempt)) break;  // By an earlier life of the script.
      run.table->Commit(Committable::FromJson(recorded->prepared.at(0)), run.user,
                        kBatchCommitIdentifier);
      job->MarkCommitted(attempt);
      break;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kConflict || attempt + 1 >= first + kAttempts) throw;
    }
  }
  finished_jobs_.push_back(id);
  if (options_.script.empty()) EndFinishedJobs();  // In the shell each statement is a script.
}

std::string SqlSession::PrepareRowChanges(RowChangeRun& run) {
  auto connection = NewConnection();
  auto reads =
      connection->context->registered_state->GetOrCreate<StatementReads>(StatementReads::kName);
  RunningConnection running(running_mutex_, running_connection_, *connection);
  RowChanger changer(*run.table, run.user, run.query, run.doing);
  auto result = connection->SendQuery(run.query.duck_sql);
  while (auto rows = result->HasError() ? nullptr : result->Fetch()) {
    RefuseWhenCancelled();
    if (rows->size() == 0) break;
    changer.Add(*rows);
  }
  if (result->HasError()) {
    try {
      result->ThrowError();
    } catch (const std::exception& exception) {
      throw WithRow(ErrorFrom(exception), run.look());
    }
  }
  RefuseWhenCancelled();
  if (!reads->FitsSchema(run.table->schema().id)) {
    Throw(ErrorCode::kConflict, "{}: the table was altered meanwhile", run.doing);
  }
  run.changed = changer.changed();
  return changer.Prepare(*reads).ToJson();
}

StatementResult SqlSession::Run(const DeleteRows& statement) {
  return RunRowChanges(statement, "Deleting from");
}
StatementResult SqlSession::Run(const UpdateRows& statement) {
  return RunRowChanges(statement, "Updating");
}
StatementResult SqlSession::Run(const MergeInto& statement) {
  return RunRowChanges(statement, "Merging into");
}

}  // namespace millrace
