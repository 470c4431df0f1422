#include "slt_runner.h"

#include <algorithm>
#include <filesystem>
#include <regex>

#include "base/error.h"

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

// "INSERT INTO a.b.t SELECT ..." -> {"t", "SELECT ..."}; false for other forms.
bool SplitInsert(const std::string& sql, std::string& target, std::string& query) {
  static const std::regex kInsert(R"(^\s*INSERT\s+INTO\s+`?([\w.]+)`?\s+([\s\S]*)$)",
                                  std::regex::icase);
  std::smatch match;
  if (!std::regex_match(sql, match, kInsert)) return false;
  target = match[1];
  target = target.substr(target.find_last_of('.') + 1);
  query = match[2];
  std::string word = FirstWord(query);
  return word == "SELECT" || word == "WITH" || word == "VALUES";
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
  return outcome;
}

void SltRunner::OpenSession() {
  connectors_ = std::make_unique<ConnectorRegistry>();
  options_.register_connectors(*connectors_);
  connectors_->Register(MakeFeedConnector(*history_));
  SessionOptions options;
  options.data_folder = folder_ + "/.millrace";
  options.out = &printed_;
  options.script_path = path_;
  session_ = options_.make_session(*connectors_, options);
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
    std::string target, query;
    if (SplitInsert(statement.text, target, query)) insert_queries_[target] = query;
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
  bool needs_session = record.kind != RecordKind::kRestart && record.kind != RecordKind::kFeed;
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
  std::string count =
      rows.size() == 1 && rows[0].size() == 1 ? rows[0][0] : std::to_string(rows.size());
  if (count != record.argument) {
    Fail(record, fmt::format("the count is {}, expected {}", count, record.argument));
  }
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

void SltRunner::CompareWithBatch(const Record& record) {
  checks_++;
  Settle();
  size_t* shown = nullptr;
  std::string problem, types;
  std::vector<TextRow> folded = Fold(ChangesOf(record.argument, shown), problem);
  if (!problem.empty()) Fail(record, problem);
  auto stream = streams_.find(record.argument);
  const std::string& sql =
      stream != streams_.end() ? stream->second.sql : insert_queries_[record.argument];
  std::string mode = session_->Setting(kMode);
  bool is_query = false;
  Execute("SET 'execution.runtime-mode' = 'batch'");
  std::vector<TextRow> batch = QueryRows(sql, types, is_query);
  Execute("SET 'execution.runtime-mode' = '" + mode + "'");
  SortForComparison(types, folded);
  SortForComparison(types, batch);
  if (!SameRows(batch, folded, types)) {
    Fail(record, fmt::format("'{}' differs from batch (- batch, + streaming)\n{}", record.argument,
                             Difference(batch, folded)));
  }
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
