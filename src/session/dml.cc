// dml.cc - queries and INSERTs, in batch through DuckDB, in streaming as jobs.
#include <algorithm>

#include "base/error.h"
#include "catalog/scan_function.h"
#include "catalog/system_tables.h"
#include "duckdb/main/client_config.hpp"
#include "duckdb/main/prepared_statement.hpp"
#include "duckdb/planner/logical_operator.hpp"
#include "meta/duck_type_name.h"
#include "session/assignment.h"
#include "session/engine_words.h"
#include "session/insert_target.h"
#include "session/running_connection.h"
#include "session/sql_session.h"
#include "sql/lexer.h"
#include "stream/lake_source.h"
#include "stream/shard_plan.h"
#include "table/table_options.h"

namespace millrace {

namespace {

constexpr idx_t kDefaultThreads = 4;  // Of a job, as far as DuckDB has so many.

// The number of the checkpoint that a path names: one of the job's own.
std::optional<int64_t> CheckpointToRestore(std::string path, const JobFolder& folder) {
  if (path.empty()) return std::nullopt;
  std::string given = path;
  while (path.ends_with('/')) path.pop_back();
  size_t slash = path.rfind('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
  auto last = [](const std::string& of) { return of.substr(of.rfind('/') + 1); };
  bool ours = parent.empty() || last(parent) == last(folder.path());
  const std::string kName = "checkpoint-";
  bool numbered = name.starts_with(kName) && name.size() > kName.size() &&
                  name.find_first_not_of("0123456789", kName.size()) == std::string::npos;
  if (ours && numbered) return std::strtoll(name.c_str() + kName.size(), nullptr, 10);
  Throw(ErrorCode::kInvalid,
        "SET 'execution.savepoint.path' = '{}': it names no checkpoint of this job, which are "
        "'{}/checkpoint-<number>'; SHOW CHECKPOINTS OF JOB lists those of a running one, and RESET "
        "'execution.savepoint.path' goes on with the newest",
        given, folder.path());
}

}  // namespace

void SqlSession::BindQuery(const std::string& duck_sql, duckdb::vector<std::string>* names,
                           duckdb::vector<LogicalType>* types) {
  auto connection = NewConnection();
  auto prepared = connection->Prepare(duck_sql);
  if (prepared->HasError()) prepared->error.Throw();
  if (names) *names = prepared->GetNames();
  if (types) *types = prepared->GetTypes();
}

// DuckDB calls a column of NULLs an INTEGER once it is a result; before, it goes with any type.
bool SqlSession::GivesOnlyNull(const std::string& duck_sql, idx_t column, idx_t columns) {
  std::string names;
  for (idx_t i = 0; i < columns; i++) names += (i ? ", c" : "c") + std::to_string(i);
  auto prepared = NewConnection()->Prepare(fmt::format(
      "SELECT CASE WHEN TRUE THEN c{} ELSE NULL::STRUCT(x INTEGER) END FROM ({}) AS q({})", column,
      duck_sql, names));
  return !prepared->HasError();
}

SqlSession::Target SqlSession::ResolveTarget(const Insert& insert) {
  Target target;
  ObjectPath path = Resolve(insert.target);
  if (FindView(engine_.services(), path)) {
    Throw(ErrorCode::kInvalid, "Inserting into '{}': it is a view", path.ToString());
  }
  TableDefinition definition = *NeedTable(path);
  if (definition.Connector().empty()) {
    RefuseMisspelled(fmt::format("Inserting into '{}'", path.ToString()), insert.hint);
  }
  for (const auto& [key, value] : insert.hint) definition.options[key] = value;
  const std::string doing = fmt::format("Inserting into '{}'", path.ToString());
  if (insert.overwrite) {
    target.overwrite = OverwriteScopeOf(insert, definition);
  } else if (!insert.static_partition.empty()) {
    (void)PartitionValuesOf(definition, insert.static_partition, doing);
  }
  duckdb::vector<LogicalType> types;
  BindQuery(insert.query.duck_sql, nullptr, &types);
  std::vector<idx_t> physical = definition.PhysicalColumns();
  // Which physical column each column of the query goes to.
  std::vector<idx_t> goes_to;
  if (insert.columns.empty()) {
    for (idx_t column : physical) {
      if (!insert.static_partition.count(definition.columns[column].name))
        goes_to.push_back(column);
    }
  }
  for (const std::string& name : insert.columns) {
    auto column = definition.FindColumn(name);
    if (!column || definition.columns[*column].computed) {
      Throw(ErrorCode::kNotFound, "Inserting into '{}': it has no physical column '{}'{}",
            path.ToString(), name, DidYouMean(name, definition.ColumnNames()));
    }
    if (std::count(goes_to.begin(), goes_to.end(), *column)) {
      Throw(ErrorCode::kInvalid, "Inserting into '{}': column '{}' is named twice", path.ToString(),
            name);
    }
    goes_to.push_back(*column);
  }
  if (goes_to.size() != types.size()) {
    Throw(ErrorCode::kInvalid,
          "Inserting into '{}': the query gives {} columns, the table takes {}", path.ToString(),
          types.size(), goes_to.size());
  }
  std::string select, aliases;
  for (idx_t i = 0; i < types.size(); i++) {
    aliases += (i ? ", " : "") + QuoteName(definition.columns[goes_to[i]].name);
  }
  for (idx_t column : physical) {
    const ColumnDefinition& to = definition.columns[column];
    LogicalType type = to.type.ToDuck();
    auto from = std::find(goes_to.begin(), goes_to.end(), column);
    std::string expression = AbsentText(to);
    auto fixed = insert.static_partition.find(to.name);
    if (fixed != insert.static_partition.end()) {
      expression = "CAST(" + fixed->second + " AS " + DuckTypeName(to.type) + ")";
    } else if (from != goes_to.end()) {
      idx_t i = from - goes_to.begin();
      LogicalType given = types[i];
      if (!FitsInto(given, type) && GivesOnlyNull(insert.query.duck_sql, i, types.size())) {
        given = LogicalType(LogicalTypeId::SQLNULL);
      }
      expression = AssignedText(QuoteName(to.name), given, to, doing, settings_.Casts());
    }
    select += (select.empty() ? "" : ", ") + expression + " AS " + QuoteName(to.name);
  }
  target.duck_sql =
      "SELECT " + select + " FROM (" + insert.query.duck_sql + ") AS q(" + aliases + ")";
  for (const std::string& key : definition.primary_key) {
    idx_t column = *definition.FindColumn(key);
    target.sink_key.push_back(std::find(physical.begin(), physical.end(), column) -
                              physical.begin());
  }
  target.original = insert.original;
  target.definition = std::make_shared<const TableDefinition>(std::move(definition));
  return target;
}

bool SqlSession::HasFinished(const std::string& job_id) const {
  for (const JobRunner::Entry& entry : jobs_->Jobs()) {
    if (entry.job->options().id == job_id && entry.job->State() == JobState::kFinished) return true;
  }
  return false;
}

std::string SqlSession::JobId(const std::string& statement_text, const std::string& name) {
  if (!name.empty()) {
    constexpr size_t kLongest = 100;
    std::string id;
    for (char c : name.substr(0, kLongest))
      id += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ? c : '_';
    // Different names must not meet in one folder: no name has a '~' of its own.
    if (id != name) id += "~" + StableHash(name);
    // A second job of the name goes on with the first, unless that one has come to its end.
    std::string first = id;
    for (int number = 2; HasFinished(id); number++) id = fmt::format("{}~{}", first, number);
    return id;
  }
  if (options_.script.empty()) return "job-" + engine_.environment().random.Uuid();
  int number = job_numbers_[statement_text]++;
  return "job-" + StableHash(fmt::format("{}\n{}\n{}", options_.script, number, statement_text));
}

bool SqlSession::IsHalfFilled(const TableDefinition& definition) {
  JobTarget target = JobTargetOf(definition);
  if (target.table.empty()) return false;
  bool has_rows = Table::Open(engine_.table_context(), target.table)->LatestSnapshot().has_value();
  return !has_rows || folders_.IsWritten(target);
}

JobTarget SqlSession::JobTargetOf(const TableDefinition& definition) {
  auto path = definition.options.find(kPathOption);
  if (!definition.Connector().empty() || path == definition.options.end()) return {};
  auto log = definition.options.find("log.system");
  bool logged = log != definition.options.end() && log->second == "local";
  return {path->second, LakeTableIdentity(engine_.environment().files, path->second), logged};
}

StatementResult SqlSession::Run(const Insert& statement) {
  return RunInserts({statement});
}
StatementResult SqlSession::Run(const StatementSet& statement) {
  return RunInserts(statement.inserts);
}

StatementResult SqlSession::RunInserts(const std::vector<Insert>& inserts) {
  std::vector<Target> targets;
  for (const Insert& insert : inserts) targets.push_back(ResolveTarget(insert));
  if (settings_.Streaming()) return RunStreamingInserts(std::move(targets));
  for (Target& target : targets) {
    // Each on its own, also those of a statement set: 'pipeline.name' would make them one.
    std::string id = JobId("batch\n" + target.original, "");
    try {
      RunBatchInsert(target, id);
    } catch (const std::exception& exception) {
      throw WithRow(ErrorFrom(exception), target.duck_sql);
    }
    finished_jobs_.push_back(id);
  }
  StatementResult result;
  result.kind = ResultKind::kJob;
  result.message = "Inserted.";
  if (options_.script.empty()) EndFinishedJobs();  // In the shell each statement is a script.
  return result;
}

void SqlSession::SetRunning(const std::shared_ptr<Job>& job) {
  std::lock_guard lock(running_mutex_);
  running_job_ = job;
  if (cancelled_) job->Cancel();
}

StatementResult SqlSession::RunStreamingInserts(std::vector<Target> targets) {
  JobOptions job_options;
  job_options.step_latency_ms = settings_.StepLatencyMs();
  JobRecord record;
  std::vector<std::string> names;
  for (const Target& target : targets) {
    job_options.statement += (job_options.statement.empty() ? "" : ";\n") + target.original;
    names.push_back(target.definition->path.name);
    record.targets.push_back(JobTargetOf(*target.definition));
  }
  std::string name = settings_.Get("pipeline.name");
  job_options.id = JobId(job_options.statement, name);
  job_options.name = name.empty() ? fmt::format("insert-into_{}", fmt::join(names, "_")) : name;
  job_options.targets = record.targets;
  record.statement = job_options.statement;
  record.named = !name.empty();
  record.user = job_options.id;
  record.catalog = catalog_;
  record.database = database_;
  record.shards = FlowOptions().shards;
  record.views = FindSharedViews(targets);
  std::unique_ptr<JobFolder> folder = folders_.Open(job_options.id, record);
  job_options.commit_user = folder->Record()->user;
  job_options.run = folders_.run();
  job_options.checkpoint_interval_ms = settings_.CheckpointIntervalMs();
  job_options.step_rows = settings_.StepRows();
  job_options.step_rows_fixed = settings_.StepRowsAreChosen();
  job_options.retained_checkpoints = settings_.RetainedCheckpoints();
  job_options.restore_from = CheckpointToRestore(settings_.RestorePath(), *folder);
  const std::string& user = job_options.commit_user;
  std::vector<Pipeline> pipelines;
  // Of a job that goes on: as it began. Where a plan is another now, the job says so.
  record = *folder->Record();
  auto checkpoint = folder->Latest();
  std::vector<std::string> plans;
  if (checkpoint) plans = std::move(checkpoint->fingerprints);
  for (JobQuery& query : CompileJob(targets, record.views, record.shards, plans)) {
    Pipeline pipeline;
    idx_t p = pipelines.size();
    pipeline.target = (p < targets.size() ? "" : "view ") + query.name;
    pipeline.flow = std::move(query.flow);
    pipeline.view = std::move(query.view);
    pipeline.view_columns = std::move(query.columns);
    if (p < targets.size()) {
      pipeline.sink = engine_.MakeSink(*targets[p].definition, SinkUser(user, p), user, false);
    }
    pipeline.keep_alive = std::shared_ptr<duckdb::Connection>(std::move(query.connection));
    pipelines.push_back(std::move(pipeline));
  }
  auto job = std::make_unique<Job>(engine_.environment(), engine_.connectors(),
                                   std::move(pipelines), job_options, std::move(folder));
  std::shared_ptr<Job> running = jobs_->Submit(std::move(job), false);
  StatementResult result;
  result.kind = ResultKind::kJob;
  result.job = job_options.id;
  result.job_name = job_options.name;
  result.message = fmt::format("Job '{}' ({}) was started.", job_options.name, job_options.id);
  if (!settings_.WaitForInserts()) return result;
  SetRunning(running);
  running->Wait();
  {
    std::lock_guard lock(running_mutex_);
    running_job_.reset();
  }
  if (auto failure = running->Failure()) throw *failure;
  RefuseWhenCancelled();
  result.message = fmt::format("Job '{}' has finished.", job_options.name);
  return result;
}

// One commit, recorded in the job's folder before it is published: a script that was killed in
// between and runs again publishes it, and does not insert twice.
void SqlSession::RunBatchInsert(Target& target, const std::string& id) {
  JobRecord record;
  record.user = "batch";
  record.statement = target.original;
  record.batch = true;
  record.targets.push_back(JobTargetOf(*target.definition));
  std::unique_ptr<JobFolder> folder = folders_.Open(id, record);
  JobFolder& job = *folder;
  std::string user = job.Record()->user;
  auto recorded = job.Latest();
  if (recorded && job.IsCommitted(1)) return;  // By an earlier life of the script.
  auto sink = engine_.MakeSink(*target.definition, user, user, true, target.overwrite);
  if (!recorded) {
    auto connection = NewConnection();
    RunningConnection running(running_mutex_, running_connection_, *connection);
    auto result = connection->SendQuery(target.duck_sql);
    if (result->HasError()) result->ThrowError();
    sink->SetInputType(ChangelogType::kAppend);
    ChangeChunk chunk;
    chunk.rows.InitializeEmpty(result->types);
    while (auto rows = result->Fetch()) {
      RefuseWhenCancelled();  // DuckDB forgets an interrupt that comes as it begins.
      if (rows->size() == 0) break;
      chunk.rows.Reference(*rows);
      chunk.kinds.clear();
      sink->Write(chunk);
    }
    if (result->HasError()) result->ThrowError();
    RefuseWhenCancelled();
    sink->EndStep(1);
    Checkpoint checkpoint;
    checkpoint.id = 1;
    checkpoint.step = 1;
    checkpoint.finished = true;
    checkpoint.run = folders_.run();
    checkpoint.prepared.push_back(sink->Prepare(1));
    job.Publish(checkpoint);
    recorded = checkpoint;
  }
  sink->Commit(1, recorded->prepared.at(0));
  job.MarkCommitted(1);
}

DataflowOptions SqlSession::FlowOptions(std::vector<idx_t> sink_key) {
  DataflowOptions options;
  options.sink_key = std::move(sink_key);
  options.memory = engine_.environment().state_memory;
  options.threads = settings_.Parallelism().value_or(std::min(engine_.Threads(), kDefaultThreads));
  options.shards = ShardsFor(options.threads);
  options.aggregate_phases = settings_.Phases();
  options.workers = engine_.environment().workers;
  options.rules.multi_joins = !options_.older_plans;
  return options;
}

std::unique_ptr<ResultStream> SqlSession::StreamQuery(const std::string& duck_sql) {
  auto connection = NewConnection();
  Pipeline pipeline;
  pipeline.target = "the result";
  DataflowOptions options = FlowOptions();
  pipeline.flow = Dataflow::Compile(*connection->context, duck_sql, options);
  duckdb::vector<std::string> names = pipeline.flow->Names();
  duckdb::vector<LogicalType> types = pipeline.flow->Types();
  auto queue = std::make_shared<ChangeQueue>();
  pipeline.sink = MakeQueueSink(queue, types);
  pipeline.keep_alive = std::shared_ptr<duckdb::Connection>(std::move(connection));
  JobOptions job_options;
  job_options.step_latency_ms = settings_.StepLatencyMs();
  job_options.id = "query-" + engine_.environment().random.Uuid().substr(0, 8);
  job_options.name = "query";
  job_options.step_rows = settings_.StepRows();
  job_options.step_rows_fixed = settings_.StepRowsAreChosen();
  std::vector<Pipeline> pipelines;
  pipelines.push_back(std::move(pipeline));
  auto job = std::make_unique<Job>(engine_.environment(), engine_.connectors(),
                                   std::move(pipelines), job_options);
  // 'table' shows what remains, once there is an end; a query without end can only show its
  // changes.
  bool live = options_.live && settings_.Get("sql-client.execution.result-mode") == "table";
  bool fold = !settings_.Changelog() && !live && job->IsBounded();
  std::shared_ptr<Job> running = jobs_->Submit(std::move(job), true);
  SetRunning(running);
  return MakeJobResult(running, std::move(queue), std::move(names), std::move(types), fold,
                       options.memory);
}

std::unique_ptr<ResultStream> SqlSession::BatchQuery(const std::string& duck_sql,
                                                     std::shared_ptr<duckdb::Connection> connection,
                                                     ExplainFailure explain) {
  {
    // Much of a query may run before its first row is there.
    std::lock_guard lock(running_mutex_);
    running_query_ = connection;
  }
  RefuseWhenCancelled();
  return MakeBatchResult(std::move(connection), duck_sql, std::move(explain));
}

// Metadata tables are read as they are now; so is a query without tables.
bool SqlSession::HasSomethingToFollow(const std::string& duck_sql) {
  auto connection = NewConnection();
  duckdb::ClientConfig::GetConfig(*connection->context).enable_optimizer = false;
  bool any = false, follows = false;
  std::function<void(const duckdb::LogicalOperator&)> look = [&](const auto& plan) {
    if (const ScanBindData* scan = FindScan(plan)) {
      std::string system = SystemTableOf(*scan->definition);
      any = true;
      follows =
          follows || system.empty() || SystemTableKindOf(system) != SystemTableKind::kMetadata;
    }
    for (const auto& child : plan.children) look(*child);
  };
  look(*connection->ExtractPlan(duck_sql));
  return any ? follows : settings_.Changelog();
}

StatementResult SqlSession::Run(const Query& statement) {
  StatementResult result;
  result.kind = ResultKind::kQuery;
  // A query without tables has nothing to follow.
  const std::string& sql = statement.query.duck_sql;
  bool follows = settings_.Streaming() && HasSomethingToFollow(sql);
  auto explain = [this, sql](const Error& error) {
    Error with_row = WithRow(error, sql);
    return Error(with_row.code(), InFlinkWords(with_row.text()));
  };
  result.rows = MakeShownResult(
      follows ? StreamQuery(sql) : BatchQuery(sql, NewConnection(), std::move(explain)),
      NewConnection(), statement.items);
  return result;
}

}  // namespace millrace
