#include "app/statement_runner.h"

#include <unistd.h>

#include <chrono>
#include <iostream>

#include "app/live_table.h"
#include "format/codec/value_text.h"

namespace millrace {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int64_t kRedrawMs = 200;

}  // namespace

StatementRunner::StatementRunner(Session& session, Output& output, ProgressLine& progress,
                                 RunnerOptions options)
    : session_(session), output_(output), progress_(progress), options_(options) {}

bool StatementRunner::RunScript(const std::string& name, std::string_view script) {
  script_ = name;
  for (const StatementText& statement : SplitScript(script)) {
    if (interrupted_) return false;
    try {
      RunStatement(statement);
    } catch (const std::exception& exception) {
      Error error = ErrorFrom(exception);
      if (error.code() == ErrorCode::kCancelled && interrupted_) return false;
      session_.FailScript(error);
      told_ = error.text();
      Tell(DescribeError(error, name, script, statement.position));
      return false;
    }
  }
  return true;
}

void StatementRunner::Tell(const std::string& text) {
  progress_.Hide();
  std::cerr.write(text.data(), static_cast<std::streamsize>(text.size()));
}

void StatementRunner::RunStatement(const StatementText& statement) {
  auto start = SteadyClock::now();
  StatementResult result;
  std::optional<idx_t> count;
  {
    ProgressLine::Showing showing(progress_);
    result = session_.Execute(statement);
    if (result.rows) count = ShowResult(result);
  }
  if (!script_.empty() && !result.job_name.empty()) {
    places_[result.job_name] =
        fmt::format("{}:{}:{}: ", script_, statement.position.line, statement.position.column);
  }
  for (const std::string& note : session_.TakeNotes()) Tell(note + "\n");
  if (!options_.interactive) {
    bool quiet = options_.format == OutputFormat::kCsv || options_.format == OutputFormat::kJson;
    if (!quiet && !result.message.empty()) output_.stream() << result.message + "\n";
    return;
  }
  double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
  std::string text = result.message;
  if (count) {
    text =
        *count == 0 ? "Empty set" : fmt::format("{} row{} in set", *count, *count > 1 ? "s" : "");
  } else if (text.empty()) {
    text = result.kind == ResultKind::kJob ? "Job " + result.job + " submitted" : "Done";
  }
  output_.stream() << fmt::format("{} ({:.3f} s)\n\n", text, seconds);
}

std::optional<idx_t> StatementRunner::ShowResult(StatementResult& result) {
  bool quiet = options_.format == OutputFormat::kCsv || options_.format == OutputFormat::kJson;
  if (result.kind != ResultKind::kQuery && quiet) return std::nullopt;
  ResultStream& rows = *result.rows;
  if (result.kind == ResultKind::kQuery && rows.IsChangelog() && options_.interactive &&
      options_.format == OutputFormat::kTable && isatty(STDOUT_FILENO) &&
      session_.Setting("sql-client.execution.result-mode") == "table") {
    return ShowLive(rows);
  }
  bool may_be_text = result.kind == ResultKind::kRows && rows.Types().size() == 1 &&
                     rows.Types()[0].id() == LogicalTypeId::VARCHAR;
  return ShowRows(rows, may_be_text);
}

namespace {

// Plans and CREATE TABLE texts have lines of their own: a frame around them would only hurt.
bool PrintAsText(ChangeChunk& chunk, std::ostream& out) {
  TextColumn texts;
  RenderColumn(chunk.rows.data[0], chunk.size(), kPlainText, texts);
  if (texts.bytes.find('\n') == std::string::npos) return false;
  std::string lines;
  for (idx_t row = 0; row < chunk.size(); row++) {
    lines += texts.At(row);
    if (lines.back() != '\n') lines += '\n';
  }
  out << lines;
  return true;
}

}  // namespace

idx_t StatementRunner::ShowRows(ResultStream& rows, bool may_be_text) {
  RenderOptions render{.format = options_.format, .terminal_width = TerminalWidth(STDOUT_FILENO)};
  auto writer =
      MakeResultWriter(render, rows.Names(), rows.Types(), rows.IsChangelog(), output_.stream());
  ChangeChunk chunk;
  chunk.Initialize(rows.Types());
  idx_t count = 0;
  int64_t wait_ms = 0;
  try {
    for (;;) {
      chunk.Reset();
      FetchStatus status = rows.Fetch(chunk, wait_ms);
      if (status == FetchStatus::kEnd) break;
      if (status == FetchStatus::kNothing) {
        writer->Idle();
        wait_ms = -1;
        continue;
      }
      wait_ms = 0;
      bool first = count == 0;
      count += chunk.size();
      if (first && may_be_text && PrintAsText(chunk, output_.stream())) return count;
      writer->Write(chunk);
    }
  } catch (...) {
    if (count > 0) writer->End();  // What came before the error or Ctrl-C is shown whole.
    throw;
  }
  if (count > 0 || !options_.interactive) writer->End();
  return count;
}

idx_t StatementRunner::ShowLive(ResultStream& rows) {
  LiveTable table(rows.Names(), rows.Types(), output_.stream());
  ChangeChunk chunk;
  chunk.Initialize(rows.Types());
  auto draw = [&](size_t height) { table.Draw(TerminalWidth(STDOUT_FILENO), height); };
  auto drawn = SteadyClock::time_point();
  bool changed = true;
  try {
    for (;;) {
      chunk.Reset();
      FetchStatus status = rows.Fetch(chunk, kRedrawMs);
      if (status == FetchStatus::kEnd) break;
      if (status == FetchStatus::kRows) {
        table.Apply(chunk);
        changed = true;
      }
      auto now = SteadyClock::now();
      if (changed && (status == FetchStatus::kNothing ||
                      now - drawn >= std::chrono::milliseconds(kRedrawMs))) {
        draw(TerminalHeight(STDOUT_FILENO));
        drawn = now;
        changed = false;
      }
    }
  } catch (...) {
    draw(TerminalHeight(STDOUT_FILENO));
    throw;
  }
  draw(0);
  return table.RowCount();
}

bool StatementRunner::WaitForJobs() {
  try {
    ProgressLine::Showing showing(progress_);
    session_.WaitForJobs();
    for (const std::string& note : session_.TakeNotes()) Tell(note + "\n");
    return true;
  } catch (const std::exception& exception) {
    Error error = ErrorFrom(exception);
    if (error.code() == ErrorCode::kCancelled && interrupted_) return false;
    // A job that its statement waited for has been told with its place.
    if (error.text() == told_) return false;
    std::string place;
    for (const auto& [job, where] : places_) {
      if (error.text().starts_with("Job '" + job + "' ")) place = where;
    }
    Tell(place + error.text() + "\n");
    return false;
  }
}

void StatementRunner::Interrupt() {
  interrupted_ = true;
  session_.Cancel();
  if (!options_.interactive) session_.CancelJobs();
}

}  // namespace millrace
