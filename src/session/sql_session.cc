#include "session/sql_session.h"

#include "base/error.h"
#include "session/engine_words.h"

namespace millrace {

namespace {

// Whether a script that stopped with this error has come to an end: its text or its data must
// change before it is run again, and as a new script. Where the surroundings failed or somebody
// stopped it, the same script goes on when it runs again.
bool EndsScript(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
    case ErrorCode::kConflict:
    case ErrorCode::kCancelled:
      return false;
    default:
      return true;
  }
}

}  // namespace

SqlSession::SqlSession(ConnectorRegistry& connectors, const SessionOptions& options)
    : options_(options),
      engine_(connectors, options),
      jobs_(std::make_unique<JobRunner>(engine_.executor(), engine_.environment().clock)),
      folders_(engine_.environment(), options.data_folder, options.script, options.fresh) {}

SqlSession::~SqlSession() {
  jobs_.reset();
}

StatementResult SqlSession::Execute(const StatementText& statement) {
  if (options_.script.empty()) cancelled_ = false;  // A script that was stopped stays so.
  try {
    RefuseWhenCancelled();
    // In the duckdb dialect only the way back is ours.
    if (settings_.DuckDialect()) {
      try {
        Statement parsed = ParseStatement(statement);
        if (std::holds_alternative<Set>(parsed.body) ||
            std::holds_alternative<Reset>(parsed.body)) {
          return Run(parsed);
        }
        if (auto* use = std::get_if<Use>(&parsed.body)) {
          bool names_catalog =
              use->name.size() == 1 && engine_.services().stores.contains(use->name[0]);
          use->catalog = use->catalog || names_catalog;
          return Run(parsed);
        }
      } catch (const std::exception&) {
        // Not Flink's: DuckDB says what is wrong with it.
      }
      return RunDuck(statement.text);
    }
    return Run(ParseStatement(statement));
  } catch (const std::exception& exception) {
    Error error = Explained(statement, WithSuggestion(ErrorFrom(exception)));
    if (settings_.DuckDialect()) throw error;
    throw Error(error.code(), InFlinkWords(error.text()));
  }
}

// DuckDB knows neither our catalogs' names for a suggestion nor where in the script the table
// stands.
Error SqlSession::Explained(const StatementText& statement, const Error& error) const {
  static const std::string kBefore = "Table with name ", kAfter = " does not exist!";
  size_t end = error.text().find(kAfter);
  if (!error.text().starts_with(kBefore) || end == std::string::npos) return error;
  std::string name = error.text().substr(kBefore.size(), end - kBefore.size());
  std::string place;
  size_t at = statement.text.find(name);
  if (at != std::string::npos) {
    SourcePosition position = statement.position;
    for (size_t i = 0; i < at; i++) {
      bool line_end = statement.text[i] == '\n';
      position.line += line_end ? 1 : 0;
      position.column = line_end ? 1 : position.column + 1;
    }
    place = fmt::format("line {}, column {}: ", position.line, position.column);
  }
  return Error(ErrorCode::kNotFound,
               fmt::format("{}there is no table '{}'{}; SHOW TABLES lists those of {}.{}", place,
                           name, DidYouMean(name, KnownTables()), catalog_, database_));
}

std::vector<std::string> SqlSession::KnownTables() const {
  const CatalogServices& services = const_cast<Engine&>(engine_).services();
  std::vector<std::string> known;
  auto store = services.stores.find(catalog_);
  if (store != services.stores.end() && store->second->HasDatabase(database_)) {
    known = store->second->Tables(database_);
    for (const std::string& view : store->second->Views(database_)) known.push_back(view);
  }
  for (const auto& [path, definition] : services.temporary.tables) known.push_back(path.name);
  for (const auto& [path, view] : services.temporary.views) known.push_back(path.name);
  return known;
}

std::vector<std::string> SqlSession::KnownNames() {
  std::vector<std::string> names = KnownTables();
  for (const auto& [name, store] : engine_.services().stores) {
    names.push_back(name);
    if (name != catalog_) continue;
    for (const std::string& database : store->Databases()) names.push_back(database);
  }
  for (const std::string& key : Settings::Keys()) names.push_back(key);
  return names;
}

// DuckDB suggests columns and tables, but not catalogs.
Error SqlSession::WithSuggestion(Error error) {
  const std::string kBegin = "Catalog \"", kEnd = "\" does not exist!";
  size_t end = error.text().find(kEnd);
  if (!error.text().starts_with(kBegin) || end == std::string::npos) return error;
  std::string name = error.text().substr(kBegin.size(), end - kBegin.size());
  std::vector<std::string> known;
  for (const auto& [catalog, store] : engine_.services().stores) known.push_back(catalog);
  return Error(ErrorCode::kNotFound,
               fmt::format("There is no catalog '{}'{}{}", name, DidYouMean(name, known),
                           error.text().substr(end + kEnd.size())));
}

StatementResult SqlSession::Run(const Statement& statement) {
  return std::visit(
      [&](const auto& body) -> StatementResult {
        if constexpr (std::is_same_v<std::decay_t<decltype(body)>, DuckStatement>) {
          return RunDuck(body.sql);
        } else {
          return Run(body);
        }
      },
      statement.body);
}

void SqlSession::RefuseWhenCancelled() const {
  if (cancelled_) Throw(ErrorCode::kCancelled, "The statement was cancelled");
}

void SqlSession::Cancel() {
  cancelled_ = true;
  std::lock_guard lock(running_mutex_);
  if (running_connection_) running_connection_->Interrupt();
  if (auto query = running_query_.lock()) query->Interrupt();
  if (running_job_) running_job_->Cancel();
}

Progress SqlSession::CurrentProgress() {
  Progress progress;
  for (const JobRunner::Entry& entry : jobs_->Jobs()) {
    if (entry.job->State() != JobState::kRunning) continue;
    JobStatistics statistics = entry.job->Statistics();
    progress.rows_in += statistics.rows_in;
    progress.rows_out += statistics.rows_out;
    progress.lag_ms = std::max(progress.lag_ms, statistics.lag_ms);
    if (statistics.seconds > 0) {
      progress.rows_per_second += static_cast<double>(statistics.rows_in) / statistics.seconds;
    }
    progress.what += (progress.what.empty() ? "" : ", ") + entry.job->options().name;
  }
  return progress;
}

std::vector<std::string> SqlSession::TakeNotes() {
  std::vector<std::string> notes;
  constexpr const char* kWhy = "could not be decoded and {} skipped ('...ignore-parse-errors')";
  auto add = [&](const std::string& what, int64_t count) {
    std::string why = fmt::format(fmt::runtime(kWhy), count == 1 ? "was" : "were");
    notes.push_back(fmt::format("{}: {} record{} {}", what, count, count == 1 ? "" : "s", why));
  };
  for (const auto& [table, count] : engine_.TakeSkipped()) add("Table " + table, count);
  for (const JobRunner::Entry& entry : jobs_->Jobs()) {
    int64_t skipped = entry.job->Statistics().skipped;
    bool ended = entry.job->State() > JobState::kRunning;
    if (!ended || skipped == 0 || !noted_jobs_.insert(entry.job->options().id).second) continue;
    add("Job '" + entry.job->options().name + "'", skipped);
  }
  return notes;
}

void SqlSession::WaitForJobs() {
  try {
    jobs_->WaitAll();
  } catch (const std::exception& exception) {
    Error error = ErrorFrom(exception);
    if (script_failed_ || EndsScript(error)) EndFinishedJobs();
    throw Error(error.code(), InFlinkWords(error.text()));
  }
  if (!interrupted_ || script_failed_ || options_.script.empty()) EndFinishedJobs();
}

void SqlSession::FailScript(const Error& error) {
  script_failed_ = EndsScript(error);
  CancelJobs();
}

// A second run of the script is a new one then, not a recovery. Only jobs that were stopped before
// their end keep their state, and go on.
void SqlSession::EndFinishedJobs() {
  for (const JobRunner::Entry& entry : jobs_->Jobs()) {
    bool finished = !entry.is_query && entry.job->State() == JobState::kFinished;
    if (finished && forgotten_jobs_.insert(entry.job).second) {
      finished_jobs_.push_back(entry.job->options().id);
    }
  }
  folders_.EndScript(finished_jobs_);
  finished_jobs_.clear();
}

void SqlSession::SettleForTest() {
  for (const JobRunner::Entry& entry : jobs_->Jobs()) entry.job->WaitUntilIdle();
}

void SqlSession::CheckpointForTest() {
  for (const JobRunner::Entry& entry : jobs_->Jobs()) {
    if (!entry.is_query) entry.job->CheckpointNow();
  }
}

void SqlSession::CrashForTest() {
  jobs_->AbandonAll();
}

ObjectPath SqlSession::Resolve(const QualifiedName& name) const {
  switch (name.size()) {
    case 1:
      return {catalog_, database_, name[0]};
    case 2:
      return {catalog_, name[0], name[1]};
    case 3:
      return {name[0], name[1], name[2]};
    default:
      Throw(ErrorCode::kInvalid, "'{}' has {} parts; a name is [[catalog.]database.]object",
            fmt::join(name, "."), name.size());
  }
}

std::shared_ptr<const TableDefinition> SqlSession::NeedTable(const ObjectPath& path) const {
  auto& engine = const_cast<Engine&>(engine_);
  if (auto table = FindTable(engine.services(), path)) return table;
  CatalogStore& store = engine.Store(path.catalog);
  if (!store.HasDatabase(path.database)) {
    Throw(ErrorCode::kNotFound, "Catalog '{}' has no database '{}'{}", path.catalog, path.database,
          DidYouMean(path.database, store.Databases()));
  }
  std::vector<std::string> known = store.Tables(path.database);
  for (const auto& [temporary, definition] : engine.services().temporary.tables)
    known.push_back(temporary.name);
  Throw(ErrorCode::kNotFound, "There is no table '{}'{}; SHOW TABLES lists them", path.ToString(),
        DidYouMean(path.name, known));
}

std::unique_ptr<Session> MakeSession(ConnectorRegistry& connectors, const SessionOptions& options) {
  return std::make_unique<SqlSession>(connectors, options);
}

}  // namespace millrace
