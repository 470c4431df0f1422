// sql_session.h - the Session that SQL statements run in. DDL and descriptions are in their own
// files.
#pragma once

#include <atomic>
#include <set>

#include "base/error.h"
#include "catalog/procedures.h"
#include "session/engine.h"
#include "session/job_folders.h"
#include "session/jobs.h"
#include "session/settings.h"
#include "sql/statement.h"

namespace millrace {

/// SQL's LIKE: % any text, _ one character.
bool MatchesLike(std::string_view text, std::string_view pattern);

/// See Session. Members are shared by sql_session.cc, ddl.cc, describe.cc and dml.cc, one subject
/// each.
class SqlSession : public Session {
 public:
  SqlSession(ConnectorRegistry& connectors, const SessionOptions& options);
  ~SqlSession() override;

  StatementResult Execute(const StatementText& statement) override;
  void Cancel() override;
  Progress CurrentProgress() override;
  std::vector<std::string> TakeNotes() override;
  std::vector<std::string> KnownNames() override;
  std::string Setting(const std::string& key) const override { return settings_.Get(key); }
  void WaitForJobs() override;
  void CancelJobs() override {
    interrupted_ = true;
    jobs_->CancelAll();
  }
  void FailScript(const Error& error) override;
  void SettleForTest() override;
  void CheckpointForTest() override;
  void CrashForTest() override;

 private:
  struct Target;    // A table that an INSERT writes, with the query cast to its columns:
                    // insert_target.h.
  struct JobQuery;  // A query of a job, compiled: of an INSERT, or of a view that several read.

  StatementResult Run(const Statement& statement);
  Error Explained(const StatementText& statement, const Error& error) const;
  std::vector<std::string> KnownTables() const;

  // ddl.cc
  StatementResult Run(const CreateCatalog& statement);
  StatementResult Run(const CreateDatabase& statement);
  StatementResult Run(const CreateTable& statement);
  StatementResult Run(const CreateView& statement);
  StatementResult Run(const Drop& statement);
  StatementResult Run(const Use& statement);
  /// Creates the table, then runs the AS query into it, if there is one.
  StatementResult CreateTableAs(const CreateTable& statement, TableDefinition definition);
  void BindComputedColumns(TableDefinition& definition);
  /// `doing`: "Creating", "Altering". Throws: Error(kInvalid) for names that fit nothing.
  static void CheckColumns(const TableDefinition& definition, const char* doing);
  void DropTableOrView(const Drop& statement);

  // create_like.cc
  StatementResult ReplaceTable(const CreateTable& statement, TableDefinition definition);

  // alter.cc
  StatementResult Run(const AlterTable& statement);
  StatementResult Run(const AlterView& statement);
  void CheckAltered(TableDefinition next);

  // row_changes.cc
  struct RowChangeRun;
  StatementResult Run(const DeleteRows& statement);
  StatementResult Run(const UpdateRows& statement);
  StatementResult Run(const MergeInto& statement);
  template <typename Statement>
  StatementResult RunRowChanges(const Statement& statement, const char* verb);
  std::shared_ptr<const TableDefinition> NeedRowTarget(const ObjectPath& path,
                                                       const std::string& doing);
  void RunRowChangesOnce(RowChangeRun& run, const TableDefinition& definition);
  /// What to commit, as text.
  std::string PrepareRowChanges(RowChangeRun& run);

  // overwrite.cc
  StatementResult Run(const TruncateTable& statement);
  void DropPartitions(const TableDefinition& definition, const AlterTable& statement);
  /// Publishes that everything in `scope` is gone.
  void Overwrite(const TableDefinition& definition, OverwriteScope scope);
  OverwriteScope OverwriteScopeOf(const Insert& insert, const TableDefinition& definition);
  std::map<std::string, Value> PartitionValuesOf(const TableDefinition& definition,
                                                 const PartitionText& texts,
                                                 const std::string& doing);

  // describe.cc
  StatementResult Run(const Show& statement);
  StatementResult Run(const Describe& statement);
  StatementResult Run(const Set& statement);
  StatementResult Run(const Reset& statement);
  void ApplyMemoryLimits(const Settings& before);
  StatementResult Run(const StopJob& statement);
  StatementResult ShowJobs();
  StatementResult ShowCheckpoints(const std::string& job);
  StatementResult ShowCreate(const Show& statement);
  std::vector<std::vector<std::string>> ListNames(const Show& statement, std::string* column);

  // explain.cc
  StatementResult Run(const Explain& statement);
  std::string ExplainQuery(const std::string& duck_sql, const std::string& target,
                           const DataflowOptions& options, bool analyze);

  /// `title`: what the plan is of. With the type of its changes; `views`: those of its inputs.
  std::pair<ChangelogType, std::string> ExplainFlow(
      Dataflow& flow, const std::string& title, const std::map<ObjectPath, ChangelogType>& views);
  std::string ExplainInserts(const std::vector<Target>& targets);
  std::string ExplainJob(const std::string& name);

  // check_view.cc
  struct CheckedView;
  StatementResult Run(const CheckView& statement);
  CheckedView FindChecked(const QualifiedName& name);
  void FindCheckpoint(CheckedView& view, bool running);
  void ReadAtCut(CheckedView& view, std::vector<Target>& targets);

  // maintenance.cc
  StatementResult Run(const Verify& statement);
  StatementResult Run(const Analyze& statement);  // analyze.cc
  StatementResult Run(const Call& statement);     // procedures.cc
  StatementResult Run(const AlterTag& statement);
  StatementResult ShowProcedures(const Show& statement);
  StatementResult ShowTags(const Show& statement);
  std::vector<GivenArgument> ArgumentsOf(const Call& statement);
  /// A lake table, opened. Throws: Error(kInvalid) for a table of another kind.
  std::shared_ptr<const Table> NeedLakeTable(const QualifiedName& name, const std::string& doing);

  // dml.cc
  /// How the session's settings have a dataflow run.
  DataflowOptions FlowOptions(std::vector<idx_t> sink_key = {});
  StatementResult Run(const Insert& statement);
  StatementResult Run(const StatementSet& statement);
  StatementResult Run(const Query& statement);
  StatementResult RunInserts(const std::vector<Insert>& inserts);
  StatementResult RunStreamingInserts(std::vector<Target> targets);
  void RunBatchInsert(Target& target, const std::string& id);

  // shared_views.cc
  /// The views that are computed once for several of the INSERTs; those that read others first.
  std::vector<ObjectPath> FindSharedViews(const std::vector<Target>& targets);
  std::vector<ObjectPath> WithoutSingleReaders(const std::vector<Target>& targets,
                                               std::vector<ObjectPath> views);
  bool IsWorthSharing(const ObjectPath& path);
  JobQuery CompileView(const ViewDefinition& view, const std::string& sql,
                       const DataflowOptions& options, const std::string& plan);
  /// The queries of the targets, then those of `views`; `plans`: the fingerprints of those that the
  /// job began with, none of a new one. Throws: Error(kInvalid) when a view cannot be one of them
  /// any more.
  std::vector<JobQuery> CompileJob(const std::vector<Target>& targets,
                                   const std::vector<ObjectPath>& views, idx_t shards,
                                   std::vector<std::string> plans);

  StatementResult RunDuck(const std::string& sql);  // duck_dialect.cc
  bool HasSomethingToFollow(const std::string& duck_sql);
  Target ResolveTarget(const Insert& insert);
  bool GivesOnlyNull(const std::string& duck_sql, idx_t column, idx_t columns);
  std::unique_ptr<ResultStream> StreamQuery(const std::string& duck_sql);
  std::unique_ptr<ResultStream> BatchQuery(const std::string& duck_sql,
                                           std::shared_ptr<duckdb::Connection> connection,
                                           ExplainFailure explain);
  /// Adds expression and row to the failure of a batch query, if they can be found. failing_row.cc
  Error WithRow(const Error& error, const std::string& duck_sql);
  /// Names and types that a query gives, by binding it.
  void BindQuery(const std::string& duck_sql, duckdb::vector<std::string>* names,
                 duckdb::vector<LogicalType>* types);

  /// Fills in what is missing of a name from the current catalog and database.
  ObjectPath Resolve(const QualifiedName& name) const;
  /// Throws: Error(kNotFound) with a suggestion.
  std::shared_ptr<const TableDefinition> NeedTable(const ObjectPath& path) const;
  Error WithSuggestion(Error error);
  std::unique_ptr<QueryConnection> NewConnection() {
    return engine_.NewConnection(catalog_, database_, settings_.DuckDialect());
  }
  void RefuseWhenCancelled() const;
  /// Makes a job what Cancel ends, also a Cancel that came before.
  void SetRunning(const std::shared_ptr<Job>& job);
  bool HasFinished(const std::string& job_id) const;
  /// Whether a lake table has nothing yet, or a job of a script that goes on still fills it.
  bool IsHalfFilled(const TableDefinition& definition);
  /// A lake table as a job knows it; nothing for a connector's.
  JobTarget JobTargetOf(const TableDefinition& definition);
  /// The script has ended, and with it the jobs that have come to their end.
  void EndFinishedJobs();
  /// A name for the job of the current statement, stable for a script; and its folder.
  std::string JobId(const std::string& statement_text, const std::string& name);

  const SessionOptions options_;
  Engine engine_;
  Settings settings_;
  std::string catalog_ = kDefaultCatalog;
  std::string database_ = kDefaultDatabase;
  std::unique_ptr<JobRunner> jobs_;
  std::map<std::string, int> job_numbers_;  // Equal statements of one script are told apart.
  JobFolders folders_;
  std::vector<std::string> finished_jobs_;  // Batch inserts: kept until the script has ended.
  std::set<std::shared_ptr<Job>> forgotten_jobs_;  // Finished, and their folders gone.
  std::set<std::string> noted_jobs_;               // Ids of those that TakeNotes has told of.
  std::atomic<bool> interrupted_{false};           // CancelJobs was called.
  bool script_failed_ = false;                     // Of something in it: FailScript.

  std::mutex running_mutex_;  // Guards the three below, for Cancel.
  duckdb::Connection* running_connection_ = nullptr;
  std::weak_ptr<duckdb::Connection> running_query_;
  std::shared_ptr<Job> running_job_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace millrace
