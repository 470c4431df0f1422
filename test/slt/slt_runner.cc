#include "slt_runner.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

#include "base/error.h"
#include "table_check.h"

namespace millrace {

namespace {

constexpr const char* kMode = "execution.runtime-mode";

std::string FirstWord(const std::string& sql) {
  size_t begin = sql.find_first_not_of(" \t\n(");
  if (begin == std::string::npos) return "";
  size_t end = sql.find_first_of(" \t\n(;", begin);
  std::string word = sql.substr(begin, end - begin);
  std::transform(word.begin(), word.end(), word.begin(), ::toupper);
  return word;
}

// "INSERT INTO a.b.t SELECT ..." -> {"a.b.t", "SELECT ..."}; false for other forms.
bool SplitInsert(const std::string& sql, std::string& target, std::string& query) {
  static const std::regex kInsert(R"(^\s*INSERT\s+INTO\s+([\w.`]+)\s+([\s\S]*)$)",
                                  std::regex::icase);
  std::smatch match;
  if (!std::regex_match(sql, match, kInsert)) return false;
  target = match[1];
  query = match[2];
  std::string word = FirstWord(query);
  return word == "SELECT" || word == "WITH" || word == "VALUES";
}

std::string LastPart(std::string name) {
  name = name.substr(name.find_last_of('.') + 1);
  std::erase(name, '`');
  return name;
}

// The INSERTs inside EXECUTE STATEMENT SET BEGIN ... END too.
std::vector<std::string> Inserts(const std::string& statement) {
  static const std::regex kSet(R"(^\s*EXECUTE\s+STATEMENT\s+SET\s+BEGIN([\s\S]*)END[\s;]*$)",
                               std::regex::icase);
  std::smatch match;
  if (!std::regex_match(statement, match, kSet)) return {statement};
  std::vector<std::string> inserts;
  for (const StatementText& insert : SplitScript(match[1].str())) inserts.push_back(insert.text);
  return inserts;
}

std::vector<TextRow> ToRows(const std::vector<std::string>& lines) {
  std::vector<TextRow> rows;
  for (auto& line : lines) rows.push_back(SplitCells(line));
  return rows;
}

void Sort(RowOrder order, std::vector<TextRow>& rows) {
  if (order == RowOrder::kRowSort) std::sort(rows.begin(), rows.end());
  if (order != RowOrder::kValueSort) return;
  TextRow values;
  for (auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  std::sort(values.begin(), values.end());
  rows.clear();
  for (auto& value : values) rows.push_back({value});
}

// Floating columns last, so that rows which differ by a rounding sort alike.
void SortForComparison(const std::string& types, std::vector<TextRow>& rows) {
  auto key = [&](const TextRow& row) {
    TextRow exact, rounded;
    for (size_t i = 0; i < row.size(); i++) {
      (i < types.size() && types[i] == 'R' ? rounded : exact).push_back(row[i]);
    }
    exact.insert(exact.end(), rounded.begin(), rounded.end());
    return exact;
  };
  std::sort(rows.begin(), rows.end(),
            [&](const TextRow& a, const TextRow& b) { return key(a) < key(b); });
}

[[noreturn]] void Fail(const Record& record, const std::string& what) {
  std::string text = fmt::format("{}:{}: {}", record.file, record.line, what);
  if (!record.sql.empty()) text += "\n  in: " + record.sql;
  throw Error(ErrorCode::kData, text);
}

}  // namespace

SltRunner::SltRunner(std::string path, const SltOptions& options)
    : path_(std::move(path)), options_(options), history_(std::make_unique<FeedHistory>()) {
  std::string name = path_;
  std::replace(name.begin(), name.end(), '/', '_');
  folder_ = options.scratch_folder + "/" + name;
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
}

SltRunner::~SltRunner() {
  streams_.clear();
  session_.reset();
  std::filesystem::remove_all(folder_);
}

std::string SltRunner::Where() const {
  std::lock_guard lock(mutex_);
  return where_;
}

SltOutcome SltRunner::Run() {
  SltOutcome outcome;
  try {
    file_ = ReadSltFile(path_, {{"TMP", folder_}, {"DATA", options_.data_folder}});
    if (!file_.skip_reason.empty()) {
      outcome.skipped = file_.skip_reason;
      return outcome;
    }
    OpenSession();
    for (const Record& record : file_.records) {
      {
        std::lock_guard lock(mutex_);
        where_ = fmt::format("{}:{}", record.file, record.line);
      }
      try {
        RunRecord(record);
      } catch (const std::exception& exception) {
        std::string text = ErrorFrom(exception).text();
        if (text.rfind(record.file + ":", 0) == 0) throw;
        Fail(record, text);
      }
    }
  } catch (const std::exception& exception) {
    outcome.failure = ErrorFrom(exception).text();
  }
  outcome.checks = checks_;
  try {
    streams_.clear();
    if (session_) session_->CancelJobs();
    session_.reset();
  } catch (const std::exception& exception) {
    if (outcome.failure.empty()) {
      outcome.failure = path_ + ": closing the session: " + ErrorFrom(exception).text();
    }
  }
  if (outcome.failure.empty() && !damaged_) CheckTables(outcome);
  return outcome;
}

void SltRunner::CheckTables(SltOutcome& outcome) {
  try {
    std::string wrong = FindWrongTables(folder_);
    if (!wrong.empty()) outcome.failure = path_ + ": VERIFY finds at its end\n" + wrong;
  } catch (const std::exception& exception) {
    outcome.failure = path_ + ": VERIFY at its end: " + ErrorFrom(exception).text();
  }
}

void SltRunner::OpenSession() {
  connectors_ = std::make_unique<ConnectorRegistry>();
  options_.register_connectors(*connectors_);
  connectors_->Register(MakeFeedConnector(*history_));
  SessionOptions options;
  options.data_folder = folder_ + "/.millrace";
  options.out = &printed_;
  options.script = path_;
  session_ = options_.make_session(*connectors_, options);
  for (const std::string& setting : options_.settings) Execute(setting);
  Execute("SET 'execution.runtime-mode' = 'batch'");
  Execute("SET 'sql-client.execution.result-mode' = 'changelog'");
}

StatementResult SltRunner::Execute(const std::string& sql) {
  // INSERT waits in batch mode and runs on in streaming mode.
  std::string word = FirstWord(sql);
  if (word == "INSERT" || word == "EXECUTE") {
    bool streaming = session_->Setting(kMode) == "streaming";
    session_->Execute(
        {std::string("SET 'table.dml-sync' = '") + (streaming ? "false'" : "true'"), {}, true});
  }
  return session_->Execute({sql, {}, true});
}

void SltRunner::ExecuteAll(const std::string& sql, bool remember) {
  for (const StatementText& statement : SplitScript(sql)) {
    std::string word = FirstWord(statement.text);
    std::string mode = session_->Setting(kMode);
    for (const std::string& insert : Inserts(statement.text)) {
      std::string target, query;
      if (SplitInsert(insert, target, query)) insert_queries_[LastPart(target)] = {target, query};
    }
    StatementResult result = Execute(statement.text);
    if (result.rows) {
      ChangeChunk chunk;
      chunk.Initialize(result.rows->Types());
      while (result.rows->Next(chunk)) chunk.Reset();
    }
    bool job = (word == "INSERT" || word == "EXECUTE") && mode == "streaming";
    if (remember && (job || word == "CREATE" || word == "USE" || word == "SET" || word == "RESET" ||
                     word == "DROP")) {
      to_replay_.push_back({statement.text, mode});
    }
  }
}

void SltRunner::RunRecord(const Record& record) {
  const RecordKind kOutside[] = {RecordKind::kRestart,  RecordKind::kFeed,
                                 RecordKind::kFile,     RecordKind::kDamage,
                                 RecordKind::kRemember, RecordKind::kUntouched};
  bool needs_session =
      std::find(std::begin(kOutside), std::end(kOutside), record.kind) == std::end(kOutside);
  if (needs_session && !session_) Fail(record, "the session has crashed; `restart` it first");
  switch (record.kind) {
    case RecordKind::kStatementOk:
      ExecuteAll(record.sql, true);
      break;
    case RecordKind::kStatementError:
      RunError(record);
      break;
    case RecordKind::kStatementCount:
      RunCount(record);
      break;
    case RecordKind::kStatementShows:
      RunShows(record);
      break;
    case RecordKind::kQuery:
      RunQuery(record);
      break;
    case RecordKind::kStream:
      StartStream(record);
      break;
    case RecordKind::kFeed:
      Feed(record);
      break;
    case RecordKind::kChanges:
      CompareChanges(record);
      break;
    case RecordKind::kSameAsBatch:
      CompareWithBatch(record);
      break;
    case RecordKind::kSettle:
      Settle();
      break;
    case RecordKind::kWait:
      session_->WaitForJobs();
      break;
    case RecordKind::kCheckpoint:
      session_->SettleForTest();
      session_->CheckpointForTest();
      break;
    case RecordKind::kCrash:
      session_->CrashForTest();
      for (auto& [name, stream] : streams_) stream.rows.reset();
      session_.reset();
      break;
    case RecordKind::kRestart:
      Restart();
      break;
    case RecordKind::kFile:
    case RecordKind::kDamage:
    case RecordKind::kRemember:
    case RecordKind::kUntouched:
      RunOnFiles(record);
      break;
    case RecordKind::kPrinted:
      ComparePrinted(record);
      break;
    case RecordKind::kFails:
      ExpectFailure(record);
      break;
    case RecordKind::kRoundTrip:
      RoundTrip(record);
      break;
  }
}

void SltRunner::RunError(const Record& record) {
  checks_++;
  std::string text;
  try {
    ExecuteAll(record.sql, false);
  } catch (const std::exception& exception) {
    text = ErrorFrom(exception).text();
    std::regex wanted(record.argument, std::regex::icase);
    if (std::regex_search(text, wanted)) return;
    Fail(record, fmt::format("the error is not /{}/ but: {}", record.argument, text));
  }
  Fail(record, fmt::format("succeeded; expected the error /{}/", record.argument));
}

std::vector<TextRow> SltRunner::QueryRows(const std::string& sql, std::string& types,
                                          bool& is_query) {
  StatementResult result = Execute(sql);
  is_query = result.kind == ResultKind::kQuery;
  if (!result.rows && result.rows_changed) {
    types = "I";
    return {{std::to_string(*result.rows_changed)}};
  }
  if (!result.rows) Throw(ErrorCode::kInvalid, "the statement gives no rows");
  types = TypeLetters(result.rows->Types());
  std::vector<ChangeRow> changes;
  ChangeChunk chunk;
  chunk.Initialize(result.rows->Types());
  while (result.rows->Next(chunk)) {
    AppendRows(chunk, changes);
    chunk.Reset();
  }
  std::vector<TextRow> rows;
  for (auto& change : changes) rows.push_back(std::move(change.values));
  return rows;
}

void SltRunner::RunQuery(const Record& record) {
  checks_++;
  std::string types;
  bool is_query = false;
  std::vector<TextRow> rows = QueryRows(record.sql, types, is_query);
  if (!record.types.empty() && types.size() != record.types.size()) {
    Fail(record, fmt::format("{} column(s), but its types are '{}'", types.size(), record.types));
  }
  std::vector<TextRow> in_batch = rows;
  std::vector<TextRow> expected = ToRows(record.rows);
  Sort(record.order, rows);
  Sort(record.order, expected);
  if (!SameRows(expected, rows, record.types)) {
    Fail(record, "the rows differ\n" + Difference(expected, rows));
  }
  if (!file_.stream_check || !is_query) return;
  std::string problem;
  std::vector<TextRow> folded = Fold(StreamOnce(record.sql), problem);
  if (!problem.empty()) Fail(record, "in streaming mode " + problem);
  SortForComparison(types, folded);
  SortForComparison(types, in_batch);
  if (!SameRows(in_batch, folded, types)) {
    Fail(record, "streaming differs from batch\n" + Difference(in_batch, folded));
  }
}

// The changes of a query over what is there now, in streaming mode.
std::vector<ChangeRow> SltRunner::StreamOnce(const std::string& sql) {
  std::string mode = session_->Setting(kMode);
  Execute("SET 'execution.runtime-mode' = 'streaming'");
  Stream stream;
  try {
    stream.rows = std::move(Execute(sql).rows);
    session_->SettleForTest();
    Drain(stream);
  } catch (...) {
    Execute("SET 'execution.runtime-mode' = '" + mode + "'");
    throw;
  }
  Execute("SET 'execution.runtime-mode' = '" + mode + "'");
  return stream.changes;
}

void SltRunner::Drain(Stream& stream) {
  if (!stream.rows) return;
  ChangeChunk chunk;
  chunk.Initialize(stream.rows->Types());
  for (;;) {
    chunk.Reset();
    FetchStatus status = stream.rows->Fetch(chunk, 0);
    if (status == FetchStatus::kEnd) stream.rows.reset();
    if (status != FetchStatus::kRows) return;
    AppendRows(chunk, stream.changes);
  }
}

void SltRunner::RunCount(const Record& record) {
  checks_++;
  std::string types;
  bool is_query = false;
  std::vector<TextRow> rows = QueryRows(record.sql, types, is_query);
  std::string count = std::to_string(rows.size());
  if (rows.size() == 1 && rows[0].size() == 1 &&
      rows[0][0].find_first_not_of("-0123456789") == std::string::npos) {
    count = rows[0][0];
  }
  if (count != record.argument) {
    Fail(record, fmt::format("the count is {}, expected {}", count, record.argument));
  }
}

// For texts such as plans: their lines, a row a line, match somewhere.
void SltRunner::RunShows(const Record& record) {
  checks_++;
  std::string types, text;
  bool is_query = false;
  for (const TextRow& row : QueryRows(record.sql, types, is_query)) {
    text += fmt::format("{}\n", fmt::join(row, " | "));
  }
  if (std::regex_search(text, std::regex(record.argument))) return;
  Fail(record, fmt::format("/{}/ matches nothing of\n{}", record.argument, text));
}

void SltRunner::StartStream(const Record& record) {
  std::string mode = session_->Setting(kMode);
  Execute("SET 'execution.runtime-mode' = 'streaming'");
  Stream& stream = streams_[record.argument];
  stream = {};
  stream.sql = record.sql;
  stream.rows = std::move(Execute(record.sql).rows);
  if (!stream.rows) Fail(record, "the statement gives no rows");
  stream.types = TypeLetters(stream.rows->Types());
  Execute("SET 'execution.runtime-mode' = '" + mode + "'");
}

void SltRunner::Feed(const Record& record) {
  FeedHistory::Block block;
  block.table = record.argument;
  const std::map<std::string, RowKind> kKinds = {{"+I", RowKind::kInsert},
                                                 {"-U", RowKind::kUpdateBefore},
                                                 {"+U", RowKind::kUpdateAfter},
                                                 {"-D", RowKind::kDelete}};
  for (auto& line : record.rows) {
    TextRow cells = SplitCells(line);
    ChangeRow row;
    auto kind = kKinds.find(cells[0]);
    if (kind != kKinds.end()) {
      row.kind = kind->second;
      cells.erase(cells.begin());
    }
    row.values = std::move(cells);
    block.rows.push_back(std::move(row));
  }
  history_->Append(std::move(block));
}

void SltRunner::Settle() {
  session_->SettleForTest();
  StatementResult jobs = Execute("SHOW JOBS");
  std::vector<ChangeRow> rows;
  ChangeChunk chunk;
  if (jobs.rows) chunk.Initialize(jobs.rows->Types());
  while (jobs.rows && jobs.rows->Next(chunk)) {
    AppendRows(chunk, rows);
    chunk.Reset();
  }
  for (const ChangeRow& job : rows) {
    if (job.values[2] != "FAILED") continue;
    session_->CancelJobs();
    session_->WaitForJobs();  // Throws what it failed of.
  }
  for (auto& [name, stream] : streams_) Drain(stream);
}

std::vector<ChangeRow> SltRunner::ChangesOf(const std::string& name, size_t*& shown) {
  auto found = streams_.find(name);
  if (found != streams_.end()) {
    shown = &found->second.shown;
    return found->second.changes;
  }
  if (!history_->IsTarget(name)) {
    Throw(ErrorCode::kNotFound, "no stream and no feed table that a job writes is called '{}'",
          name);
  }
  shown = &shown_of_target_[name];
  return history_->Written(name);
}

void SltRunner::CompareChanges(const Record& record) {
  checks_++;
  Settle();
  size_t* shown = nullptr;
  std::vector<ChangeRow> changes = ChangesOf(record.argument, shown);
  std::vector<TextRow> rows, expected = ToRows(record.rows);
  for (size_t i = *shown; i < changes.size(); i++) {
    TextRow row{RowKindName(changes[i].kind)};
    row.insert(row.end(), changes[i].values.begin(), changes[i].values.end());
    rows.push_back(std::move(row));
  }
  *shown = changes.size();
  Sort(record.order, rows);
  Sort(record.order, expected);
  if (!SameRows(expected, rows, "")) {
    Fail(record, "the changes differ\n" + Difference(expected, rows));
  }
}

std::vector<TextRow> SltRunner::BatchRows(const std::string& sql, std::string& types) {
  std::string mode = session_->Setting(kMode);
  bool is_query = false;
  Execute("SET 'execution.runtime-mode' = 'batch'");
  std::vector<TextRow> rows = QueryRows(sql, types, is_query);
  Execute("SET 'execution.runtime-mode' = '" + mode + "'");
  return rows;
}

void SltRunner::CompareWithBatch(const Record& record) {
  checks_++;
  Settle();
  const std::string& name = record.argument;
  auto stream = streams_.find(name);
  auto insert = insert_queries_.find(name);
  std::string problem, types;
  std::vector<TextRow> folded;
  if (stream == streams_.end() && insert != insert_queries_.end() && !history_->IsTarget(name)) {
    // A lake table or a file: what is committed.
    session_->CheckpointForTest();
    folded = BatchRows("SELECT * FROM " + insert->second.target, types);
  } else {
    size_t* shown = nullptr;
    folded = Fold(ChangesOf(name, shown), problem);
  }
  if (!problem.empty()) Fail(record, problem);
  std::vector<TextRow> batch =
      BatchRows(stream != streams_.end() ? stream->second.sql : insert->second.query, types);
  SortForComparison(types, folded);
  SortForComparison(types, batch);
  if (!SameRows(batch, folded, types)) {
    Fail(record, fmt::format("'{}' differs from batch (- batch, + streaming)\n{}", name,
                             Difference(batch, folded)));
  }
}

void SltRunner::RunOnFiles(const Record& record) {
  const std::string& path = record.argument;
  if (record.kind == RecordKind::kFile) {
    auto folder = std::filesystem::path(path).parent_path();
    std::filesystem::create_directories(folder);
    // Hidden, as a job may be reading the folder.
    auto hidden = folder / ("." + std::filesystem::path(path).filename().string() + ".tmp");
    std::ofstream file(hidden, std::ios::binary);
    for (auto& line : record.rows) file << line << '\n';
    file.close();
    std::filesystem::rename(hidden, path);
  } else if (record.kind == RecordKind::kDamage) {
    size_t blank = path.find(' ');
    if (blank == std::string::npos) Fail(record, "damage cut|scribble|delete <glob>");
    std::vector<std::string> files = MatchingFiles(path.substr(blank + 1));
    if (files.empty()) Fail(record, "no file matches");
    for (auto& file : files) Damage(path.substr(0, blank), file);
    damaged_ = true;
  } else if (record.kind == RecordKind::kRemember) {
    remembered_[path] = ReadFolder(path);
  } else {
    checks_++;
    std::string lost = LostFiles(remembered_[path], ReadFolder(path));
    if (!lost.empty()) Fail(record, lost);
  }
}

void SltRunner::ComparePrinted(const Record& record) {
  checks_++;
  Settle();
  std::vector<TextRow> lines, expected;
  std::istringstream printed(printed_.str());
  for (std::string line; std::getline(printed, line);) lines.push_back({line});
  printed_.str("");
  for (auto& row : record.rows) expected.push_back({row});
  Sort(record.order, lines);
  Sort(record.order, expected);
  if (!SameRows(expected, lines, "")) {
    Fail(record, "the printed lines differ\n" + Difference(expected, lines));
  }
}

// A running job or stream ends by an error.
void SltRunner::ExpectFailure(const Record& record) {
  checks_++;
  try {
    session_->SettleForTest();
    for (auto& [name, stream] : streams_) Drain(stream);
    session_->CancelJobs();
    session_->WaitForJobs();
  } catch (const std::exception& exception) {
    std::string text = ErrorFrom(exception).text();
    if (std::regex_search(text, std::regex(record.argument, std::regex::icase))) return;
    Fail(record, fmt::format("the error is not /{}/ but: {}", record.argument, text));
  }
  Fail(record, fmt::format("no job failed; expected the error /{}/", record.argument));
}

// What SHOW CREATE prints makes the same object again.
void SltRunner::RoundTrip(const Record& record) {
  checks_++;
  std::string types;
  bool is_query = false;
  size_t blank = record.argument.find_last_of(' ');
  if (blank == std::string::npos) Fail(record, "round-trip [TEMPORARY] TABLE|VIEW <name>");
  std::string kind = record.argument.substr(0, blank), name = record.argument.substr(blank + 1);
  std::string show = "SHOW CREATE " + kind.substr(kind.find_last_of(' ') + 1) + " " + name;
  std::string before = QueryRows(show, types, is_query).at(0).at(0);
  Execute("DROP " + kind + " " + name);
  Execute(before);
  std::string after = QueryRows(show, types, is_query).at(0).at(0);
  if (before != after) Fail(record, "it became\n" + after + "\nand was\n" + before);
}

void SltRunner::Restart() {
  if (session_) {  // A clean end: jobs take a last checkpoint.
    for (auto& [name, stream] : streams_) stream.rows.reset();
    session_->CancelJobs();
    session_->WaitForJobs();
    session_.reset();
  }
  OpenSession();
  for (const Remembered& statement : to_replay_) {
    Execute("SET 'execution.runtime-mode' = '" + statement.mode + "'");
    try {
      ExecuteAll(statement.sql, false);
    } catch (const std::exception& exception) {
      // What is kept on disk is there already.
      ErrorCode code = ErrorFrom(exception).code();
      if (code != ErrorCode::kExists && code != ErrorCode::kNotFound) throw;
    }
  }
  // A SELECT has no checkpoint: it begins anew.
  for (auto& [name, stream] : streams_) {
    Stream fresh;
    fresh.sql = stream.sql;
    fresh.types = stream.types;
    std::string mode = session_->Setting(kMode);
    Execute("SET 'execution.runtime-mode' = 'streaming'");
    fresh.rows = std::move(Execute(fresh.sql).rows);
    Execute("SET 'execution.runtime-mode' = '" + mode + "'");
    stream = std::move(fresh);
  }
}

}  // namespace millrace
